import Support

/// The elements of one large JSON array, one at a time, so that a file of many gigabytes needs the memory of its
/// largest row.
///
/// It finds where elements end by counting brackets outside strings; whether an element is valid JSON is for
/// `JSON.parse`, so that a bad element is reported and the next one is read. Only a file with unbalanced brackets
/// cannot be read further.
enum JSONArrayReader {
  /// Six images of the largest size in base64, and text.
  static let elementByteCountMax = 300 << 20

  /// Where an element lies.
  struct Place: Equatable, Sendable {
    var offset: Int
    var byteCount: Int
  }

  /// Calls `body` with each element's number (from 0), place and bytes.
  /// - Throws: `InputError` for a file that is no array of elements, and what `body` throws.
  static func forEachElement(
    of file: RandomAccessFile, body: (_ index: Int, _ place: Place, _ bytes: [UInt8]) throws -> Void
  ) throws {
    var splitter = Splitter(file: file)
    let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
    defer { chunk.deallocate() }
    var offset = 0
    while true {
      let count = try file.read(into: chunk, at: offset)
      if count == 0 { break }
      try splitter.take(
        UnsafeBufferPointer(rebasing: chunk.assumingMemoryBound(to: UInt8.self)[..<count]), at: offset, body)
      offset += count
    }
    try splitter.finish(at: offset)
  }

  private struct Splitter {
    enum State { case start, beforeFirst, beforeElement, inElement, done }

    let file: RandomAccessFile
    var state = State.start
    var index = 0
    var start = 0
    var depth = 0
    var isInString = false
    var isEscaped = false
    var element: [UInt8] = []

    init(file: RandomAccessFile) { self.file = file }

    func failure(at offset: Int, expected: String, found: String) -> InputError {
      InputError("read rows", at: "\(file.path), byte \(offset)", expected: expected, found: found)
    }

    mutating func take(
      _ chunk: UnsafeBufferPointer<UInt8>, at base: Int, _ body: (Int, Place, [UInt8]) throws -> Void
    ) throws {
      var at = 0
      while at < chunk.count {
        guard state == .inElement else {
          try takeOutside(chunk[at], at: base + at)
          if state != .inElement { at += 1 }
          continue
        }
        let from = at
        let isEnd = scanElement(chunk, &at)
        guard element.count + (at - from) <= elementByteCountMax else {
          throw failure(
            at: start, expected: "rows of at most \(elementByteCountMax) bytes", found: "row \(index), which is longer")
        }
        element.append(contentsOf: chunk[from..<at])
        guard isEnd else { continue }
        guard chunk[at] != UInt8(ascii: "}") else {
          throw failure(at: base + at, expected: "',' or ']' after row \(index)", found: "'}'")
        }
        try body(index, Place(offset: start, byteCount: element.count), element)
        element.removeAll(keepingCapacity: element.count <= 1 << 20)
        index += 1
        state = chunk[at] == UInt8(ascii: "]") ? .done : .beforeElement
        at += 1
      }
    }

    private mutating func takeOutside(_ byte: UInt8, at offset: Int) throws {
      if byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { return }
      switch (state, byte) {
      case (.start, UInt8(ascii: "[")): state = .beforeFirst
      case (.start, _):
        // A byte order mark, in its place.
        if offset < 3, byte == [0xEF, 0xBB, 0xBF][offset] { return }
        throw failure(at: offset, expected: "a JSON array of rows, '['", found: "byte \(byte)")
      case (.beforeFirst, UInt8(ascii: "]")): state = .done
      case (.done, _): throw failure(at: offset, expected: "nothing after the array", found: "byte \(byte)")
      case (_, UInt8(ascii: ",")), (_, UInt8(ascii: "]")), (_, UInt8(ascii: "}")):
        throw failure(at: offset, expected: "row \(index)", found: "'\(Character(UnicodeScalar(byte)))'")
      default:
        (state, start, depth, isInString, isEscaped) = (.inElement, offset, 0, false, false)
      }
    }

    /// Moves `at` to the end of the element, or of the chunk.
    /// - Returns: whether the element has ended: at a comma or a closing bracket outside of it.
    private mutating func scanElement(_ chunk: UnsafeBufferPointer<UInt8>, _ at: inout Int) -> Bool {
      while at < chunk.count {
        let byte = chunk[at]
        if isInString {
          if isEscaped {
            isEscaped = false
          } else if byte == UInt8(ascii: "\\") {
            isEscaped = true
          } else if byte == UInt8(ascii: "\"") {
            isInString = false
          }
        } else {
          switch byte {
          case UInt8(ascii: "\""): isInString = true
          case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
          case UInt8(ascii: "}"), UInt8(ascii: "]"):
            if depth == 0 { return true }
            depth -= 1
          case UInt8(ascii: ","):
            if depth == 0 { return true }
          default: break
          }
        }
        at += 1
      }
      return false
    }

    func finish(at offset: Int) throws {
      guard state == .done else {
        throw failure(
          at: offset, expected: "']' after the last row",
          found:
            "the end of the file \(state == .inElement ? "within row \(index), which begins at byte \(start)" : "")")
      }
    }
  }
}
