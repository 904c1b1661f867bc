/// A JSON document as a value (RFC 8259).
///
/// The parser is written out, because what reads a file from outside needs three things that Foundation's does not
/// report: the byte offset of a mistake, keys that occur twice (two readers would disagree about such a file), and
/// whether a number was written as an integer. It is strict: no comments, no trailing commas, no NaN, valid UTF-8 only,
/// and a bounded depth.
///
/// Invariant: `integer` holds every number that was written without fraction and exponent and fits 64 bits; every other
/// number is `number`.
public enum JSON: Equatable, Sendable {
  case null
  case bool(Bool)
  case integer(Int64)
  case number(Double)
  case string(String)
  case array([JSON])
  case object([String: JSON])

  /// The deepest nesting of arrays and objects that `parse` accepts.
  public static let depthMax = 128

  /// Parses one document, with nothing but white space around it.
  ///
  /// - Parameters:
  ///   - bytes: UTF-8 text.
  ///   - place: names the document in errors, for example its file.
  /// - Throws: `InputError` with the byte offset for anything that is not JSON, a key that occurs twice in one object,
  ///   and nesting deeper than `depthMax`.
  public static func parse(_ bytes: [UInt8], place: String) throws -> JSON {
    try bytes.withUnsafeBufferPointer { try parse($0, place: place) }
  }

  /// As `parse(_: [UInt8], place:)`, for bytes that stay where they are, such as a part of a mapped file.
  public static func parse(_ bytes: UnsafeBufferPointer<UInt8>, place: String) throws -> JSON {
    var parser = JSONParser(bytes: bytes, place: place)
    return try parser.document()
  }

  /// The member of an object; nil when there is none or when this is not an object.
  public subscript(key: String) -> JSON? { object?[key] }

  /// A number that is a whole one and fits `Int`, however it was written.
  public var int: Int? {
    switch self {
    case .integer(let value): Int(exactly: value)
    case .number(let value): Int(exactly: value)
    default: nil
    }
  }

  /// Any number.
  public var double: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .number(let value): value
    default: nil
    }
  }

  public var string: String? { if case .string(let value) = self { value } else { nil } }
  public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
  public var array: [JSON]? { if case .array(let value) = self { value } else { nil } }
  public var object: [String: JSON]? { if case .object(let value) = self { value } else { nil } }

  /// What the value is, in the words of an error: "a string", "the number 3".
  public var kind: String {
    switch self {
    case .null: "null"
    case .bool(let value): "\(value)"
    case .integer(let value): "the number \(value)"
    case .number(let value): "the number \(value)"
    case .string(let value): value.utf8.count <= 40 ? "the string \"\(value)\"" : "a string"
    case .array(let values): "an array of \(values.count)"
    case .object: "an object"
    }
  }
}

/// A type that a field of a JSON object may be required to have.
public protocol JSONField {
  /// The type in the words of an error: "an integer".
  static var jsonName: String { get }
  /// nil when the value is of another type.
  init?(json: JSON)
}

extension Int: JSONField {
  public static var jsonName: String { "an integer" }
  public init?(json: JSON) { if let value = json.int { self = value } else { return nil } }
}
extension Double: JSONField {
  public static var jsonName: String { "a number" }
  public init?(json: JSON) { if let value = json.double { self = value } else { return nil } }
}
extension Bool: JSONField {
  public static var jsonName: String { "true or false" }
  public init?(json: JSON) { if let value = json.bool { self = value } else { return nil } }
}
extension String: JSONField {
  public static var jsonName: String { "a string" }
  public init?(json: JSON) { if let value = json.string { self = value } else { return nil } }
}
extension Array: JSONField where Element == JSON {
  public static var jsonName: String { "an array" }
  public init?(json: JSON) { if let value = json.array { self = value } else { return nil } }
}
extension Dictionary: JSONField where Key == String, Value == JSON {
  public static var jsonName: String { "an object" }
  public init?(json: JSON) { if let value = json.object { self = value } else { return nil } }
}

extension JSON {
  /// The member `key`, which must exist and be of the type.
  ///
  /// - Throws: `InputError` that names the place and the key.
  public func required<Value: JSONField>(_ key: String, _ type: Value.Type, at place: String) throws -> Value {
    guard let value = try optional(key, type, at: place) else {
      throw InputError(
        "read JSON", at: "\(place), key \(key)", expected: Value.jsonName, found: self[key]?.kind ?? "nothing")
    }
    return value
  }

  /// The member `key`, or nil when it is absent or null.
  ///
  /// - Throws: `InputError` that names the place and the key when it is of another type, or when this is not an object.
  public func optional<Value: JSONField>(_ key: String, _ type: Value.Type, at place: String) throws -> Value? {
    guard let object else { throw InputError("read JSON", at: place, expected: "an object", found: kind) }
    guard let member = object[key], member != .null else { return nil }
    guard let value = Value(json: member) else {
      throw InputError("read JSON", at: "\(place), key \(key)", expected: Value.jsonName, found: member.kind)
    }
    return value
  }
}

extension JSON {
  /// UTF-8 text with the keys of every object sorted, so that equal values give equal bytes.
  ///
  /// JSON has no word for NaN and infinity; they are written as null.
  ///
  /// - Parameter pretty: one member a line, indented by two spaces, with a final newline.
  public func serialized(pretty: Bool = false) -> [UInt8] {
    var output: [UInt8] = []
    write(to: &output, indentation: pretty ? 0 : nil)
    if pretty { output.append(UInt8(ascii: "\n")) }
    return output
  }

  private func write(to output: inout [UInt8], indentation: Int?) {
    switch self {
    case .null: output += "null".utf8
    case .bool(let value): output += (value ? "true" : "false").utf8
    case .integer(let value): output += String(value).utf8
    case .number(let value): output += (value.isFinite ? "\(value)" : "null").utf8
    case .string(let value): JSON.write(value, to: &output)
    case .array(let values):
      JSON.write(values, between: ("[", "]"), to: &output, indentation) { $0.write(to: &$1, indentation: $2) }
    case .object(let members):
      let sorted = members.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
      JSON.write(sorted, between: ("{", "}"), to: &output, indentation) { member, output, inner in
        JSON.write(member.key, to: &output)
        output += (inner == nil ? ":" : ": ").utf8
        member.value.write(to: &output, indentation: inner)
      }
    }
  }

  private static func write<Element>(
    _ elements: [Element], between brackets: (open: String, close: String), to output: inout [UInt8],
    _ indentation: Int?, element: (Element, inout [UInt8], Int?) -> Void
  ) {
    let inner = indentation.map { $0 + 2 }
    func newLine(_ width: Int?) {
      guard let width, !elements.isEmpty else { return }
      output.append(UInt8(ascii: "\n"))
      output += repeatElement(UInt8(ascii: " "), count: width)
    }
    output += brackets.open.utf8
    for (index, value) in elements.enumerated() {
      if index > 0 { output.append(UInt8(ascii: ",")) }
      newLine(inner)
      element(value, &output, inner)
    }
    newLine(indentation)
    output += brackets.close.utf8
  }

  private static func write(_ string: String, to output: inout [UInt8]) {
    output.append(UInt8(ascii: "\""))
    for byte in string.utf8 {
      switch byte {
      case UInt8(ascii: "\""): output += "\\\"".utf8
      case UInt8(ascii: "\\"): output += "\\\\".utf8
      case UInt8(ascii: "\n"): output += "\\n".utf8
      case UInt8(ascii: "\r"): output += "\\r".utf8
      case UInt8(ascii: "\t"): output += "\\t".utf8
      case 0..<0x20: output += "\\u00\(byte < 16 ? "0" : "")\(String(byte, radix: 16))".utf8
      default: output.append(byte)
      }
    }
    output.append(UInt8(ascii: "\""))
  }
}
