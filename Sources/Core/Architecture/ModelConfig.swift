import Tensor

/// The shape of a Llama-family decoder: Llama, SmolLM2, Qwen2, Qwen3; and of the vision encoder in front of it, if there is one.
///
/// Field names follow Hugging Face's config.json; `ModelFiles` reads and writes that file and GGUF's metadata.
public struct ModelConfig: Equatable, Sendable {
  /// The families whose differences matter to loading and saving.
  public enum Family: String, Equatable, Sendable, CaseIterable {
    case llama
    case qwen2
    case qwen3
  }

  /// Llama 3's scaling of the rotary frequencies (`rope_type: llama3`).
  public struct RotaryScaling: Equatable, Sendable {
    public var factor: Double
    public var lowFrequencyFactor: Double
    public var highFrequencyFactor: Double
    public var originalMaxPositions: Int

    public init(factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalMaxPositions: Int) {
      self.factor = factor
      self.lowFrequencyFactor = lowFrequencyFactor
      self.highFrequencyFactor = highFrequencyFactor
      self.originalMaxPositions = originalMaxPositions
    }
  }

  public var family: Family
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
  public var normEpsilon: Float
  public var ropeTheta: Double
  public var ropeScaling: RotaryScaling?
  /// With positions of three parts (Qwen2.5-VL): how many rotary pairs turn by time, by height and by width, `[3]`, D/2 together.
  public var ropeSections: [Int]?
  /// Whether the output head is the embedding.
  public var tiedHead: Bool
  /// Biases on the query, key and value projections (Qwen2; Llama with attention_bias).
  public var queryKeyValueBias: Bool
  /// A bias on the attention's output projection (Llama with attention_bias).
  public var attentionOutputBias: Bool
  /// Biases on the three feed-forward projections (Llama with mlp_bias).
  public var feedForwardBias: Bool
  /// RMSNorm over each head of the queries and keys (Qwen3).
  public var queryKeyNorm: Bool
  /// The vision encoder in front of the decoder, or nil for a model of text.
  public var vision: VisionConfig?

  public init(
    family: Family = .llama, vocabularySize: Int, hiddenSize: Int, feedForwardSize: Int, layerCount: Int,
    headCount: Int, keyValueHeadCount: Int, headSize: Int? = nil, maxPositions: Int = 2048,
    normEpsilon: Float = 1e-5, ropeTheta: Double = 10_000, ropeScaling: RotaryScaling? = nil,
    ropeSections: [Int]? = nil, tiedHead: Bool = true,
    queryKeyValueBias: Bool = false, attentionOutputBias: Bool = false, feedForwardBias: Bool = false,
    queryKeyNorm: Bool = false, vision: VisionConfig? = nil
  ) {
    self.family = family
    self.vocabularySize = vocabularySize
    self.hiddenSize = hiddenSize
    self.feedForwardSize = feedForwardSize
    self.layerCount = layerCount
    self.headCount = headCount
    self.keyValueHeadCount = keyValueHeadCount
    self.headSize = headSize ?? hiddenSize / headCount
    self.maxPositions = maxPositions
    self.normEpsilon = normEpsilon
    self.ropeTheta = ropeTheta
    self.ropeScaling = ropeScaling
    self.ropeSections = ropeSections
    self.tiedHead = tiedHead
    self.queryKeyValueBias = queryKeyValueBias
    self.attentionOutputBias = attentionOutputBias
    self.feedForwardBias = feedForwardBias
    self.queryKeyNorm = queryKeyNorm
    self.vision = vision
  }
}

extension ModelConfig {
  /// Every parameter in the canonical order: the order of the master weights, of the broadcast and of saved files. The
  /// decoder's have Hugging Face's names; a vision encoder's follow, under "vision." and "projector.", whatever its family.
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
        if queryKeyValueBias { add("self_attn.\(name)_proj.bias", [rows]) }
      }
      if queryKeyNorm {
        add("self_attn.q_norm.weight", [headSize])
        add("self_attn.k_norm.weight", [headSize])
      }
      add("self_attn.o_proj.weight", [hiddenSize, q])
      if attentionOutputBias { add("self_attn.o_proj.bias", [hiddenSize]) }
      add("post_attention_layernorm.weight", [hiddenSize])
      for (name, rows, columns) in [
        ("gate", feedForwardSize, hiddenSize), ("up", feedForwardSize, hiddenSize),
        ("down", hiddenSize, feedForwardSize),
      ] {
        add("mlp.\(name)_proj.weight", [rows, columns])
        if feedForwardBias { add("mlp.\(name)_proj.bias", [rows]) }
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
