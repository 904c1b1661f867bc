import Architecture
import Model
import Prompts
import Support
import Tokenizers

/// A model from nothing: its sizes, and the making of one with a tokenizer learned from text and random weights.
///
/// A Llama decoder with a tied head; with `imageSize` above 0, a SigLIP tower and a projector of two layers in front of
/// it, as LLaVA arranges them. The chat is ChatML's; images are `<image>` tokens, and the tags of an answer are tokens
/// of their own, since every completion has them. The defaults make 2.7 million parameters, of which the tower has 0.8
/// million.
///
/// Source: Touvron et al., "Llama 2", 2023; Zhai et al., "Sigmoid Loss for Language Image Pre-Training", 2023; Liu et
/// al., "Improved Baselines with Visual Instruction Tuning", 2023.
extension NewModelSettings {
  /// The image token's text, which is also the placeholder of images in chats.
  public static let imageToken = PromptImage.placeholder
  private static let (padding, turnStart, turnEnd) = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")

  private var addedTokens: [AddedToken] {
    let special = [Self.padding, Self.turnStart, Self.turnEnd] + (imageSize > 0 ? [Self.imageToken] : [])
    let tags = ["<think>", "</think>", "<answer>", "</answer>"]
    return (special + tags).enumerated().map { id, content in
      AddedToken(id: Int32(id), content: content, special: id < special.count)
    }
  }

  /// Turns between `<|im_start|>` and `<|im_end|>`, without a system turn of its own.
  private static let chatTemplate =
    "{% for message in messages %}"
    + "{{'\(turnStart)' + message['role'] + '\\n' + message['content'] + '\(turnEnd)' + '\\n'}}"
    + "{% endfor %}{% if add_generation_prompt %}{{ '\(turnStart)assistant\\n' }}{% endif %}"

  /// Makes the model.
  ///
  /// - Parameters:
  ///   - texts: what the tokenizer is learned from; their order does not matter.
  ///   - channels: the statistics of the images that the model is for.
  ///   - seed: of the weights.
  ///   - place: names the sizes in errors.
  /// - Throws: `InputError` for sizes that no model has.
  public func make(
    texts: some Sequence<String>, channels: ChannelStatistics = .full, seed: UInt64, place: String
  ) throws -> LoadedModel {
    let trainer = try TokenizerTrainer(addedTokens: addedTokens)
    for text in texts { trainer.add(text) }
    var definition = trainer.definition(vocabularySize: vocabularySize)
    let tokens = ConfigTokens(beginning: 1, ends: [2, 0], padding: 0)
    (definition.bosToken, definition.eosToken, definition.padToken) = (1, 2, 0)
    definition.chatTemplate = Self.chatTemplate
    let config = try config(vocabularySize: definition.tokens.count, place: place)
    var files: [String: [UInt8]] = [:]
    if let vision = config.vision {
      let name = ModelDescription.FileName.self
      files[name.preprocessorConfig] = Self.preprocessor(vision, channels: channels).serialized(pretty: true)
      files[name.processorConfig] =
        Self.processor(vision, imageToken: Self.imageToken).serialized(pretty: true)
    }
    let description = try ModelDescription(
      config: config, family: config.vision == nil ? Llama() : LLaVA(), tokenizer: Tokenizer(definition: definition),
      tokens: tokens, others: files, place: place)
    return LoadedModel(description: description, parameters: .random(config: config, seed: seed))
  }

  /// - Throws: `InputError` that names the key of config.json whose value is impossible.
  private func config(vocabularySize: Int, place: String) throws -> ModelConfig {
    guard hiddenSize % headCount == 0 else {
      throw InputError(
        "make a model", at: place, expected: "a hidden size that the \(headCount) heads divide", found: "\(hiddenSize)")
    }
    var config = try ModelConfig(
      vocabularySize: vocabularySize, hiddenSize: hiddenSize, feedForwardSize: feedForwardSize, layerCount: layerCount,
      headCount: headCount, keyValueHeadCount: keyValueHeadCount, maxPositions: maxPositions, tiedHead: true
    ).checked(at: place)
    guard imageSize > 0, let imageToken = addedTokens.first(where: { $0.content == Self.imageToken })?.id else {
      return config
    }
    config.vision = try VisionConfig(
      hiddenSize: visionHiddenSize, feedForwardSize: visionFeedForwardSize, layerCount: visionLayerCount,
      headCount: visionHeadCount, patchSize: patchSize,
      imageSize: VisionConfig.ImageSize(height: imageSize, width: imageSize), unusedFinalNorm: true,
      imageToken: imageToken
    ).checked(decoder: hiddenSize, at: "\(place), vision")
    return config
  }
}

/// The processor's files, as LLaVA with SigLIP has them.
extension NewModelSettings {
  /// preprocessor_config.json: every image is resized to the encoder's square or rectangle, and its channels are
  /// normalised.
  private static func preprocessor(_ vision: VisionConfig, channels: ChannelStatistics) -> JSON {
    guard let size = vision.imageSize else { preconditionFailure("an encoder without a size of its own") }
    let decimals = { (values: [Double]) in JSON.array(values.map { .number(($0 * 1e4).rounded() / 1e4) }) }
    return .object([
      "image_processor_type": .string("SiglipImageProcessor"), "processor_class": .string("LlavaProcessor"),
      "do_resize": .bool(true), "size": .object(["height": .whole(size.height), "width": .whole(size.width)]),
      "resample": .integer(3), "do_rescale": .bool(true), "rescale_factor": .number(1 / 255),
      "do_normalize": .bool(true), "image_mean": decimals(channels.mean), "image_std": decimals(channels.deviation),
      "do_convert_rgb": .bool(true),
    ])
  }

  /// processor_config.json: how `transformers` counts an image's tokens; nothing here reads it.
  private static func processor(_ vision: VisionConfig, imageToken: String) -> JSON {
    .object([
      "processor_class": .string("LlavaProcessor"), "patch_size": .whole(vision.patchSize),
      "vision_feature_select_strategy": .string("full"), "num_additional_image_tokens": .integer(0),
      "image_token": .string(imageToken),
    ])
  }
}
