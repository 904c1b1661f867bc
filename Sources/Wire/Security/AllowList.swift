import Glibc
import Support

/// The public keys that a server lets in, each with a name: a text file of lines "NAME KEY".
///
/// Lines that begin with `#` are comments. Names and keys are unique. The server's own key needs no line.
public struct AllowList: Equatable, Sendable {
  public struct Entry: Equatable, Sendable {
    public var name: String
    public var key: PublicKey
  }

  /// In the order of the file.
  public private(set) var entries: [Entry] = []
  private var names: [PublicKey: String] = [:]

  static let entriesMax = 100_000
  private static let byteCountMax = 16 << 20
  private static let header =
    "# Public keys of the processes that may connect: NAME KEY. A running server reads it again."

  public init() {}

  /// - Throws: `InputError` that names the line.
  package init(text: String, place: String) throws {
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      if line.allSatisfy(\.isWhitespace) || line.first == "#" { continue }
      let words = line.split(whereSeparator: \.isWhitespace)
      guard words.count == 2, Self.isName(String(words[0])), let key = PublicKey(z85: String(words[1])) else {
        throw InputError(
          "read allow-list", at: "\(place):\(index + 1)", expected: "NAME KEY, the key 40 characters of Z85",
          found: "something else")
      }
      try add(key, name: String(words[0]), place: "\(place):\(index + 1)")
    }
  }

  static func read(_ path: String) throws -> AllowList {
    let bytes = try Files.read(path, operation: "read allow-list", byteCountMax: byteCountMax)
    return try AllowList(text: String(decoding: bytes, as: UTF8.self), place: path)
  }

  package var text: String { ([Self.header] + entries.map { "\($0.name) \($0.key)" }).joined(separator: "\n") + "\n" }

  package func name(of key: PublicKey) -> String? { names[key] }

  /// - Throws: `InputError` when the name or the key is there already.
  package mutating func add(_ key: PublicKey, name: String, place: String) throws {
    if let other = names[key] {
      throw InputError("add key", at: place, expected: "a key that is not listed", found: "the key of \(other)")
    }
    guard !entries.contains(where: { $0.name == name }) else {
      throw InputError("add key", at: place, expected: "a name that is free", found: "\(name), which is listed")
    }
    guard entries.count < Self.entriesMax else {
      throw InputError("add key", at: place, expected: "at most \(Self.entriesMax) keys", found: "more")
    }
    entries.append(Entry(name: name, key: key))
    names[key] = name
  }

  /// Removes by name or by key.
  /// - Returns: the entry that was there; nil when there was none.
  package mutating func remove(_ nameOrKey: String) -> Entry? {
    guard let index = entries.firstIndex(where: { $0.name == nameOrKey || "\($0.key)" == nameOrKey }) else {
      return nil
    }
    let entry = entries.remove(at: index)
    names[entry.key] = nil
    return entry
  }

  /// A name is also a folder's: letters, digits, dots, hyphens and underscores, no dot in front, and shorter than any
  /// key.
  static func isName(_ text: String) -> Bool {
    (1...32).contains(text.utf8.count) && text.first != "." && text.first != "-"
      && text.utf8.allSatisfy { byte in
        let character = Character(UnicodeScalar(byte))
        return character.isASCII && (character.isLetter || character.isNumber) || ".-_".contains(character)
      }
  }
}

/// The allow-list's file as a running server watches it: read again when it has changed.
struct AllowListWatch {
  private struct Signature: Equatable {
    var inode: UInt64
    var seconds: Int
    var nanoseconds: Int
    var byteCount: Int
  }

  let path: String
  private var seen: Signature?

  init(path: String) { self.path = path }

  /// - Returns: the list when it is another one than last time; nil when nothing changed.
  /// - Throws: `InputError` once for each state of the file that cannot be read.
  mutating func changed() throws -> AllowList? {
    var information = stat()
    let signature =
      stat(path, &information) == 0
      ? Signature(
        inode: UInt64(information.st_ino), seconds: information.st_mtim.tv_sec,
        nanoseconds: information.st_mtim.tv_nsec,
        byteCount: Int(information.st_size))
      : Signature(inode: 0, seconds: 0, nanoseconds: 0, byteCount: 0)
    guard signature != seen else { return nil }
    seen = signature
    return try AllowList.read(path)
  }
}
