/// How tokens are drawn. Temperature 0 is greedy.
public struct SamplingSettings: Equatable, Hashable, Sendable {
  /// Divides the logits; 0 takes the most probable token.
  public var temperature: Float
  /// Keeps the k most probable tokens; 0 keeps all.
  public var topK: Int
  /// Keeps the smallest set of most probable tokens whose mass reaches p; 1 keeps all.
  public var topP: Float
  /// Keeps tokens with at least this share of the most probable one's probability; 0 keeps all.
  public var minP: Float
  /// The most tokens that one sample may have.
  public var maxNewTokens: Int

  public init(temperature: Float = 1, topK: Int = 0, topP: Float = 1, minP: Float = 0, maxNewTokens: Int = 64) {
    self.temperature = temperature
    self.topK = topK
    self.topP = topP
    self.minP = minP
    self.maxNewTokens = maxNewTokens
  }
}

/// Why a sample ended.
public enum FinishReason: UInt32, Equatable, Sendable {
  /// A stop token or stop string.
  case stop = 1
  /// `maxNewTokens`, or the model's last position.
  case length = 2
}
