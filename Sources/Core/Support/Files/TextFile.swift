import Glibc

/// Reads text files that people wrote, a line at a time: data that is too large to hold as a whole.
///
/// Only regular files are read (a pipe or a device could block or never end), and nothing grows beyond the stated
/// limits.
public enum TextFile {
  /// Calls `body` with the number (from 1) and the bytes of every line, without its line feed; holds one line at a
  /// time.
  ///
  /// A carriage return before the line feed and a byte order mark at the start are left out.
  /// - Parameters:
  ///   - lineByteCountMax: a longer line is refused.
  ///   - byteCountMax: a larger file is refused when that many bytes are read.
  public static func forEachLine(
    _ path: String, operation: String, lineByteCountMax: Int, byteCountMax: Int,
    body: (_ line: Int, _ bytes: [UInt8]) throws -> Void
  ) throws {
    var line: [UInt8] = []
    var number = 1
    var byteCount = 0
    func finish() throws {
      if line.last == UInt8(ascii: "\r") { line.removeLast() }
      if number == 1, line.starts(with: [0xEF, 0xBB, 0xBF]) { line.removeFirst(3) }
      try body(number, line)
      line.removeAll(keepingCapacity: true)
      number += 1
    }
    try chunks(path, operation: operation) { chunk in
      byteCount += chunk.count
      guard byteCount <= byteCountMax else {
        throw InputError(operation, at: path, expected: "at most \(byteCountMax) bytes", found: "a larger file")
      }
      var rest = chunk[...]
      while true {
        let end = rest.firstIndex(of: UInt8(ascii: "\n")) ?? rest.endIndex
        guard line.count + (end - rest.startIndex) <= lineByteCountMax else {
          throw InputError(
            operation, at: "\(path):\(number)", expected: "at most \(lineByteCountMax) bytes a line",
            found: "a longer line")
        }
        line.append(contentsOf: rest[..<end])
        if end == rest.endIndex { break }
        try finish()
        rest = rest[(end + 1)...]
      }
    }
    if !line.isEmpty { try finish() }
  }

  private static func chunks(_ path: String, operation: String, body: (UnsafeBufferPointer<UInt8>) throws -> Void)
    throws
  {
    func failure() -> InputError {
      InputError(operation, at: path, expected: "a file that can be read", found: String(cString: strerror(errno)))
    }
    guard !path.utf8.contains(0) else {
      throw InputError(operation, at: path, expected: "a path", found: "a path with a NUL byte")
    }
    let file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard file >= 0 else { throw failure() }
    defer { close(file) }
    var status = stat()
    guard fstat(file, &status) == 0 else { throw failure() }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw InputError(operation, at: path, expected: "a regular file", found: "a folder, pipe or device")
    }
    let buffer = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: 1 << 16)
    defer { buffer.deallocate() }
    while true {
      let count = Glibc.read(file, buffer.baseAddress, buffer.count)
      if count == 0 { return }
      if count < 0 {
        if errno == EINTR { continue }
        throw failure()
      }
      try body(UnsafeBufferPointer(rebasing: UnsafeBufferPointer(buffer)[..<count]))
    }
  }
}
