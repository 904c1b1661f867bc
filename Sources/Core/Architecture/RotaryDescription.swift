/// How queries and keys are rotated by their positions.
///
/// Source: Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021.
public struct RotaryDescription: Equatable, Sendable {
  /// Llama 3's scaling of the frequencies (`rope_type: llama3`).
  public struct Scaling: Equatable, Sendable {
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

  /// The base of the frequencies: pair i turns by theta^(-2i/D) radians a position.
  public var theta: Double
  public var scaling: Scaling?
  /// With positions of three parts (Qwen2.5-VL): how many rotary pairs turn by time, by height and by width, `[3]`, D/2
  /// together.
  public var sections: [Int]?
  /// The share of each head's width that is rotated.
  public var fraction: Double

  public init(theta: Double = 10_000, scaling: Scaling? = nil, sections: [Int]? = nil, fraction: Double = 1) {
    self.theta = theta
    self.scaling = scaling
    self.sections = sections
    self.fraction = fraction
  }
}
