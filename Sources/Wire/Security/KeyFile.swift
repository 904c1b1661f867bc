import Glibc
import Support

/// A key on the disk, in the format of ZeroMQ's certificates (ZPL, RFC 4), so that other ZeroMQ tools read it too:
///
///     metadata
///         name = "w1"
///     curve
///         public-key = "..."
///         secret-key = "..."
///
/// NAME.key holds the public key, NAME.key_secret both. Invariant: a secret is never readable by others than its owner,
/// not for a moment: the file is made with mode 0600, and one with a wider mode is refused.
package enum KeyFile {
  private static let byteCountMax = 64 << 10

  static func write(_ pair: KeyPair, name: String, toSecret path: String) throws {
    let lines = [
      "#   Fovea: a SECRET key. Everyone who has it can act as its owner; keep the file's mode at 0600.", "metadata",
      "    name = \"\(name)\"", "curve", "    public-key = \"\(pair.publicKey)\"",
      "    secret-key = \"\(pair.secretText)\"", "",
    ]
    try PrivateFile.write(lines.joined(separator: "\n"), to: path)
  }

  static func write(_ key: PublicKey, name: String, to path: String) throws {
    let lines = [
      "#   Fovea: a public key.", "metadata", "    name = \"\(name)\"", "curve", "    public-key = \"\(key)\"", "",
    ]
    try PrivateFile.write(lines.joined(separator: "\n"), to: path)
  }

  /// - Throws: `InputError` when the file is no certificate, or one of another server.
  package static func readPublic(_ path: String) throws -> PublicKey {
    let text = try values(path)["public-key"]
    guard let key = text.flatMap({ PublicKey(z85: $0) }) else {
      throw InputError(
        "read key", at: path, expected: "public-key = \"...\", 40 characters of Z85 in quotes",
        found: text == nil ? "no public-key" : "something else")
    }
    return key
  }

  /// - Throws: `InputError` when others may read the file, when it is no certificate, or when its two keys do not
  ///   belong together. No error shows the secret.
  package static func readSecret(_ path: String) throws -> KeyPair {
    try PrivateFile.check(path)
    let values = try values(path)
    guard let secret = values["secret-key"], let pair = KeyPair(secretZ85: secret) else {
      throw InputError(
        "read key", at: path, expected: "secret-key = \"...\", 40 characters of Z85 in quotes",
        found: values["secret-key"] == nil ? "no secret-key" : "something else")
    }
    guard values["public-key"].map({ $0 == "\(pair.publicKey)" }) ?? true else {
      throw InputError(
        "read key", at: path, expected: "the public key of the secret one, \(pair.publicKey)", found: "another one")
    }
    return pair
  }

  /// The values of the sections, by key. Everything else in the file is ignored, as ZPL wants it.
  private static func values(_ path: String) throws -> [String: String] {
    let bytes = try Files.read(path, operation: "read key", byteCountMax: byteCountMax)
    var values: [String: String] = [:]
    for line in String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline) {
      let parts = line.split(separator: "=", maxSplits: 1)
      guard line.first == " " || line.first == "\t", parts.count == 2 else { continue }
      let name = parts[0].filter { $0 != " " && $0 != "\t" }
      let value = parts[1].drop { $0 == " " || $0 == "\t" }
      guard !name.hasPrefix("#"), let quote = value.first, quote == "\"" || quote == "'",
        let end = value.dropFirst().firstIndex(of: quote)
      else { continue }
      values[name] = String(value[value.index(after: value.startIndex)..<end])
    }
    return values
  }
}

/// Files that only their owner may read.
enum PrivateFile {
  /// Puts a text in place as a whole, in a file of mode 0600.
  static func write(_ text: String, to path: String) throws {
    try Files.write(Array(text.utf8), to: path, operation: "write key")
  }

  /// - Throws: `InputError` when the file is missing, belongs to another user, or may be read or written by others.
  static func check(_ path: String) throws {
    var information = stat()
    guard stat(path, &information) == 0, information.st_mode & S_IFMT == S_IFREG else {
      throw InputError("read key", at: path, expected: "a key file", found: "none (fovea help keys)")
    }
    guard information.st_mode & 0o077 == 0 else {
      let mode = String(information.st_mode & 0o777, radix: 8)
      throw InputError(
        "read key", at: path, expected: "a secret that only its owner may read: chmod 600 \(path)",
        found: "mode 0\(mode)")
    }
    guard information.st_uid == geteuid() || information.st_uid == 0 else {
      throw InputError(
        "read key", at: path, expected: "a file of user \(geteuid())", found: "one of user \(information.st_uid)")
    }
  }
}
