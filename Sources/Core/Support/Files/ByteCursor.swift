/// Reads a mapped file from front to back; nothing is read, and nothing allocated, before it is known to lie inside the
/// file.
///
/// Invariant: 0 <= offset <= bytes.count. Integers are little-endian at any alignment.
package struct ByteCursor {
  package let file: MappedFile
  package private(set) var offset: Int

  package init(file: MappedFile, offset: Int = 0) {
    precondition((0...file.bytes.count).contains(offset), "offset \(offset) outside \(file.bytes.count) bytes")
    self.file = file
    self.offset = offset
  }

  /// The number of bytes not yet read.
  package var remaining: Int { file.bytes.count - offset }

  /// The next integer.
  ///
  /// - Parameter what: names the field in an error.
  package mutating func integer<Value: FixedWidthInteger>(_ type: Value.Type, _ what: String) throws -> Value {
    let start = try skip(MemoryLayout<Value>.size, what)
    return Value(littleEndian: file.bytes.loadUnaligned(fromByteOffset: start, as: Value.self))
  }

  /// The next 64-bit length, or count of elements of at least `unit` bytes each, which must fit the rest of the file.
  package mutating func count(ofUnit unit: Int, _ what: String) throws -> Int {
    let start = offset
    let value = try integer(UInt64.self, what)
    guard let count = Int(exactly: value), count <= remaining / unit else {
      throw failure(
        what, at: start, expected: "at most \(remaining / unit), what the \(remaining) bytes left can hold",
        found: "\(value)")
    }
    return count
  }

  /// The next string: a 64-bit length and UTF-8.
  package mutating func string(_ what: String) throws -> String {
    let length = try count(ofUnit: 1, "length of \(what)")
    let start = try skip(length, what)
    guard let text = String(validating: file.bytes[start..<start + length], as: UTF8.self) else {
      throw failure(what, at: start, expected: "valid UTF-8", found: "bytes that are not")
    }
    return text
  }

  /// Passes over `count` bytes and returns where they start.
  @discardableResult
  package mutating func skip(_ count: Int, _ what: String) throws -> Int {
    guard count >= 0, count <= remaining else {
      throw failure(
        what, at: offset, expected: "\(count) bytes", found: "\(remaining) bytes before the end of the file")
    }
    defer { offset += count }
    return offset
  }

  /// The error for a field of the file.
  package func failure(_ what: String, at offset: Int, expected: String, found: String) -> InputError {
    InputError("read \(what)", at: "\(file.path), byte \(offset)", expected: expected, found: found)
  }
}
