import Architecture
import Support

/// The keys of one object of config.json.
///
/// A key that is absent or null has the value that `transformers` gives it; each call passes that value along.
package struct ConfigKeys: Sendable {
  package let json: JSON
  /// Names the object in errors.
  package let place: String

  package init(_ json: JSON, place: String) {
    self.json = json
    self.place = place
  }

  /// The error of a key whose value is not supported.
  package func failure(_ key: String, expected: String, found: String) -> InputError {
    InputError("read model configuration", at: "\(place), key \(key)", expected: expected, found: found)
  }

  /// The value of a key, or nil when it is absent or null.
  ///
  /// - Throws: `InputError` when it is of another type.
  package func optional<Value: JSONField>(_ key: String, _ type: Value.Type) throws -> Value? {
    try json.optional(key, type, at: place)
  }

  /// The value of a key that must be there.
  ///
  /// - Throws: `InputError` when it is not, or is of another type.
  package func required<Value: JSONField>(_ key: String, _ type: Value.Type) throws -> Value {
    try json.required(key, type, at: place)
  }

  package func integer(_ key: String, _ absent: Int) throws -> Int { try optional(key, Int.self) ?? absent }
  package func number(_ key: String, _ absent: Double) throws -> Float {
    Float(try optional(key, Double.self) ?? absent)
  }
  package func flag(_ key: String, _ absent: Bool) throws -> Bool { try optional(key, Bool.self) ?? absent }
  package func word(_ key: String, _ absent: String) throws -> String { try optional(key, String.self) ?? absent }

  /// Checks that a value is the one that is supported.
  ///
  /// - Throws: `InputError` that names the key when it is another one.
  package func require<Value: Equatable>(_ key: String, _ found: Value, _ expected: Value) throws {
    guard found == expected else { throw failure(key, expected: "\(expected)", found: "\(found)") }
  }

  /// Checks that all classes under `architectures`, if the key is there, are the one of a family.
  package func requireArchitecture(_ name: String) throws {
    for architecture in try optional("architectures", [JSON].self) ?? [] where architecture.string != name {
      throw failure("architectures", expected: name, found: architecture.kind)
    }
  }

  /// An activation by its function's name; whether it is gated follows from `absent`, the family's.
  ///
  /// - Throws: `InputError` for a function without kernels.
  package func activation(_ key: String, _ absent: Activation) throws -> Activation {
    let name = try word(key, absent.function.rawValue)
    let computed = Activation.Function.allCases.filter { Activation($0, isGated: absent.isGated).isComputed }
    guard let function = computed.first(where: { $0.rawValue == name }) else {
      throw failure(key, expected: computed.map(\.rawValue).joined(separator: " or "), found: name)
    }
    return Activation(function, isGated: absent.isGated)
  }

  /// A number, or two equal ones.
  package func side(_ key: String, _ absent: Int) throws -> Int {
    let sides = try pair(key, absent)
    guard sides.height == sides.width else {
      throw failure(key, expected: "two equal numbers", found: "\(sides.height) and \(sides.width)")
    }
    return sides.height
  }

  /// A number for both, or height and width.
  package func pair(_ key: String, _ absent: Int) throws -> VisionConfig.ImageSize {
    guard let array = json[key]?.array else {
      let side = try integer(key, absent)
      return VisionConfig.ImageSize(height: side, width: side)
    }
    let numbers = array.compactMap(\.int)
    guard numbers.count == 2, array.count == 2 else {
      throw failure(key, expected: "a number or two", found: "\(array.count) elements")
    }
    return VisionConfig.ImageSize(height: numbers[0], width: numbers[1])
  }

  /// The token that stands for an image's features, under either of its two keys.
  package func imageToken(_ absent: Int) throws -> Int32 {
    let key = json["image_token_index"].map { $0 != .null } == true ? "image_token_index" : "image_token_id"
    let token = try integer(key, absent)
    guard let token = Int32(exactly: token), token >= 0 else {
      throw failure(key, expected: "a token", found: "\(token)")
    }
    return token
  }
}
