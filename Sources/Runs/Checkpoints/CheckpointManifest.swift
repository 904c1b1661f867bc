import CXXHash
import Support

/// Sizes and checksums of a checkpoint's files: `MANIFEST.json`, which is written last.
///
/// A folder without it, or whose files differ from it, is no checkpoint. The checksum is XXH3-128: it finds damage, and
/// does not defend against an author of damage.
package struct CheckpointManifest: Equatable {
  struct Entry: Equatable {
    var byteCount: Int
    /// Big-endian hexadecimal.
    var hash: String
  }

  package static let fileName = "MANIFEST.json"
  static let byteCountMax = 1 << 20
  private static let format = 1
  private static let partByteCount = 16 << 20

  /// By file name.
  var files: [String: Entry]

  /// Measures files as they are on disk.
  package init(folder: String, names: [String]) throws {
    files = [:]
    for name in names { files[name] = try Self.entry(path: "\(folder)/\(name)") }
  }

  /// Reads the manifest of a folder.
  /// - Throws: `InputError` when there is none, or none that makes sense.
  init(folder: String) throws {
    let place = "\(folder)/\(Self.fileName)"
    try self.init(json: Files.read(place, operation: "read manifest", byteCountMax: Self.byteCountMax), place: place)
  }

  /// Reads a manifest's bytes.
  package init(json bytes: [UInt8], place: String) throws {
    let json = try JSON.parse(bytes, place: place)
    let format = try json.required("format", Int.self, at: place)
    guard format == Self.format else {
      throw InputError("read manifest", at: "\(place), key format", expected: "\(Self.format)", found: "\(format)")
    }
    files = [:]
    for (name, json) in try json.required("files", [String: JSON].self, at: place) {
      guard !name.isEmpty, !name.hasPrefix("."), !name.contains("/") else {
        throw InputError("read manifest", at: place, expected: "plain file names", found: name)
      }
      let filePlace = "\(place), file \(name)"
      files[name] = Entry(
        byteCount: try json.required("bytes", Int.self, at: filePlace),
        hash: try json.required("xxh3_128", String.self, at: filePlace))
    }
  }

  package var json: JSON {
    .object([
      "format": .integer(Int64(Self.format)),
      "files": .object(
        files.mapValues { .object(["bytes": .integer(Int64($0.byteCount)), "xxh3_128": .string($0.hash)]) }),
    ])
  }

  /// Checks that the files are there and are what was written.
  /// - Throws: `InputError` that names the first file that differs, in order of names.
  func verify(folder: String, required: [String]) throws {
    for name in required where files[name] == nil {
      throw InputError(
        "verify checkpoint", at: "\(folder)/\(CheckpointManifest.fileName)", expected: "an entry for \(name)",
        found: "none")
    }
    for (name, entry) in files.sorted(by: { $0.key < $1.key }) {
      let found = try Self.entry(path: "\(folder)/\(name)")
      guard found.byteCount == entry.byteCount else {
        throw InputError(
          "verify checkpoint", at: "\(folder)/\(name)", expected: "\(entry.byteCount) bytes",
          found: "\(found.byteCount)")
      }
      guard found.hash == entry.hash else {
        throw InputError(
          "verify checkpoint", at: "\(folder)/\(name)", expected: "checksum \(entry.hash)", found: found.hash)
      }
    }
  }

  private static func entry(path: String) throws -> Entry {
    let file = try MappedFile(path: path)
    guard let state = XXH3_createState() else { fatalError("out of memory") }
    defer { XXH3_freeState(state) }
    XXH3_128bits_reset(state)
    // A part at a time, so that a checkpoint's size is never resident next to the training state.
    for start in stride(from: 0, to: file.bytes.count, by: partByteCount) {
      let part = start..<min(start + partByteCount, file.bytes.count)
      XXH3_128bits_update(state, file.bytes.baseAddress! + start, part.count)
      file.release(part)
    }
    let hash = XXH3_128bits_digest(state)
    return Entry(byteCount: file.bytes.count, hash: hexadecimal(hash.high64) + hexadecimal(hash.low64))
  }
}
