/// Recursive descent over the bytes of one JSON document; `JSON.parse` says what it accepts.
///
/// Invariant: `offset` never passes `bytes.count`, and recursion never passes `JSON.depthMax`.
struct JSONParser {
  private let bytes: UnsafeBufferPointer<UInt8>
  private let place: String
  private var offset = 0
  private var depth = 0

  init(bytes: UnsafeBufferPointer<UInt8>, place: String) {
    self.bytes = bytes
    self.place = place
  }

  mutating func document() throws -> JSON {
    let value = try value()
    skipWhiteSpace()
    if offset < bytes.count { throw failure(expected: "the end of the document") }
    return value
  }

  private mutating func value() throws -> JSON {
    skipWhiteSpace()
    switch peek {
    case UInt8(ascii: "{"): return try nested { try $0.object() }
    case UInt8(ascii: "["): return try nested { try $0.array() }
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try literal("true", .bool(true))
    case UInt8(ascii: "f"): return try literal("false", .bool(false))
    case UInt8(ascii: "n"): return try literal("null", .null)
    case .some(UInt8(ascii: "0")...UInt8(ascii: "9")), UInt8(ascii: "-"): return try number()
    default: throw failure(expected: "a JSON value")
    }
  }

  private mutating func nested(_ body: (inout JSONParser) throws -> JSON) throws -> JSON {
    guard depth < JSON.depthMax else { throw failure(expected: "at most \(JSON.depthMax) levels of nesting") }
    depth += 1
    defer { depth -= 1 }
    offset += 1  // the opening bracket
    return try body(&self)
  }

  private mutating func object() throws -> JSON {
    var members: [String: JSON] = [:]
    if take(UInt8(ascii: "}")) { return .object(members) }
    while true {
      skipWhiteSpace()
      let start = offset
      let key = try string()
      guard take(UInt8(ascii: ":")) else { throw failure(expected: "':' after a key") }
      let member = try value()
      if members.updateValue(member, forKey: key) != nil {
        throw InputError(
          "parse JSON", at: "\(place), byte \(start)", expected: "each key once", found: "the key \"\(key)\" again")
      }
      if take(UInt8(ascii: "}")) { return .object(members) }
      guard take(UInt8(ascii: ",")) else { throw failure(expected: "',' or '}'") }
    }
  }

  private mutating func array() throws -> JSON {
    var elements: [JSON] = []
    if take(UInt8(ascii: "]")) { return .array(elements) }
    while true {
      elements.append(try value())
      if take(UInt8(ascii: "]")) { return .array(elements) }
      guard take(UInt8(ascii: ",")) else { throw failure(expected: "',' or ']'") }
    }
  }

  private mutating func literal(_ word: StaticString, _ value: JSON) throws -> JSON {
    for index in 0..<word.utf8CodeUnitCount {
      guard peek == word.utf8Start[index] else { throw failure(expected: "\(word)") }
      offset += 1
    }
    return value
  }

  private mutating func number() throws -> JSON {
    let start = offset
    var isInteger = true
    if peek == UInt8(ascii: "-") { offset += 1 }
    if peek == UInt8(ascii: "0") { offset += 1 } else { try digits() }
    if peek == UInt8(ascii: ".") {
      isInteger = false
      offset += 1
      try digits()
    }
    if peek == UInt8(ascii: "e") || peek == UInt8(ascii: "E") {
      isInteger = false
      offset += 1
      if peek == UInt8(ascii: "+") || peek == UInt8(ascii: "-") { offset += 1 }
      try digits()
    }
    let text = String(decoding: bytes[start..<offset], as: UTF8.self)
    if isInteger, let value = Int64(text) { return .integer(value) }
    guard let value = Double(text), value.isFinite else {
      offset = start
      throw failure(expected: "a number within the range of a double")
    }
    return .number(value)
  }

  private mutating func digits() throws {
    let start = offset
    while let byte = peek, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { offset += 1 }
    if offset == start { throw failure(expected: "a digit") }
  }

  private mutating func string() throws -> String {
    guard peek == UInt8(ascii: "\"") else { throw failure(expected: "a string") }
    offset += 1
    let start = offset
    var unescaped: [UInt8]?  // nil as long as the bytes of the document are the string's own
    var runStart = offset
    while true {
      guard let byte = peek else { throw failure(expected: "'\"' at the end of a string") }
      switch byte {
      case UInt8(ascii: "\""):
        let run = bytes[runStart..<offset]
        let text =
          if let unescaped { String(validating: unescaped + run, as: UTF8.self) } else {
            String(validating: run, as: UTF8.self)
          }
        guard let text else {
          throw InputError(
            "parse JSON", at: "\(place), byte \(start)", expected: "valid UTF-8", found: "a string that is not")
        }
        offset += 1
        return text
      case UInt8(ascii: "\\"):
        var text = unescaped ?? []
        unescaped = nil  // so that `text` is appended to in place
        text += bytes[runStart..<offset]
        offset += 1
        try escape(to: &text)
        unescaped = text
        runStart = offset
      case 0..<0x20: throw failure(expected: "control characters in strings written as escapes")
      default: offset += 1
      }
    }
  }

  private mutating func escape(to text: inout [UInt8]) throws {
    guard let byte = peek else { throw failure(expected: "an escape") }
    offset += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"):
      var code = try fourHexDigits()
      if (0xD800..<0xDC00).contains(code), peek == UInt8(ascii: "\\") {
        offset += 1
        guard peek == UInt8(ascii: "u") else { throw failure(expected: "the second half of a surrogate pair") }
        offset += 1
        let low = try fourHexDigits()
        guard (0xDC00..<0xE000).contains(low) else {
          throw failure(expected: "the second half of a surrogate pair before")
        }
        code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
      }
      guard let scalar = Unicode.Scalar(code) else { throw failure(expected: "a surrogate pair, not a half, before") }
      text += UTF8.encode(scalar)!  // a scalar always has an encoding
    default:
      offset -= 1
      throw failure(expected: "one of the escapes \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u")
    }
  }

  private mutating func fourHexDigits() throws -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = peek, let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
        throw failure(expected: "four hexadecimal digits")
      }
      code = code << 4 | UInt32(digit)
      offset += 1
    }
    return code
  }

  private var peek: UInt8? { offset < bytes.count ? bytes[offset] : nil }

  /// Skips white space, then the byte if it is next.
  private mutating func take(_ byte: UInt8) -> Bool {
    skipWhiteSpace()
    guard peek == byte else { return false }
    offset += 1
    return true
  }

  private mutating func skipWhiteSpace() {
    while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { offset += 1 }
  }

  private func failure(expected: String) -> InputError {
    let found =
      switch peek {
      case .none: "the end of the document"
      case .some(let byte) where (0x21..<0x7F).contains(byte): "'\(Character(Unicode.Scalar(byte)))'"
      case .some(let byte): "byte \(byte)"
      }
    return InputError("parse JSON", at: "\(place), byte \(offset)", expected: expected, found: found)
  }
}
