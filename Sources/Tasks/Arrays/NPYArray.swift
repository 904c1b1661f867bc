import Support

/// An array of numpy's .npy format, versions 1 and 2: little-endian numbers in C order.
///
/// Source: numpy.lib.format.
package struct NPYArray: Equatable, Sendable {
  package enum Element: String, Sendable, CaseIterable {
    case uint8 = "|u1"
    case int32 = "<i4"
    case int64 = "<i8"
    case float32 = "<f4"
    case float64 = "<f8"

    package var byteCount: Int {
      switch self {
      case .uint8: 1
      case .int32, .float32: 4
      case .int64, .float64: 8
      }
    }
  }

  package let shape: [Int]
  package let element: Element
  /// `count * element.byteCount` bytes.
  package let bytes: [UInt8]

  package var count: Int { bytes.count / element.byteCount }

  /// - Parameter place: names the file in errors.
  package init(file: [UInt8], place: String) throws {
    func failure(_ expected: String, _ found: String) -> InputError {
      InputError("read array", at: place, expected: expected, found: found)
    }
    guard file.count >= 10, file.starts(with: [0x93] + Array("NUMPY".utf8)) else {
      throw failure("a .npy file", "\(file.count) bytes of something else")
    }
    let version = file[6]
    guard version == 1 || version == 2 else { throw failure("version 1 or 2", "\(version)") }
    let lengthByteCount = version == 1 ? 2 : 4
    guard file.count >= 8 + lengthByteCount else { throw failure("a header", "the end of the file") }
    let length = file[8..<8 + lengthByteCount].reversed().reduce(0) { $0 << 8 | Int($1) }
    let start = 8 + lengthByteCount + length
    guard length <= 1 << 16, start <= file.count else {
      throw failure("a header within the file", "one of \(length) bytes")
    }
    let text = file[8 + lengthByteCount..<start]
    var header = HeaderParser(text: text)
    guard let (description, isFortran, shape) = header.parse() else {
      throw failure(
        "a header like {'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }",
        "\"\(String(decoding: text.prefix(120), as: UTF8.self))\"")
    }
    guard !isFortran else { throw failure("an array in C order", "Fortran order") }
    guard let element = Element(rawValue: description == "<u1" ? "|u1" : description) else {
      throw failure("numbers of type \(Element.allCases.map(\.rawValue).joined(separator: ", "))", description)
    }
    var byteCount = element.byteCount
    for side in shape {
      let (product, overflow) = byteCount.multipliedReportingOverflow(by: side)
      guard !overflow else { throw failure("a shape that can be", "\(shape)") }
      byteCount = product
    }
    guard byteCount == file.count - start else {
      throw failure("\(byteCount) bytes for the shape \(shape)", "\(file.count - start)")
    }
    self.shape = shape
    self.element = element
    bytes = Array(file[start...])
  }

  /// The numbers, whatever their type.
  package var doubles: [Double] {
    bytes.withUnsafeBytes { raw in
      (0..<count).map { index in
        let at = index * element.byteCount
        return switch element {
        case .uint8: Double(raw[at])
        case .int32: Double(Int32(littleEndian: raw.loadUnaligned(fromByteOffset: at, as: Int32.self)))
        case .int64: Double(Int64(littleEndian: raw.loadUnaligned(fromByteOffset: at, as: Int64.self)))
        case .float32:
          Double(Float(bitPattern: UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: at, as: UInt32.self))))
        case .float64:
          Double(bitPattern: UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: at, as: UInt64.self)))
        }
      }
    }
  }

  /// The header is a Python dictionary with three keys, in any order; nothing else is accepted.
  private struct HeaderParser {
    var text: ArraySlice<UInt8>

    mutating func parse() -> (description: String, isFortran: Bool, shape: [Int])? {
      var (description, isFortran, shape): (String?, Bool?, [Int]?)
      guard take("{") else { return nil }
      while !take("}") {
        guard let key = quoted(), take(":") else { return nil }
        switch key {
        case "descr" where description == nil: description = quoted()
        case "fortran_order" where isFortran == nil:
          isFortran = take("True") ? true : take("False") ? false : nil
        case "shape" where shape == nil: shape = tuple()
        default: return nil
        }
        if !take(",") {
          guard take("}") else { return nil }
          break
        }
      }
      skipSpace()
      guard text.isEmpty, let description, let isFortran, let shape else { return nil }
      return (description, isFortran, shape)
    }

    private mutating func skipSpace() { text = text.drop { $0 == 0x20 || $0 == 0x0A } }

    private mutating func take(_ word: String) -> Bool {
      skipSpace()
      guard text.starts(with: word.utf8) else { return false }
      text = text.dropFirst(word.utf8.count)
      return true
    }

    private mutating func quoted() -> String? {
      guard take("'"), let end = text.firstIndex(of: UInt8(ascii: "'")) else { return nil }
      defer { text = text[(end + 1)...] }
      return String(decoding: text[..<end], as: UTF8.self)
    }

    /// At most 32 sides, as numpy has it.
    private mutating func tuple() -> [Int]? {
      guard take("(") else { return nil }
      var sides: [Int] = []
      while !take(")") {
        skipSpace()
        let digits = text.prefix { (0x30...0x39).contains($0) }
        guard let side = Int(String(decoding: digits, as: UTF8.self)), sides.count < 32 else { return nil }
        text = text.dropFirst(digits.count)
        sides.append(side)
        // (3,) is a tuple and (3) is not; numpy writes the first.
        if !take(",") {
          guard sides.count > 1, take(")") else { return nil }
          break
        }
      }
      return sides
    }
  }
}
