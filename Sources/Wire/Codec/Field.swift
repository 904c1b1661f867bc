import CProtobufC
import CWire
import Prompts
import Support

/// Checks of single fields on decode. Every one either gives the value or throws an `InputError` that names the field.
enum Field {
  static func failure(_ name: String, expected: String, found: String) -> InputError {
    InputError("decode message", at: name, expected: expected, found: found)
  }

  /// A number in a range; a NaN is in none.
  static func within<T: Comparable>(_ value: T, _ range: ClosedRange<T>, _ name: String) throws -> T {
    guard range.contains(value) else {
      throw failure(name, expected: "\(range.lowerBound) to \(range.upperBound)", found: "\(value)")
    }
    return value
  }

  static func count(_ value: UInt32, _ name: String) throws -> UInt32 {
    try within(value, 0...WireLimits.countMax, name)
  }

  static func total(_ value: UInt64, _ name: String) throws -> UInt64 {
    try within(value, 0...WireLimits.totalMax, name)
  }

  static func version(_ value: UInt64, _ name: String) throws -> PolicyVersion { PolicyVersion(try total(value, name)) }

  static func version(_ pointer: UnsafeMutablePointer<Fovea__Version>?, _ name: String) throws -> PolicyVersion? {
    try pointer.map { try version($0.pointee.value, name) }
  }

  static func finite<T: BinaryFloatingPoint>(_ value: T, _ name: String) throws -> T {
    guard value.isFinite else { throw failure(name, expected: "a finite number", found: "\(value)") }
    return value
  }

  /// The case of an enumeration; 0 and unknown numbers are refused.
  static func known<E: RawRepresentable>(_ value: UInt32, _ name: String) throws -> E where E.RawValue == UInt32 {
    guard let known = E(rawValue: value) else {
      throw failure(name, expected: "a known \(E.self)", found: "\(value)")
    }
    return known
  }

  static func bytes(_ value: ProtobufCBinaryData, _ name: String, max: Int) throws -> [UInt8] {
    guard value.len <= max else { throw failure(name, expected: "at most \(max) bytes", found: "\(value.len)") }
    return Array(UnsafeBufferPointer(start: value.data, count: value.data == nil ? 0 : value.len))
  }

  static func text(_ value: ProtobufCBinaryData, _ name: String, max: Int) throws -> String {
    guard value.len <= max else { throw failure(name, expected: "at most \(max) bytes", found: "\(value.len)") }
    let bytes = UnsafeBufferPointer(start: value.data, count: value.data == nil ? 0 : value.len)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw failure(name, expected: "UTF-8", found: "\(value.len) bytes that are not")
    }
    return text
  }

  static func name(_ value: ProtobufCBinaryData, _ name: String) throws -> String {
    try text(value, name, max: WireLimits.nameByteCountMax)
  }

  static func line(_ value: ProtobufCBinaryData, _ name: String) throws -> String {
    try text(value, name, max: WireLimits.lineByteCountMax)
  }

  /// Encoded images, whatever they hold.
  static func images(
    _ count: Int, _ pointer: UnsafeMutablePointer<ProtobufCBinaryData>?, _ name: String
  ) throws -> [PromptImage] {
    try numbers(count, pointer, name, 0...PromptImage.countMax).map {
      PromptImage(bytes: try bytes($0, name, max: PromptImage.byteCountMax))
    }
  }

  /// A submessage that has to be there.
  static func required<T>(_ pointer: UnsafeMutablePointer<T>?, _ name: String) throws -> T {
    guard let pointer else { throw failure(name, expected: "a value", found: "none") }
    return pointer.pointee
  }

  static func numbers<T>(
    _ count: Int, _ pointer: UnsafeMutablePointer<T>?, _ name: String, _ range: ClosedRange<Int>
  ) throws -> [T] {
    guard range.contains(count) else {
      throw failure(name, expected: "\(range.lowerBound) to \(range.upperBound) elements", found: "\(count)")
    }
    return Array(UnsafeBufferPointer(start: pointer, count: pointer == nil ? 0 : count))
  }

  /// Finite floats, exactly `count` of them.
  static func finite(
    _ found: Int, _ pointer: UnsafeMutablePointer<Float>?, _ name: String, count: Int
  ) throws -> [Float] {
    guard found == count else { throw failure(name, expected: "\(count) elements, one a token", found: "\(found)") }
    let values = try numbers(found, pointer, name, count...count)
    guard values.allSatisfy(\.isFinite) else {
      throw failure(name, expected: "finite numbers", found: "one that is not")
    }
    return values
  }

  /// Tokens of a sequence: at least one, none negative. Whether they lie in the vocabulary only the model's owner
  /// knows.
  static func tokens(_ count: Int, _ pointer: UnsafeMutablePointer<Int32>?, _ name: String) throws -> [Int32] {
    let tokens = try numbers(count, pointer, name, 1...WireLimits.tokensPerSequenceMax)
    guard tokens.allSatisfy({ $0 >= 0 }) else { throw failure(name, expected: "token ids", found: "a negative one") }
    return tokens
  }

  static func list<C, Value>(
    _ count: Int, _ pointer: UnsafeMutablePointer<UnsafeMutablePointer<C>?>?, _ name: String,
    _ range: ClosedRange<Int>, _ element: (C) throws -> Value
  ) throws -> [Value] {
    try numbers(count, pointer, name, range).map { try element(required($0, name)) }
  }

  /// Named numbers, unique by name. They may be anything, a NaN among them: a measurement that went wrong must be seen.
  static func named(
    _ count: Int, _ pointer: UnsafeMutablePointer<UnsafeMutablePointer<Fovea__NamedNumber>?>?, _ name: String
  ) throws -> [String: Double] {
    try unique(
      list(count, pointer, name, 0...WireLimits.metricsMax) { (try Field.name($0.name, name + ".name"), $0.value) },
      name)
  }

  /// Named bytes, unique by name.
  static func named(
    _ count: Int, _ pointer: UnsafeMutablePointer<UnsafeMutablePointer<Fovea__NamedText>?>?, _ name: String,
    entriesMax: Int, max: Int
  ) throws -> [String: [UInt8]] {
    try unique(
      list(count, pointer, name, 0...entriesMax) {
        (try Field.name($0.name, name + ".name"), try bytes($0.value, name + ".value", max: max))
      }, name)
  }

  private static func unique<Value>(_ pairs: [(String, Value)], _ name: String) throws -> [String: Value] {
    let values = Dictionary(pairs) { first, _ in first }
    guard values.count == pairs.count else {
      throw failure(name, expected: "unique names", found: "\(pairs.count - values.count) repeated")
    }
    return values
  }
}
