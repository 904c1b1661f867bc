import Architecture
import Support

/// A family of models with a vision encoder and a projector in front of a decoder of text.
///
/// What these families have in common is here: config.json has a section for either part, the decoder's like that of a
/// model of text. A family adds how its vision encoder is described.
package protocol VisionLanguageFamily: ModelFamily {
  /// The decoder's family in this model.
  var decoder: any DecoderFamily { get set }
  /// The families that the decoder may be of; the first is that of files that name none.
  var decoders: [any DecoderFamily] { get }
  /// `tie_word_embeddings` of files that do not say.
  var isTiedByDefault: Bool { get }
  /// `model_type` of the decoder's section.
  var decoderModelType: String { get }

  /// Reads the decoder's section.
  ///
  /// - Returns: the decoder's family, and the model's shape without its vision encoder.
  /// - Throws: `InputError` that names the place and the key.
  func readDecoder(_ keys: ConfigKeys) throws -> (family: any DecoderFamily, config: ModelConfig)

  /// Reads the vision encoder's section, and what stands next to it.
  ///
  /// - Parameters:
  ///   - vision: the section.
  ///   - outer: the whole file.
  ///   - width: C of the decoder.
  /// - Returns: the shape as the file gives it; its sizes are not checked yet.
  /// - Throws: `InputError` that names the place and the key.
  func readVision(_ vision: ConfigKeys, _ outer: ConfigKeys, decoder width: Int) throws -> VisionConfig

  /// The vision encoder's section.
  func visionMembers(_ vision: VisionConfig, decoder width: Int) -> [String: JSON]
  /// What stands next to it.
  func outerMembers(_ vision: VisionConfig) -> [String: JSON]
}

extension VisionLanguageFamily {
  package var isTiedByDefault: Bool { false }
  package var decoderModelType: String { decoder.modelType }

  package func read(_ keys: ConfigKeys) throws -> (family: any ModelFamily, config: ModelConfig) {
    var family = self
    var config: ModelConfig
    (family.decoder, config) = try readDecoder(keys)
    let section = ConfigKeys(
      .object(try keys.required("vision_config", [String: JSON].self)), place: "\(keys.place), vision_config")
    let vision = try readVision(section, keys, decoder: config.hiddenSize)
      .checked(decoder: config.hiddenSize, at: section.place)
    guard vision.imageToken < config.vocabularySize else {
      throw keys.failure(
        "image_token_id", expected: "a token below \(config.vocabularySize)", found: "\(vision.imageToken)")
    }
    config.vision = vision
    return (family, config)
  }

  package func readDecoder(_ keys: ConfigKeys) throws -> (family: any DecoderFamily, config: ModelConfig) {
    guard let section = try keys.optional("text_config", [String: JSON].self) else {
      throw keys.failure("text_config", expected: "an object", found: "none")
    }
    let inner = try decoderKeys(section, place: "\(keys.place), text_config", in: keys)
    let type = try inner.word("model_type", decoders[0].modelType)
    guard let family = decoders.first(where: { $0.modelType == type }) else {
      throw inner.failure("model_type", expected: decoders.map(\.modelType).alternatives, found: type)
    }
    return (family, try family.config(inner))
  }

  /// The decoder's section, with `tie_word_embeddings` of the whole file, which takes precedence over the section's.
  func decoderKeys(_ section: [String: JSON], place: String, in keys: ConfigKeys) throws -> ConfigKeys {
    let key = "tie_word_embeddings"
    let inner = ConfigKeys(.object(section), place: place)
    let isTied = try keys.optional(key, Bool.self) ?? inner.flag(key, isTiedByDefault)
    return ConfigKeys(.object(section.merging([key: .bool(isTied)]) { $1 }), place: place)
  }

  package func members(_ config: ModelConfig, tokens: ConfigTokens) -> [String: JSON] {
    guard let vision = config.vision else { preconditionFailure("a \(modelType) model without a vision encoder") }
    var text = decoder.members(config, tokens: tokens)
    text["architectures"] = nil
    text["model_type"] = .string(decoderModelType)
    var members = tokens.members
    members["architectures"] = .array([.string(architecture)])
    members["model_type"] = .string(modelType)
    members["text_config"] = .object(text)
    members["vision_config"] = .object(visionMembers(vision, decoder: config.hiddenSize))
    members["tie_word_embeddings"] = .bool(config.tiedHead)
    members["torch_dtype"] = .string("float32")
    members["image_token_id"] = .integer(Int64(vision.imageToken))
    return members.merging(outerMembers(vision)) { $1 }
  }

  /// The section's members that ViT towers have in common.
  ///
  /// - Parameters:
  ///   - modelType: `model_type` of the section.
  ///   - sides: height and width as the family writes them.
  func towerMembers(
    _ vision: VisionConfig, modelType: String, sides: (VisionConfig.ImageSize) -> JSON
  ) -> [String: JSON] {
    [
      "model_type": .string(modelType), "hidden_size": .whole(vision.hiddenSize),
      "intermediate_size": .whole(vision.feedForwardSize),
      "hidden_act": .string(vision.activation.function.rawValue), "num_hidden_layers": .whole(vision.layerCount),
      "num_attention_heads": .whole(vision.headCount), "num_channels": .whole(vision.channelCount),
      "patch_size": sides(VisionConfig.ImageSize(height: vision.patchSize, width: vision.patchSize)),
      "image_size": vision.imageSize.map(sides) ?? .null, "layer_norm_eps": .decimal(vision.normEpsilon),
    ]
  }
}

extension VisionConfig.ImageSize {
  /// `[height, width]`
  var member: JSON { .array([.whole(height), .whole(width)]) }
}
