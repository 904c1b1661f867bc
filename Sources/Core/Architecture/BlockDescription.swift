/// What a layer of a decoder computes, apart from its sizes. Every layer of a model computes the same.
///
/// The decoder reads this and no family's name. A family's file describes the layers as its models have them, which may
/// be more than the decoder computes: `unsupported` then says what is missing, and `ModelConfig.checked` refuses the
/// model by that name. So a new kind of layer begins as a value here, and its line in `unsupported` goes when the
/// decoder computes it.
public struct BlockDescription: Equatable, Sendable {
  /// The norms of a layer.
  public struct Norm: Equatable, Sendable {
    /// Where attention and feed-forward are normalised.
    public enum Placement: String, Equatable, Sendable {
      /// x + f(norm(x))
      case before
      /// x + norm(f(x)) (OLMo 2)
      case after
      /// x + norm(f(norm(x))) (Gemma 2)
      case around
    }

    public var kind: NormKind
    public var placement: Placement
    /// Added under the square root; the norm after the last layer and those of queries and keys use it too.
    public var epsilon: Float

    public init(kind: NormKind = .rootMeanSquare, placement: Placement = .before, epsilon: Float = 1e-5) {
      self.kind = kind
      self.placement = placement
      self.epsilon = epsilon
    }
  }

  /// The attention of a layer.
  public struct Attention: Equatable, Sendable {
    /// An RMSNorm of the queries, and one of the keys, before they are rotated.
    public enum QueryKeyNorm: String, Equatable, Sendable {
      case absent
      /// Over each head by itself (Qwen3).
      case eachHead
      /// Over all heads together (OLMo 2).
      case allHeads
    }

    /// Biases on the query, key and value projections.
    public var queryKeyValueBias: Bool
    /// A bias on the output projection.
    public var outputBias: Bool
    public var queryKeyNorm: QueryKeyNorm
    /// How many positions a row attends to, its own included; nil for all before it.
    public var window: Int?
    /// c, for scores of c tanh(score / c); nil for scores as they are.
    public var softCap: Float?

    public init(
      queryKeyValueBias: Bool = false, outputBias: Bool = false, queryKeyNorm: QueryKeyNorm = .absent,
      window: Int? = nil, softCap: Float? = nil
    ) {
      self.queryKeyValueBias = queryKeyValueBias
      self.outputBias = outputBias
      self.queryKeyNorm = queryKeyNorm
      self.window = window
      self.softCap = softCap
    }
  }

  /// The feed-forward part of a layer.
  public struct FeedForward: Equatable, Sendable {
    public var activation: Activation
    /// Biases on all projections.
    public var bias: Bool

    public init(activation: Activation = .swiglu, bias: Bool = false) {
      self.activation = activation
      self.bias = bias
    }
  }

  public var norm: Norm
  public var attention: Attention
  public var feedForward: FeedForward
  public var rotary: RotaryDescription

  public init(
    norm: Norm = Norm(), attention: Attention = Attention(), feedForward: FeedForward = FeedForward(),
    rotary: RotaryDescription = RotaryDescription()
  ) {
    self.norm = norm
    self.attention = attention
    self.feedForward = feedForward
    self.rotary = rotary
  }
}

extension BlockDescription {
  /// Something described that the decoder does not compute.
  public struct Unsupported: Equatable, Sendable {
    /// The key in config.json, where there is one.
    public var key: String
    public var expected: String
    public var found: String
  }

  /// The first thing described here that the decoder does not compute, or nil when it computes everything.
  public var unsupported: Unsupported? {
    let activation = feedForward.activation
    let computed: [(key: String, isComputed: Bool, expected: String, found: String)] = [
      ("norm_type", norm.kind == .rootMeanSquare, NormKind.rootMeanSquare.rawValue, norm.kind.rawValue),
      ("norm placement", norm.placement == .before, Norm.Placement.before.rawValue, norm.placement.rawValue),
      ("query and key norms", attention.queryKeyNorm != .allHeads, "norms of each head", "norms over all heads"),
      ("use_sliding_window", attention.window == nil, "false", attention.window.map { "a window of \($0)" } ?? ""),
      ("attn_logit_softcapping", attention.softCap == nil, "none", attention.softCap.map { "\($0)" } ?? ""),
      (
        "hidden_act", activation == .swiglu, "silu with a gate",
        "\(activation.function.rawValue) \(activation.isGated ? "with" : "without") a gate"
      ),
      ("partial_rotary_factor", rotary.fraction == 1, "1", "\(rotary.fraction)"),
    ]
    return computed.first { !$0.isComputed }.map { Unsupported(key: $0.key, expected: $0.expected, found: $0.found) }
  }
}
