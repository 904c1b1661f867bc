import Tensor

/// The shape of a decoder, and of the vision encoder in front of it if there is one: sizes, and what each layer
/// computes.
///
/// Sizes are called as in Hugging Face's config.json; `ModelFiles` reads and writes that file and GGUF's metadata.
/// Which family a model belongs to matters only to its files, so it does not stand here.
public struct ModelConfig: Equatable, Sendable {
  /// V, rows of the embedding.
  public var vocabularySize: Int
  /// C, the width of the residual stream.
  public var hiddenSize: Int
  /// F, the width of the feed-forward block.
  public var feedForwardSize: Int
  public var layerCount: Int
  /// H
  public var headCount: Int
  /// K
  public var keyValueHeadCount: Int
  /// D
  public var headSize: Int
  /// The longest sequence, in tokens.
  public var maxPositions: Int
  /// Whether the output head is the embedding.
  public var tiedHead: Bool
  /// What every layer computes.
  public var block: BlockDescription
  /// The vision encoder in front of the decoder, or nil for a model of text.
  public var vision: VisionConfig?

  public init(
    vocabularySize: Int, hiddenSize: Int, feedForwardSize: Int, layerCount: Int, headCount: Int,
    keyValueHeadCount: Int, headSize: Int? = nil, maxPositions: Int = 2048, tiedHead: Bool = true,
    block: BlockDescription = BlockDescription(), vision: VisionConfig? = nil
  ) {
    self.vocabularySize = vocabularySize
    self.hiddenSize = hiddenSize
    self.feedForwardSize = feedForwardSize
    self.layerCount = layerCount
    self.headCount = headCount
    self.keyValueHeadCount = keyValueHeadCount
    self.headSize = headSize ?? hiddenSize / headCount
    self.maxPositions = maxPositions
    self.tiedHead = tiedHead
    self.block = block
    self.vision = vision
  }
}

extension ModelConfig {
  /// Every parameter in the canonical order: the order of the master weights, of the broadcast and of saved files. The
  /// decoder's have the names of Llama's files; a vision encoder's follow, under "vision." and "projector.". A family's
  /// `TensorNames` say what its files call them.
  public var parameters: [ParameterShape] {
    let q = headCount * headSize
    let kv = keyValueHeadCount * headSize
    var list = [ParameterShape(name: "model.embed_tokens.weight", shape: [vocabularySize, hiddenSize])]
    for layer in 0..<layerCount {
      let prefix = "model.layers.\(layer)."
      func add(_ name: String, _ shape: [Int]) { list.append(ParameterShape(name: prefix + name, shape: shape)) }
      add("input_layernorm.weight", [hiddenSize])
      for (name, rows) in [("q", q), ("k", kv), ("v", kv)] {
        add("self_attn.\(name)_proj.weight", [rows, hiddenSize])
        if block.attention.queryKeyValueBias { add("self_attn.\(name)_proj.bias", [rows]) }
      }
      if block.attention.queryKeyNorm == .eachHead {
        add("self_attn.q_norm.weight", [headSize])
        add("self_attn.k_norm.weight", [headSize])
      }
      add("self_attn.o_proj.weight", [hiddenSize, q])
      if block.attention.outputBias { add("self_attn.o_proj.bias", [hiddenSize]) }
      add("post_attention_layernorm.weight", [hiddenSize])
      for (name, rows, columns) in [
        ("gate", feedForwardSize, hiddenSize), ("up", feedForwardSize, hiddenSize),
        ("down", hiddenSize, feedForwardSize),
      ] {
        add("mlp.\(name)_proj.weight", [rows, columns])
        if block.feedForward.bias { add("mlp.\(name)_proj.bias", [rows]) }
      }
    }
    list.append(ParameterShape(name: "model.norm.weight", shape: [hiddenSize]))
    if !tiedHead { list.append(ParameterShape(name: "lm_head.weight", shape: [vocabularySize, hiddenSize])) }
    if let vision { list += vision.parameters(decoder: hiddenSize) }
    return list
  }
}

extension ParameterSet {
  /// Allocates zeroed parameters for a model, in the canonical order of `ModelConfig.parameters`.
  public convenience init(config: ModelConfig) { self.init(parameters: config.parameters) }
}
