import Glibc

/// A whole file, mapped read-only: model files are too large to copy.
///
/// Invariant: `bytes` is the file as it was when it was opened. A file that another process shortens meanwhile is out
/// of scope: model files are replaced by renaming, never rewritten in place.
///
/// `@unchecked Sendable`: the memory is private, read-only, and goes only with the last reference.
package final class MappedFile: @unchecked Sendable {
  package let path: String
  package let bytes: UnsafeRawBufferPointer
  private let isMapped: Bool

  /// Maps a regular file.
  ///
  /// - Throws: `InputError` when it cannot be opened or is not a regular file.
  package init(path: String) throws {
    func failure(_ expected: String, _ found: String) -> InputError {
      InputError("open file", at: path, expected: expected, found: found)
    }
    func systemFailure() -> InputError { failure("a readable file", String(cString: strerror(errno))) }
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)  // does not wait for the writer of a pipe
    guard descriptor >= 0 else { throw systemFailure() }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw systemFailure() }
    guard status.st_mode & S_IFMT == S_IFREG else { throw failure("a regular file", "a folder, pipe or device") }
    guard let size = Int(exactly: status.st_size), size >= 0 else { throw failure("a file size", "\(status.st_size)") }
    if size == 0 {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
    } else {
      guard let address = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), address != MAP_FAILED else {
        throw systemFailure()
      }
      bytes = UnsafeRawBufferPointer(start: address, count: size)
    }
    self.path = path
    isMapped = true
  }

  /// A copy of bytes that are in memory, as if a file had them.
  ///
  /// - Parameter path: names them in errors.
  package init(bytes: [UInt8], path: String) {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
    copy.copyBytes(from: bytes)
    self.bytes = UnsafeRawBufferPointer(copy)
    self.path = path
    isMapped = false
  }

  deinit {
    guard isMapped else { return bytes.deallocate() }
    if let address = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: address), bytes.count) }
  }

  /// Gives back the memory of bytes that were read; read again, they come from the file again. Begins at a whole page.
  package func release(_ range: Range<Int>) {
    guard isMapped, let base = bytes.baseAddress else { return }
    madvise(UnsafeMutableRawPointer(mutating: base) + range.lowerBound, range.count, MADV_DONTNEED)
  }

  /// The bytes of a small file.
  ///
  /// - Parameter byteCountMax: the most that is read.
  /// - Throws: `InputError` when the file cannot be read or is larger.
  package static func contents(of path: String, byteCountMax: Int) throws -> [UInt8] {
    let file = try MappedFile(path: path)
    guard file.bytes.count <= byteCountMax else {
      throw InputError(
        "read file", at: path, expected: "at most \(byteCountMax) bytes", found: "\(file.bytes.count) bytes")
    }
    return [UInt8](file.bytes)
  }
}
