import Architecture
import Support

/// Hugging Face's config.json and generation_config.json, read and written.
///
/// A key that would change the arithmetic and is not supported is refused by name; a key that is absent has the value
/// that `transformers` gives it. The model's family says what the keys are.
package enum ConfigFile {
  /// The model's family and shape.
  ///
  /// - Parameters:
  ///   - families: those that the file may name.
  ///   - place: names the file in errors.
  /// - Throws: `InputError` that names the place and the key.
  package static func read(
    _ json: JSON, families: [any ModelFamily] = ModelFamilies.all, place: String
  ) throws -> (family: any ModelFamily, config: ModelConfig) {
    let keys = ConfigKeys(json, place: place)
    let type = try keys.required("model_type", String.self)
    guard let family = families.first(where: { $0.modelType == type }) else {
      throw keys.failure("model_type", expected: families.map(\.modelType).alternatives, found: type)
    }
    try keys.requireArchitecture(family.architecture)
    return try family.read(keys)
  }

  /// Token ids under a key that holds a number, a list of numbers, or nothing.
  ///
  /// - Throws: `InputError` for an id outside the vocabulary.
  static func tokens(_ key: String, in json: JSON, vocabularySize: Int, place: String) throws -> [Int32] {
    guard let value = json[key], value != .null else { return [] }
    return try (value.array ?? [value]).map { element in
      guard case .integer(let id) = element, (0..<Int64(vocabularySize)).contains(id) else {
        throw ConfigKeys(json, place: place).failure(
          key, expected: "token ids below \(vocabularySize)", found: element.kind)
      }
      return Int32(id)
    }
  }
}
