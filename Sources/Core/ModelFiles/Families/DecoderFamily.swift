import Architecture
import Support

/// A family of models of text.
///
/// What these families have in common is here: sizes, norm, feed-forward and rotary embedding, under the keys that
/// Llama's config.json gave them. A family adds its values for absent keys, and the keys that only it has.
package protocol DecoderFamily: ModelFamily {
  var defaults: ConfigDefaults { get }
  /// How its GGUF files are laid out; nil when it has none of its own.
  var gguf: GGUFLayout? { get }

  /// Reads what config.json says of the layers under keys of the family's own.
  ///
  /// - Parameter block: has what all families read alike.
  /// - Throws: `InputError` that names the key.
  func readBlock(_ keys: ConfigKeys, into block: inout BlockDescription) throws

  /// Reads what a GGUF file shows of the layers by the tensors that it has.
  ///
  /// - Parameter tensors: names inside the first layer, such as "self_attn.q_proj.bias".
  func readBlock(ggufTensors tensors: Set<String>, into block: inout BlockDescription)

  /// The members that `readBlock` reads.
  func members(_ block: BlockDescription) -> [String: JSON]
}

/// What `transformers` takes for keys that a config.json does not have, where families differ.
package struct ConfigDefaults: Sendable {
  /// `head_dim`; nil for `hidden_size` over `num_attention_heads`.
  package var headSize: Int?
  /// `num_key_value_heads`; nil for as many as there are query heads.
  package var keyValueHeadCount: Int?
  /// `max_position_embeddings`.
  package var maxPositions: Int

  package init(headSize: Int? = nil, keyValueHeadCount: Int? = nil, maxPositions: Int) {
    self.headSize = headSize
    self.keyValueHeadCount = keyValueHeadCount
    self.maxPositions = maxPositions
  }
}

extension DecoderFamily {
  package var gguf: GGUFLayout? { nil }
  package func readBlock(ggufTensors tensors: Set<String>, into block: inout BlockDescription) {}

  package func read(_ keys: ConfigKeys) throws -> (family: any ModelFamily, config: ModelConfig) {
    (self, try config(keys))
  }

  /// The decoder's shape.
  ///
  /// - Parameter keys: of config.json, or of the section of a vision-language model's that describes the decoder.
  /// - Throws: `InputError` that names the place and the key.
  func config(_ keys: ConfigKeys) throws -> ModelConfig {
    let hiddenSize = try keys.required("hidden_size", Int.self)
    let headCount = try keys.required("num_attention_heads", Int.self)
    let isNullKeyValueHeadCount = keys.json["num_key_value_heads"] == .null
    return try ModelConfig(
      vocabularySize: keys.required("vocab_size", Int.self), hiddenSize: hiddenSize,
      feedForwardSize: keys.required("intermediate_size", Int.self),
      layerCount: keys.required("num_hidden_layers", Int.self), headCount: headCount,
      keyValueHeadCount: keys.optional("num_key_value_heads", Int.self)
        ?? (isNullKeyValueHeadCount ? nil : defaults.keyValueHeadCount) ?? headCount,
      headSize: keys.optional("head_dim", Int.self) ?? headSize(hiddenSize, headCount, keys),
      maxPositions: keys.integer("max_position_embeddings", defaults.maxPositions),
      tiedHead: keys.flag("tie_word_embeddings", false), block: block(keys)
    ).checked(at: keys.place)
  }

  private func headSize(_ hiddenSize: Int, _ headCount: Int, _ keys: ConfigKeys) throws -> Int {
    if let headSize = defaults.headSize { return headSize }
    guard headCount > 0, hiddenSize % headCount == 0 else {
      throw keys.failure(
        "num_attention_heads", expected: "a positive divisor of hidden_size, \(hiddenSize)", found: "\(headCount)")
    }
    return hiddenSize / headCount
  }

  private func block(_ keys: ConfigKeys) throws -> BlockDescription {
    if let value = keys.json["quantization_config"], value != .null {
      throw keys.failure("quantization_config", expected: "none", found: value.kind)
    }
    for layer in try keys.optional("layer_types", [JSON].self) ?? [] where layer.string != "full_attention" {
      throw keys.failure("layer_types", expected: "full_attention in every layer", found: layer.kind)
    }
    var block = BlockDescription()
    block.norm.epsilon = try keys.number("rms_norm_eps", 1e-6)
    block.feedForward.activation = try keys.activation("hidden_act", .swiglu)
    if try keys.flag("use_sliding_window", false) {
      block.attention.window = try keys.integer("sliding_window", 4096)
    }
    block.rotary = try RotaryDescription(keys)
    try readBlock(keys, into: &block)
    return block
  }

  package func members(_ config: ModelConfig, tokens: ConfigTokens) -> [String: JSON] {
    var members = tokens.members
    members["architectures"] = .array([.string(architecture)])
    members["model_type"] = .string(modelType)
    members["vocab_size"] = .whole(config.vocabularySize)
    members["hidden_size"] = .whole(config.hiddenSize)
    members["intermediate_size"] = .whole(config.feedForwardSize)
    members["num_hidden_layers"] = .whole(config.layerCount)
    members["num_attention_heads"] = .whole(config.headCount)
    members["num_key_value_heads"] = .whole(config.keyValueHeadCount)
    members["head_dim"] = .whole(config.headSize)
    members["max_position_embeddings"] = .whole(config.maxPositions)
    members["rms_norm_eps"] = .decimal(config.block.norm.epsilon)
    members["rope_theta"] = .number(config.block.rotary.theta)
    members["rope_scaling"] = config.block.rotary.member
    members["tie_word_embeddings"] = .bool(config.tiedHead)
    members["hidden_act"] = .string(config.block.feedForward.activation.function.rawValue)
    members["initializer_range"] = .number(0.02)
    members["use_cache"] = .bool(true)
    members["torch_dtype"] = .string("float32")
    return members.merging(self.members(config.block)) { $1 }
  }
}
