import Architecture
import Support

/// The vision part of Hugging Face's config.json, and the text part that stands beside it.
///
/// A key that would change the arithmetic and is not supported is refused by name; a key that is absent has the value that
/// `transformers` gives it.
///
/// Source: configuration_llava.py, configuration_clip.py, configuration_siglip.py, configuration_qwen2_5_vl.py and
/// configuration_internvl.py of `transformers`.
enum VisionConfigFile {
  /// The whole model, by `model_type`.
  enum Model: String, CaseIterable {
    case llava
    case qwen = "qwen2_5_vl"
    case internVL = "internvl"

    var architecture: String {
      switch self {
      case .llava: "LlavaForConditionalGeneration"
      case .qwen: "Qwen2_5_VLForConditionalGeneration"
      case .internVL: "InternVLForConditionalGeneration"
      }
    }
    fileprivate var tiedByDefault: Bool { self == .internVL }
  }

  /// The decoder's own configuration as config.json of a model of text would have it.
  static func text(_ json: JSON, model: Model, place: String) throws -> JSON {
    var members: [String: JSON]
    if let nested = try json.optional("text_config", [String: JSON].self, at: place) {
      members = nested
    } else if model == .qwen, let flat = json.object {
      members = flat  // as the first folders have it
    } else {
      throw failure(place, "text_config", expected: "an object", found: "none")
    }
    let inner = "\(place), text_config"
    if model == .qwen {
      members["model_type"] = .string("qwen2")
    } else {
      let type = try JSON.object(members).optional("model_type", String.self, at: inner) ?? "llama"
      guard type == "llama" || type == "qwen2" else {
        throw failure(inner, "model_type", expected: "llama or qwen2", found: type)
      }
      members["model_type"] = .string(type)
    }
    members["architectures"] = nil
    let tied =
      try json.optional("tie_word_embeddings", Bool.self, at: place)
      ?? JSON.object(members).optional("tie_word_embeddings", Bool.self, at: inner) ?? model.tiedByDefault
    members["tie_word_embeddings"] = .bool(tied)
    return .object(members)
  }

  /// - Parameter width: C of the decoder.
  static func vision(_ json: JSON, model: Model, decoder width: Int, place: String) throws -> VisionConfig {
    for architecture in try json.optional("architectures", [JSON].self, at: place) ?? [] {
      guard architecture.string == model.architecture else {
        throw failure(place, "architectures", expected: model.architecture, found: architecture.kind)
      }
    }
    let inner = JSON.object(try json.required("vision_config", [String: JSON].self, at: place))
    let reader = Reader(json: inner, place: "\(place), vision_config")
    let outer = Reader(json: json, place: place)
    let config =
      switch model {
      case .llava: try llava(outer, reader)
      case .qwen: try qwen(outer, reader, decoder: width)
      case .internVL: try internVL(outer, reader)
      }
    return try config.checked(decoder: width, at: "\(place), vision_config")
  }

  private static func failure(_ place: String, _ key: String, expected: String, found: String) -> InputError {
    InputError("read model configuration", at: "\(place), key \(key)", expected: expected, found: found)
  }

  /// Keys of one object with their default values.
  private struct Reader {
    let json: JSON
    let place: String

    func integer(_ key: String, _ value: Int) throws -> Int { try json.optional(key, Int.self, at: place) ?? value }
    func number(_ key: String, _ value: Double) throws -> Float {
      Float(try json.optional(key, Double.self, at: place) ?? value)
    }
    func flag(_ key: String, _ value: Bool) throws -> Bool { try json.optional(key, Bool.self, at: place) ?? value }
    func word(_ key: String, _ value: String) throws -> String {
      try json.optional(key, String.self, at: place) ?? value
    }

    func require(_ key: String, _ found: some Equatable, _ expected: some Equatable) throws {
      guard "\(found)" == "\(expected)" else {
        throw failure(place, key, expected: "\(expected)", found: "\(found)")
      }
    }

    func activation(_ key: String, _ value: VisionConfig.Activation) throws -> VisionConfig.Activation {
      let name = try word(key, value.rawValue)
      guard let activation = VisionConfig.Activation(rawValue: name), (activation == .swiglu) == (value == .swiglu)
      else {
        let names = VisionConfig.Activation.allCases.filter { ($0 == .swiglu) == (value == .swiglu) }
        throw failure(place, key, expected: names.map(\.rawValue).joined(separator: " or "), found: name)
      }
      return activation
    }

    /// A number, or two equal ones.
    func side(_ key: String, _ value: Int) throws -> Int {
      let sides = try pair(key, value)
      guard sides.height == sides.width else {
        throw failure(place, key, expected: "two equal numbers", found: "\(sides.height) and \(sides.width)")
      }
      return sides.height
    }

    /// A number for both, or height and width.
    func pair(_ key: String, _ value: Int) throws -> VisionConfig.ImageSize {
      guard let array = json[key]?.array else {
        let side = try integer(key, value)
        return VisionConfig.ImageSize(height: side, width: side)
      }
      let numbers = array.compactMap(\.int)
      guard numbers.count == 2, array.count == 2 else {
        throw failure(place, key, expected: "a number or two", found: "\(array.count) elements")
      }
      return VisionConfig.ImageSize(height: numbers[0], width: numbers[1])
    }

    func imageToken(_ value: Int) throws -> Int32 {
      let key = json["image_token_index"].map { $0 != .null } == true ? "image_token_index" : "image_token_id"
      let token = try integer(key, value)
      guard let token = Int32(exactly: token), token >= 0 else {
        throw failure(place, key, expected: "a token", found: "\(token)")
      }
      return token
    }
  }

  private static func llava(_ outer: Reader, _ inner: Reader) throws -> VisionConfig {
    let type = try inner.word("model_type", VisionConfig.Family.clip.rawValue)
    guard let family = VisionConfig.Family(rawValue: type), family == .clip || family == .siglip else {
      throw failure(inner.place, "model_type", expected: "clip_vision_model or siglip_vision_model", found: type)
    }
    let isCLIP = family == .clip
    let strategy = try outer.word("vision_feature_select_strategy", "default")
    try outer.require("vision_feature_select_strategy", strategy, isCLIP ? "default" : "full")
    if !isCLIP { try inner.require("vision_use_head", inner.flag("vision_use_head", true), false) }
    let layers = try inner.integer("num_hidden_layers", 12)
    let layer = try outer.integer("vision_feature_layer", -2)
    guard layers > 0, layers <= 1 << 10, (-layers...layers).contains(layer), layer != 0 else {
      throw failure(
        outer.place, "vision_feature_layer", expected: "a layer's output, \(-layers)...-1 or 1...\(layers)",
        found: "\(layer)")
    }
    return try VisionConfig(
      family: family, hiddenSize: inner.integer("hidden_size", 768),
      feedForwardSize: inner.integer("intermediate_size", 3072), layerCount: layers,
      usedLayerCount: layer < 0 ? layers + 1 + layer : layer, headCount: inner.integer("num_attention_heads", 12),
      channelCount: inner.integer("num_channels", 3), patchSize: inner.integer("patch_size", isCLIP ? 32 : 16),
      imageSize: inner.pair("image_size", 224), normEpsilon: inner.number("layer_norm_eps", isCLIP ? 1e-5 : 1e-6),
      activation: inner.activation("hidden_act", isCLIP ? .quickGELU : .geluTanh),
      projectorActivation: outer.activation("projector_hidden_act", .gelu),
      projectorBias: outer.flag("multimodal_projector_bias", true), imageToken: outer.imageToken(32_000))
  }

  private static func qwen(_ outer: Reader, _ inner: Reader, decoder width: Int) throws -> VisionConfig {
    try inner.require("out_hidden_size", inner.integer("out_hidden_size", 3584), width)
    let channels = inner.json["in_channels"] == nil ? "in_chans" : "in_channels"
    let layers =
      try inner.json.optional("fullatt_block_indexes", [JSON].self, at: inner.place)
      ?? [7, 15, 23, 31].map { .integer($0) }
    return try VisionConfig(
      family: .qwen, hiddenSize: inner.integer("hidden_size", 3584),
      feedForwardSize: inner.integer("intermediate_size", 3420), layerCount: inner.integer("depth", 32),
      headCount: inner.integer("num_heads", 16), channelCount: inner.integer(channels, 3),
      patchSize: inner.integer("patch_size", 14), temporalPatchSize: inner.integer("temporal_patch_size", 2),
      imageSize: nil, norm: .rootMeanSquare, normEpsilon: 1e-6, activation: inner.activation("hidden_act", .swiglu),
      mergeSize: inner.integer("spatial_merge_size", 2), windowSize: inner.integer("window_size", 112),
      fullAttentionLayers: Set(
        layers.map { layer in
          guard let index = layer.int else {
            throw failure(inner.place, "fullatt_block_indexes", expected: "numbers", found: layer.kind)
          }
          return index
        }), imageToken: outer.imageToken(151_655))
  }

  private static func internVL(_ outer: Reader, _ inner: Reader) throws -> VisionConfig {
    try inner.require("use_mask_token", inner.flag("use_mask_token", false), false)
    try inner.require(
      "use_absolute_position_embeddings", inner.flag("use_absolute_position_embeddings", true), true)
    try outer.require("vision_feature_layer", outer.integer("vision_feature_layer", -1), -1)
    try outer.require(
      "vision_feature_select_strategy", outer.word("vision_feature_select_strategy", "default"), "default")
    let name = try inner.word("norm_type", VisionConfig.Norm.layer.rawValue)
    guard let norm = VisionConfig.Norm(rawValue: name) else {
      throw failure(inner.place, "norm_type", expected: "layer_norm or rms_norm", found: name)
    }
    let ratio = try outer.number("downsample_ratio", 0.5)
    guard ratio > 0.01, ratio <= 1, 1 / ratio == (1 / ratio).rounded() else {
      throw failure(outer.place, "downsample_ratio", expected: "1 divided by a whole number", found: "\(ratio)")
    }
    return try VisionConfig(
      family: .internVL, hiddenSize: inner.integer("hidden_size", 1024),
      feedForwardSize: inner.integer("intermediate_size", 4096), layerCount: inner.integer("num_hidden_layers", 24),
      headCount: inner.integer("num_attention_heads", 16), channelCount: inner.integer("num_channels", 3),
      patchSize: inner.side("patch_size", 14), imageSize: inner.pair("image_size", 448), norm: norm,
      normEpsilon: inner.number("layer_norm_eps", 1e-6), activation: inner.activation("hidden_act", .gelu),
      queryKeyValueBias: inner.flag("attention_bias", false), queryKeyNorm: inner.flag("use_qk_norm", false),
      finalNorm: !inner.flag("use_mean_pooling", true), mergeSize: Int(1 / ratio),
      projectorActivation: outer.activation("projector_hidden_act", .gelu), imageToken: outer.imageToken(151_667))
  }
}

extension VisionConfig {
  /// The configuration itself, when every size is possible; `ModelConfig.checked` says why and how.
  func checked(decoder width: Int, at place: String) throws -> VisionConfig {
    func require(_ condition: Bool, _ key: String, _ expected: String, _ found: some Any) throws {
      guard condition else {
        throw InputError("read model configuration", at: "\(place), key \(key)", expected: expected, found: "\(found)")
      }
    }
    for (key, value, largest) in [
      ("hidden_size", hiddenSize, 1 << 15), ("intermediate_size", feedForwardSize, 1 << 17),
      ("num_hidden_layers", layerCount, 1 << 10), ("num_attention_heads", headCount, 1 << 10),
      ("num_channels", channelCount, 16), ("patch_size", patchSize, 256),
      ("temporal_patch_size", temporalPatchSize, 16), ("spatial_merge_size", mergeSize, 16),
      ("image_size", imageSize?.height ?? 1, 1 << 13), ("image_size", imageSize?.width ?? 1, 1 << 13),
      ("window_size", windowSize ?? 1, 1 << 13),
    ] {
      try require((1...largest).contains(value), key, "1 to \(largest)", value)
    }
    let unit = learnedPositions ? 2 : 4
    try require(
      hiddenSize % headCount == 0 && headSize % unit == 0, "num_attention_heads",
      "a divisor of hidden_size, \(hiddenSize), that leaves each head a multiple of \(unit)", headCount)
    for (key, value) in [
      ("intermediate_size", feedForwardSize), ("hidden_size", hiddenSize),
      ("patch_size", patchInputCount), ("text_config.hidden_size", width),
    ] {
      try require(value % 2 == 0, key, "an even number of inputs to a product", value)
    }
    if let imageSize {
      for side in [imageSize.height, imageSize.width] {
        try require(
          side % featurePixels == 0, "image_size", "a multiple of \(featurePixels), the pixels of a feature", side)
      }
    }
    if let windowSize {
      try require(
        windowSize >= featurePixels, "window_size", "at least the \(featurePixels) pixels of a feature", windowSize)
    }
    try require(normEpsilon > 0 && normEpsilon < 1, "layer_norm_eps", "a number between 0 and 1", normEpsilon)
    return self
  }
}
