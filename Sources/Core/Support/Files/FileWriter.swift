import Glibc

/// Writes a new file from front to back, readable by its owner only; what was there before is replaced.
///
/// `finish` returns only when the bytes are on the disk; to make a whole folder appear at once, its owner writes a
/// temporary one and renames it.
package struct FileWriter: ~Copyable {
  private let path: String
  private let descriptor: Int32

  /// - Throws: `InputError` when the file cannot be made.
  package init(path: String) throws {
    self.path = path
    descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    if descriptor < 0 { throw FileWriter.failure(path) }
  }

  deinit { close(descriptor) }

  /// - Throws: `InputError`, for example when the disk is full.
  package func write(_ bytes: UnsafeRawBufferPointer) throws {
    var rest = bytes
    while !rest.isEmpty {
      let written = Glibc.write(descriptor, rest.baseAddress, rest.count)
      if written < 0 {
        if errno == EINTR { continue }
        throw FileWriter.failure(path)
      }
      rest = UnsafeRawBufferPointer(rebasing: rest[written...])
    }
  }

  /// Waits until the bytes are on the disk.
  package func finish() throws {
    if fsync(descriptor) != 0 { throw FileWriter.failure(path) }
  }

  /// Writes a small file at once.
  package static func write(_ bytes: [UInt8], to path: String) throws {
    let writer = try FileWriter(path: path)
    try bytes.withUnsafeBytes { try writer.write($0) }
    try writer.finish()
  }

  private static func failure(_ path: String) -> InputError {
    InputError("write file", at: path, expected: "a writable disk with room", found: String(cString: strerror(errno)))
  }
}
