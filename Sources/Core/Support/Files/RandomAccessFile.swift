import Glibc

/// A regular file that is read in parts, at any offset, by any thread.
///
/// Unlike a mapping it answers with an error when the file has become shorter, so it suits data that people keep
/// working on.
package final class RandomAccessFile: Sendable {
  package let path: String
  package let byteCount: Int
  private let descriptor: Int32

  /// - Throws: `InputError` when it cannot be opened or is not a regular file.
  package init(path: String) throws {
    self.path = path
    func failure(_ expected: String, _ found: String) -> InputError {
      InputError("open file", at: path, expected: expected, found: found)
    }
    guard !path.isEmpty, !path.utf8.contains(0) else { throw failure("a path", "an empty one, or one with a NUL byte") }
    descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw failure("a readable file", String(cString: strerror(errno))) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw failure("a regular file", "a folder, pipe or device")
    }
    byteCount = Int(status.st_size)
  }

  deinit { close(descriptor) }

  /// Up to `buffer.count` bytes from `offset`; fewer only at the end of the file.
  /// - Returns: how many were read.
  package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws -> Int {
    var count = 0
    while count < buffer.count {
      let step = pread(
        descriptor, buffer.baseAddress.map { $0 + count }, buffer.count - count, off_t(offset) + off_t(count))
      if step < 0 && errno == EINTR { continue }
      guard step >= 0 else {
        throw InputError("read file", at: path, expected: "its bytes", found: String(cString: strerror(errno)))
      }
      if step == 0 { break }
      count += step
    }
    return count
  }

  /// Exactly these bytes.
  /// - Throws: `InputError` when the file ends before.
  package func bytes(at offset: Int, count: Int) throws -> [UInt8] {
    try [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      filled = try read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
      guard filled == count else {
        throw InputError(
          "read file", at: "\(path), byte \(offset)", expected: "\(count) bytes",
          found: "\(filled): the file has changed")
      }
    }
  }
}
