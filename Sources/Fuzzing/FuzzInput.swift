import Glibc

/// Reads an input from front to back: what a target needs besides the bytes that it decodes, such as an order of
/// events.
///
/// Every input means something: what lies behind the end is zero, or empty.
struct FuzzInput {
  /// Enough to lead a farm astray, and few enough for an input to be quick.
  private static let eventsMax = 200
  private var rest: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { rest = bytes[...] }

  var isEmpty: Bool { rest.isEmpty }

  mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

  mutating func integer(below bound: Int) -> Int { (Int(byte()) | Int(byte()) << 8) % bound }

  /// A length of two bytes, little-endian, and that number of bytes.
  mutating func frame() -> [UInt8] { take(Int(byte()) | Int(byte()) << 8) }

  /// Calls `event`, which takes what it needs from the input, until there is none left, or for `eventsMax` times.
  mutating func events(_ event: (inout FuzzInput) -> Void) {
    var count = 0
    while !isEmpty, count < Self.eventsMax {
      event(&self)
      count += 1
    }
  }

  /// All that is left.
  mutating func remainder() -> [UInt8] { take(rest.count) }

  private mutating func take(_ count: Int) -> [UInt8] {
    defer { rest = rest.dropFirst(count) }
    return Array(rest.prefix(count))
  }

  /// Some bytes of `frame` are replaced: a count, and as many pairs of a place and a byte.
  mutating func spoil(_ frame: [UInt8]) -> [UInt8] {
    var frame = frame
    for _ in 0..<Int(byte() & 7) where !frame.isEmpty {
      let place = integer(below: frame.count)
      frame[place] = byte()
    }
    return frame
  }

  /// The bytes between NUL bytes, which text never has: the first `count` parts, the last of them with all that is
  /// left.
  static func parts(_ bytes: [UInt8], count: Int) -> [[UInt8]] {
    var parts = bytes.split(separator: 0, maxSplits: count - 1, omittingEmptySubsequences: false).map(Array.init)
    parts += Array(repeating: [], count: count - parts.count)
    return parts
  }
}

/// A file without a name, for readers that take a path.
enum NamelessFile {
  /// Calls `body` with a path of a file that holds the bytes, has mode 0600, and is gone afterwards.
  static func with<R>(_ bytes: [UInt8], _ body: (_ path: String) throws -> R) throws -> R {
    var template = Array("/dev/shm/fovea-XXXXXX".utf8CString)
    let descriptor = mkstemp(&template)
    guard descriptor >= 0, unlink(template) == 0 else {
      fatalError("no file in /dev/shm: \(String(cString: strerror(errno)))")
    }
    defer { close(descriptor) }
    var written = 0
    while written < bytes.count {
      let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress! + written, bytes.count - written) }
      guard count > 0 else { fatalError("/dev/shm is full") }
      written += count
    }
    return try body("/proc/self/fd/\(descriptor)")
  }
}

/// What a decoded value promises. A broken promise is a bug.
func promise(_ holds: @autoclosure () throws -> Bool, _ text: String) {
  do {
    guard try holds() else { fatalError("not so: \(text)") }
  } catch { fatalError("not so: \(text): \(error)") }
}
