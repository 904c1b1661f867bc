import Support

/// A value of GGUF metadata.
///
/// An array stays in the file, checked but not decoded, until it is asked for; so a file with huge arrays costs no
/// memory.
package enum GGUFValue: Sendable {
  case integer(Int64)
  /// An integer above `Int64.max`.
  case unsigned(UInt64)
  case number(Double)
  case bool(Bool)
  case string(String)
  case array(GGUFArray)

  /// The value in the words of an error.
  package var kind: String {
    switch self {
    case .integer(let value): "the integer \(value)"
    case .unsigned(let value): "the integer \(value)"
    case .number(let value): "the number \(value)"
    case .bool(let value): "\(value)"
    case .string(let value): value.utf8.count <= 40 ? "the string \"\(value)\"" : "a string"
    case .array(let array): "an array of \(array.count)"
    }
  }
}

/// An array of GGUF metadata, still in the file.
///
/// Invariant, established by `GGUFType.value`: all its elements lie inside the file.
package struct GGUFArray: Sendable {
  package let elementType: GGUFType
  package let count: Int
  fileprivate let offset: Int
}

/// The type of a metadata value, with the format's number for it.
///
/// Source: ggml/docs/gguf.md, `gguf_metadata_value_type`.
package enum GGUFType: UInt32, Equatable, Sendable {
  case uint8 = 0
  case int8 = 1
  case uint16 = 2
  case int16 = 3
  case uint32 = 4
  case int32 = 5
  case float32 = 6
  case bool = 7
  case string = 8
  case array = 9
  case uint64 = 10
  case int64 = 11
  case float64 = 12

  /// The deepest nesting of arrays in arrays.
  static let arrayDepthMax = 4

  /// The bytes of a value; the least for a string and an array.
  var byteCountMin: Int {
    switch self {
    case .uint8, .int8, .bool: 1
    case .uint16, .int16: 2
    case .uint32, .int32, .float32: 4
    case .uint64, .int64, .float64, .string: 8
    case .array: 12
    }
  }

  /// Whether every value has `byteCountMin` bytes.
  var isFixedSize: Bool { self != .string && self != .array }

  /// Reads a type's number.
  static func read(_ cursor: inout ByteCursor, _ what: String) throws -> GGUFType {
    let start = cursor.offset
    let number = try cursor.integer(UInt32.self, "type of \(what)")
    guard let type = GGUFType(rawValue: number) else {
      throw cursor.failure("type of \(what)", at: start, expected: "0 to 12", found: "\(number)")
    }
    return type
  }

  /// Reads a value of this type.
  ///
  /// - Parameters:
  ///   - what: names the value in errors.
  ///   - depth: how many arrays it lies in.
  func value(_ cursor: inout ByteCursor, _ what: String, depth: Int = 0) throws -> GGUFValue {
    let start = cursor.offset
    switch self {
    case .uint8: return .integer(Int64(try cursor.integer(UInt8.self, what)))
    case .int8: return .integer(Int64(try cursor.integer(Int8.self, what)))
    case .uint16: return .integer(Int64(try cursor.integer(UInt16.self, what)))
    case .int16: return .integer(Int64(try cursor.integer(Int16.self, what)))
    case .uint32: return .integer(Int64(try cursor.integer(UInt32.self, what)))
    case .int32: return .integer(Int64(try cursor.integer(Int32.self, what)))
    case .int64: return .integer(try cursor.integer(Int64.self, what))
    case .uint64:
      let value = try cursor.integer(UInt64.self, what)
      return Int64(exactly: value).map(GGUFValue.integer) ?? .unsigned(value)
    case .float32: return .number(Double(Float(bitPattern: try cursor.integer(UInt32.self, what))))
    case .float64: return .number(Double(bitPattern: try cursor.integer(UInt64.self, what)))
    case .bool:
      let byte = try cursor.integer(UInt8.self, what)
      guard byte <= 1 else { throw cursor.failure(what, at: start, expected: "a bool, 0 or 1", found: "\(byte)") }
      return .bool(byte == 1)
    case .string: return .string(try cursor.string(what))
    case .array:
      guard depth < GGUFType.arrayDepthMax else {
        throw cursor.failure(
          what, at: start, expected: "at most \(GGUFType.arrayDepthMax) nested arrays", found: "more")
      }
      let type = try GGUFType.read(&cursor, "elements of \(what)")
      let count = try cursor.count(ofUnit: type.byteCountMin, "length of \(what)")
      let array = GGUFArray(elementType: type, count: count, offset: cursor.offset)
      switch type {
      case .array: for _ in 0..<count { _ = try type.value(&cursor, what, depth: depth + 1) }
      case .string:
        for _ in 0..<count { try cursor.skip(cursor.count(ofUnit: 1, "length of a string of \(what)"), what) }
      default: try cursor.skip(count * type.byteCountMin, what)
      }
      return .array(array)
    }
  }
}

/// The metadata of a GGUF file, by key.
package struct GGUFMetadata: Sendable {
  package let file: MappedFile
  package let values: [String: GGUFValue]

  /// The error for a key.
  package func failure(_ key: String, expected: String, found: String) -> InputError {
    InputError("read GGUF metadata", at: "\(file.path), key \(key)", expected: expected, found: found)
  }

  /// The value of a key; nil when there is none.
  private func optional<Value>(_ key: String, _ expected: String, _ convert: (GGUFValue) -> Value?) throws -> Value? {
    guard let value = values[key] else { return nil }
    guard let converted = convert(value) else { throw failure(key, expected: expected, found: value.kind) }
    return converted
  }

  package func integer(_ key: String) throws -> Int? {
    try optional(key, "an integer") { if case .integer(let value) = $0 { Int(exactly: value) } else { nil } }
  }

  /// A number, also one that is stored as an integer.
  package func number(_ key: String) throws -> Double? {
    try optional(key, "a number") {
      switch $0 {
      case .number(let value): value
      case .integer(let value): Double(value)
      default: nil
      }
    }
  }

  package func bool(_ key: String) throws -> Bool? {
    try optional(key, "a bool") { if case .bool(let value) = $0 { value } else { nil } }
  }

  package func string(_ key: String) throws -> String? {
    try optional(key, "a string") { if case .string(let value) = $0 { value } else { nil } }
  }

  /// The value of a key that must exist.
  package func required<Value>(_ key: String, _ read: (String) throws -> Value?) throws -> Value {
    guard let value = try read(key) else { throw failure(key, expected: "a value", found: "none") }
    return value
  }

  package func strings(_ key: String) throws -> [String]? {
    guard let array = try array(key, "an array of strings", where: { $0 == .string }) else { return nil }
    var cursor = ByteCursor(file: file, offset: array.offset)
    return try (0..<array.count).map { try cursor.string("string \($0) of \(key)") }
  }

  package func integers(_ key: String) throws -> [Int]? {
    guard
      let array = try array(
        key, "an array of integers", where: { $0.isFixedSize && ![.bool, .float32, .float64].contains($0) })
    else { return nil }
    var cursor = ByteCursor(file: file, offset: array.offset)
    return try (0..<array.count).map { index in
      guard case .integer(let value) = try array.elementType.value(&cursor, key), let integer = Int(exactly: value)
      else {
        throw failure(key, expected: "integers that fit 63 bits", found: "a larger one at index \(index)")
      }
      return integer
    }
  }

  private func array(_ key: String, _ expected: String, where isRight: (GGUFType) -> Bool) throws -> GGUFArray? {
    try optional(key, expected) {
      if case .array(let array) = $0, isRight(array.elementType) { array } else { nil }
    }
  }
}
