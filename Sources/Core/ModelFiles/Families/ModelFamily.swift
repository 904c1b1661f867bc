import Architecture
import Support

/// What a family of models is to files: how its config.json is read and written, and what its tensors are called.
///
/// A family is one file in this folder and one line in `ModelFamilies.all`. It describes what its layers compute as a
/// `BlockDescription`, so nothing beyond the files asks which family a model belongs to. A family of text conforms to
/// `DecoderFamily`, one with a vision encoder to `VisionLanguageFamily`; both protocols bring what families have in
/// common.
package protocol ModelFamily: Sendable {
  /// `model_type` of config.json, and the family's name in errors.
  var modelType: String { get }
  /// The class under `architectures` of config.json.
  var architecture: String { get }
  /// What its files call the tensors.
  var names: TensorNames { get }
  /// What stands before and after an image's tokens in a chat.
  var imageMarks: (opening: String, closing: String) { get }

  /// Reads config.json, whose `model_type` and `architectures` are the family's.
  ///
  /// A key that would change the arithmetic and is not supported is refused by name.
  ///
  /// - Returns: the model's shape, and the family as this model has it: with a vision encoder, the decoder is one of
  ///   several.
  /// - Throws: `InputError` that names the place and the key.
  func read(_ keys: ConfigKeys) throws -> (family: any ModelFamily, config: ModelConfig)

  /// The members of config.json, as `transformers` since 4.45 reads them (Qwen2.5-VL's since 4.52); `read` gives
  /// `config` back.
  func members(_ config: ModelConfig, tokens: ConfigTokens) -> [String: JSON]
}

extension ModelFamily {
  package var names: TensorNames { .canonical }
  package var imageMarks: (opening: String, closing: String) { ("", "") }
}
