import Architecture
import Support

/// Writes config.json for a model that did not come with one, and preprocessor_config.json of one that sees.
///
/// `transformers` since 4.45 reads them (Qwen2.5-VL's since 4.52), and `ConfigFile` reads back an equal `ModelConfig`.
extension ConfigFile {
  package static func json(_ config: ModelConfig, tokens: ConfigTokens) -> JSON {
    guard let vision = config.vision else { return .object(text(config, tokens: tokens)) }
    var members = tokens.members
    var decoder = text(config, tokens: tokens)
    decoder["architectures"] = nil
    let model: VisionConfigFile.Model =
      switch vision.family {
      case .clip, .siglip: .llava
      case .qwen: .qwen
      case .internVL: .internVL
      }
    if model == .qwen { decoder["model_type"] = .string("qwen2_5_vl_text") }
    members["architectures"] = .array([.string(model.architecture)])
    members["model_type"] = .string(model.rawValue)
    members["text_config"] = .object(decoder)
    members["vision_config"] = .object(vision.members(decoder: config.hiddenSize))
    members["tie_word_embeddings"] = .bool(config.tiedHead)
    members["torch_dtype"] = .string("float32")
    members["image_token_id"] = .integer(Int64(vision.imageToken))
    members.merge(vision.outerMembers) { $1 }
    return .object(members)
  }

  /// A model of text, or the decoder of one that sees.
  private static func text(_ config: ModelConfig, tokens: ConfigTokens) -> [String: JSON] {
    var members = tokens.members
    members["architectures"] = .array([.string(config.family.architecture)])
    members["model_type"] = .string(config.family.rawValue)
    members["vocab_size"] = integer(config.vocabularySize)
    members["hidden_size"] = integer(config.hiddenSize)
    members["intermediate_size"] = integer(config.feedForwardSize)
    members["num_hidden_layers"] = integer(config.layerCount)
    members["num_attention_heads"] = integer(config.headCount)
    members["num_key_value_heads"] = integer(config.keyValueHeadCount)
    members["head_dim"] = integer(config.headSize)
    members["max_position_embeddings"] = integer(config.maxPositions)
    members["rms_norm_eps"] = number(config.normEpsilon)
    members["rope_theta"] = .number(config.ropeTheta)
    members["rope_scaling"] =
      config.ropeScaling.map { scaling in
        .object([
          "rope_type": .string("llama3"), "factor": .number(scaling.factor),
          "low_freq_factor": .number(scaling.lowFrequencyFactor),
          "high_freq_factor": .number(scaling.highFrequencyFactor),
          "original_max_position_embeddings": integer(scaling.originalMaxPositions),
        ])
      } ?? config.ropeSections.map { sections in
        .object(["type": .string("mrope"), "mrope_section": .array(sections.map(integer))])
      } ?? .null
    members["tie_word_embeddings"] = .bool(config.tiedHead)
    if config.family != .qwen2 { members["attention_bias"] = .bool(config.attentionOutputBias) }
    if config.family == .llama { members["mlp_bias"] = .bool(config.feedForwardBias) }
    if config.family != .llama { members["use_sliding_window"] = .bool(false) }
    members["hidden_act"] = .string("silu")
    members["initializer_range"] = .number(0.02)
    members["use_cache"] = .bool(true)
    members["torch_dtype"] = .string("float32")
    return members
  }

  /// preprocessor_config.json: every image is resized to the encoder's square or rectangle, and its channels are normalised.
  ///
  /// For encoders of one image size, which are SigLIP's in a LLaVA made here.
  static func preprocessor(_ vision: VisionConfig, channels: ChannelStatistics) -> JSON {
    guard let size = vision.imageSize else { preconditionFailure("an encoder without a size of its own") }
    let decimals = { (values: [Double]) in JSON.array(values.map { .number(($0 * 1e4).rounded() / 1e4) }) }
    return .object([
      "image_processor_type": .string("SiglipImageProcessor"), "processor_class": .string("LlavaProcessor"),
      "do_resize": .bool(true), "size": .object(["height": integer(size.height), "width": integer(size.width)]),
      "resample": .integer(3), "do_rescale": .bool(true), "rescale_factor": .number(1 / 255),
      "do_normalize": .bool(true), "image_mean": decimals(channels.mean), "image_std": decimals(channels.deviation),
      "do_convert_rgb": .bool(true),
    ])
  }

  /// processor_config.json: how `transformers` counts an image's tokens; nothing here reads it.
  static func processor(_ vision: VisionConfig, imageToken: String) -> JSON {
    .object([
      "processor_class": .string("LlavaProcessor"), "patch_size": integer(vision.patchSize),
      "vision_feature_select_strategy": .string(vision.featureStrategy), "num_additional_image_tokens": .integer(0),
      "image_token": .string(imageToken),
    ])
  }
}

/// The shortest decimal of an fp32 value: 1e-05, not 9.999999747378752e-06.
private func number(_ value: Float) -> JSON { .number(Double("\(value)") ?? Double(value)) }
private func integer(_ value: Int) -> JSON { .integer(Int64(value)) }

extension VisionConfig {
  /// LLaVA's name for which of the tower's outputs become features: all, or all but the class token's.
  fileprivate var featureStrategy: String { family == .clip ? "default" : "full" }

  /// What stands beside `vision_config`.
  fileprivate var outerMembers: [String: JSON] {
    let projector: [String: JSON] = [
      "projector_hidden_act": .string(projectorActivation.rawValue),
      "vision_feature_select_strategy": .string(family == .internVL ? "default" : featureStrategy),
      "vision_feature_layer": integer(usedLayerCount - layerCount - 1),
    ]
    switch family {
    case .clip, .siglip:
      return projector.merging(
        [
          "image_token_index": .integer(Int64(imageToken)), "multimodal_projector_bias": .bool(projectorBias),
          "image_seq_length": integer(imageSize.map(featureCount) ?? 0),
        ], uniquingKeysWith: { $1 })
    case .qwen: return [:]
    case .internVL: return projector.merging(["downsample_ratio": .number(1 / Double(mergeSize))]) { $1 }
    }
  }

  /// `vision_config`.
  fileprivate func members(decoder width: Int) -> [String: JSON] {
    var members: [String: JSON] = [
      "model_type": .string(family.rawValue), "hidden_size": integer(hiddenSize),
      "intermediate_size": integer(feedForwardSize), "hidden_act": .string(activation.rawValue),
    ]
    func add(_ others: [String: JSON]) { members.merge(others) { $1 } }
    if family == .qwen {
      add([
        "depth": integer(layerCount), "num_heads": integer(headCount), "in_channels": integer(channelCount),
        "patch_size": integer(patchSize), "temporal_patch_size": integer(temporalPatchSize),
        "spatial_merge_size": integer(mergeSize), "window_size": windowSize.map(integer) ?? .null,
        "fullatt_block_indexes": .array(fullAttentionLayers.sorted().map(integer)), "out_hidden_size": integer(width),
      ])
      return members
    }
    func sides(_ height: Int, _ width: Int) -> JSON {
      family == .internVL || height != width ? .array([integer(height), integer(width)]) : integer(height)
    }
    add([
      "num_hidden_layers": integer(layerCount), "num_attention_heads": integer(headCount),
      "num_channels": integer(channelCount), "patch_size": sides(patchSize, patchSize),
      "image_size": imageSize.map { sides($0.height, $0.width) } ?? .null, "layer_norm_eps": number(normEpsilon),
    ])
    switch family {
    case .siglip: add(["vision_use_head": .bool(false)])
    case .internVL:
      add([
        "norm_type": .string(norm.rawValue), "attention_bias": .bool(queryKeyValueBias),
        "use_qk_norm": .bool(queryKeyNorm), "use_mean_pooling": .bool(!finalNorm),
        "use_absolute_position_embeddings": .bool(true), "use_mask_token": .bool(false),
      ])
    case .clip, .qwen: break
    }
    return members
  }
}
