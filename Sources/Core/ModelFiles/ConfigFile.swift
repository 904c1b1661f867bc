import Architecture
import Support

/// Hugging Face's config.json and generation_config.json, read and written.
///
/// A key that would change the arithmetic and is not supported is refused by name; a key that is absent has the value that
/// `transformers` gives it.
///
/// Source: configuration_llama.py, configuration_qwen2.py and configuration_qwen3.py of `transformers`.
package enum ConfigFile {
  /// The model's shape.
  ///
  /// - Throws: `InputError` that names the place and the key.
  package static func config(_ json: JSON, place: String) throws -> ModelConfig {
    guard let model = json["model_type"]?.string.flatMap(VisionConfigFile.Model.init) else {
      return try text(json, place: place)
    }
    let inner = try VisionConfigFile.text(json, model: model, place: place)
    var config = try text(inner, place: json["text_config"] == nil ? place : "\(place), text_config")
    let vision = try VisionConfigFile.vision(json, model: model, decoder: config.hiddenSize, place: place)
    guard vision.imageToken < config.vocabularySize else {
      throw failure(
        place, "image_token_id", expected: "a token below \(config.vocabularySize)", found: "\(vision.imageToken)")
    }
    config.vision = vision
    if model == .qwen { config.ropeSections = try ropeSections(inner, headSize: config.headSize, place: place) }
    return config
  }

  /// The shape of a model of text.
  private static func text(_ json: JSON, place: String) throws -> ModelConfig {
    func integer(_ key: String) throws -> Int? { try json.optional(key, Int.self, at: place) }
    func flag(_ key: String, default value: Bool) throws -> Bool {
      try json.optional(key, Bool.self, at: place) ?? value
    }

    let family = try family(json, place: place)
    try refuseOtherArithmetic(json, place: place)
    let hiddenSize = try json.required("hidden_size", Int.self, at: place)
    let headCount = try json.required("num_attention_heads", Int.self, at: place)
    let headSize = try integer("head_dim") ?? defaultHeadSize(family, hiddenSize, headCount, place: place)
    let rope = try rope(json, place: place)
    let attentionBias = try flag("attention_bias", default: family == .qwen2)
    if family == .qwen2, !attentionBias {
      throw failure(place, "attention_bias", expected: "true or nothing for qwen2", found: "false")
    }
    return try ModelConfig(
      family: family,
      vocabularySize: json.required("vocab_size", Int.self, at: place),
      hiddenSize: hiddenSize,
      feedForwardSize: json.required("intermediate_size", Int.self, at: place),
      layerCount: json.required("num_hidden_layers", Int.self, at: place),
      headCount: headCount,
      keyValueHeadCount: integer("num_key_value_heads")
        ?? (family == .llama || json["num_key_value_heads"] == .null ? headCount : 32),
      headSize: headSize,
      maxPositions: integer("max_position_embeddings") ?? (family == .llama ? 2048 : 32_768),
      normEpsilon: Float(json.optional("rms_norm_eps", Double.self, at: place) ?? 1e-6),
      ropeTheta: rope.theta,
      ropeScaling: rope.scaling,
      tiedHead: flag("tie_word_embeddings", default: false),
      queryKeyValueBias: attentionBias,
      attentionOutputBias: attentionBias && family != .qwen2,
      feedForwardBias: family == .llama ? flag("mlp_bias", default: false) : false,
      queryKeyNorm: family == .qwen3
    ).checked(at: place)
  }

  private static let supportedTypes = "llama, qwen2, qwen3, llava, qwen2_5_vl or internvl"

  private static func failure(_ place: String, _ key: String, expected: String, found: String) -> InputError {
    InputError("read model configuration", at: "\(place), key \(key)", expected: expected, found: found)
  }

  private static func family(_ json: JSON, place: String) throws -> ModelConfig.Family {
    let type = try json.required("model_type", String.self, at: place)
    guard let family = ModelConfig.Family(rawValue: type) else {
      throw failure(place, "model_type", expected: supportedTypes, found: type)
    }
    for architecture in try json.optional("architectures", [JSON].self, at: place) ?? [] {
      guard architecture.string == family.architecture else {
        throw failure(place, "architectures", expected: family.architecture, found: architecture.kind)
      }
    }
    return family
  }

  private static func defaultHeadSize(
    _ family: ModelConfig.Family, _ hiddenSize: Int, _ headCount: Int, place: String
  ) throws -> Int {
    if family == .qwen3 { return 128 }
    guard headCount > 0, hiddenSize % headCount == 0 else {
      throw failure(
        place, "num_attention_heads", expected: "a positive divisor of hidden_size, \(hiddenSize)",
        found: "\(headCount)")
    }
    return hiddenSize / headCount
  }

  private static func refuseOtherArithmetic(_ json: JSON, place: String) throws {
    for (key, supported) in [
      ("hidden_act", [JSON.string("silu")]), ("use_sliding_window", [.bool(false)]), ("quantization_config", []),
      ("partial_rotary_factor", [.integer(1), .number(1)]),
    ] {
      guard let value = json[key], value != .null, !supported.contains(value) else { continue }
      throw failure(place, key, expected: supported.first?.kind ?? "none", found: value.kind)
    }
    for layer in try json.optional("layer_types", [JSON].self, at: place) ?? [] where layer.string != "full_attention" {
      throw failure(place, "layer_types", expected: "full_attention in every layer", found: layer.kind)
    }
  }

  /// `mrope_section` of `rope_scaling` or `rope_parameters`: rotary pairs that turn by time, height and width.
  private static func ropeSections(_ json: JSON, headSize: Int, place: String) throws -> [Int] {
    let parameters = ["rope_parameters", "rope_scaling"].lazy.compactMap { json[$0]?["mrope_section"] }.first
    let sections = (parameters?.array ?? []).compactMap(\.int)
    guard sections.count == 3, sections.allSatisfy({ (0...headSize).contains($0) }),
      sections.reduce(0, +) == headSize / 2
    else {
      throw failure(
        place, "mrope_section", expected: "three numbers that make \(headSize / 2) together",
        found: parameters.map { String(decoding: $0.serialized(), as: UTF8.self) } ?? "nothing")
    }
    return sections
  }

  /// `rope_theta` beside `rope_scaling`, or both in `rope_parameters`, as newer files have it.
  private static func rope(
    _ json: JSON, place: String
  ) throws -> (theta: Double, scaling: ModelConfig.RotaryScaling?) {
    let key = json["rope_parameters"].map { $0 != .null } == true ? "rope_parameters" : "rope_scaling"
    let own = try json.optional("rope_theta", Double.self, at: place)
    guard let parameters = try json.optional(key, [String: JSON].self, at: place).map(JSON.object) else {
      return (own ?? 10_000, nil)
    }
    let inner = "\(place), key \(key)"
    let theta = try parameters.optional("rope_theta", Double.self, at: inner) ?? own ?? 10_000
    let type =
      try parameters.optional("rope_type", String.self, at: inner)
      ?? parameters.required("type", String.self, at: inner)
    switch type {
    case "default", "mrope": return (theta, nil)  // mrope: sections beside it, which `ropeSections` reads
    case "llama3":
      return try (
        theta,
        ModelConfig.RotaryScaling(
          factor: parameters.required("factor", Double.self, at: inner),
          lowFrequencyFactor: parameters.required("low_freq_factor", Double.self, at: inner),
          highFrequencyFactor: parameters.required("high_freq_factor", Double.self, at: inner),
          originalMaxPositions: parameters.required("original_max_position_embeddings", Int.self, at: inner))
      )
    default: throw failure(inner, "rope_type", expected: "default or llama3", found: type)
    }
  }
}

extension ConfigFile {
  /// Whether a tensor of a Hugging Face folder may be left out: a head that is the embedding again, the rotary
  /// frequencies that old files hold, and the numbers of CLIP's positions.
  static func isNoParameter(_ name: String, of config: ModelConfig) -> Bool {
    config.tiedHead && (name == "lm_head.weight" || name == "language_model.lm_head.weight")
      || name.hasSuffix(".rotary_emb.inv_freq") || config.vision != nil && name.hasSuffix(".embeddings.position_ids")
  }

  /// Token ids under a key that holds a number, a list of numbers, or nothing.
  ///
  /// - Throws: `InputError` for an id outside the vocabulary.
  static func tokens(_ key: String, in json: JSON, vocabularySize: Int, place: String) throws -> [Int32] {
    guard let value = json[key], value != .null else { return [] }
    return try (value.array ?? [value]).map { element in
      guard case .integer(let id) = element, (0..<Int64(vocabularySize)).contains(id) else {
        throw failure(place, key, expected: "token ids below \(vocabularySize)", found: element.kind)
      }
      return Int32(id)
    }
  }
}

/// The special tokens that config.json and generation_config.json name.
package struct ConfigTokens: Equatable, Sendable {
  var beginning: Int32?
  /// Every token that ends a completion; the first is the tokenizer's own.
  var ends: [Int32] = []
  var padding: Int32?

  package init(beginning: Int32? = nil, ends: [Int32] = [], padding: Int32? = nil) {
    self.beginning = beginning
    self.ends = ends
    self.padding = padding
  }

  /// The keys of both files.
  var members: [String: JSON] {
    var members: [String: JSON] = [:]
    if let beginning { members["bos_token_id"] = .integer(Int64(beginning)) }
    let ends = ends.map { JSON.integer(Int64($0)) }
    if let first = ends.first { members["eos_token_id"] = ends.count == 1 ? first : .array(ends) }
    if let padding { members["pad_token_id"] = .integer(Int64(padding)) }
    return members
  }

  /// generation_config.json with nothing but these tokens.
  var generationConfig: JSON { .object(members) }
}

extension ModelConfig.Family {
  /// The class name in config.json.
  var architecture: String {
    switch self {
    case .llama: "LlamaForCausalLM"
    case .qwen2: "Qwen2ForCausalLM"
    case .qwen3: "Qwen3ForCausalLM"
    }
  }
}
