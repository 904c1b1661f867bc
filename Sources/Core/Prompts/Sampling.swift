/// How tokens are sampled. Temperature 0 is greedy.
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

extension SamplingSettings {
  /// A setting that no token can be sampled with.
  public struct Fault: Equatable, Sendable, CustomStringConvertible {
    /// Its name as in a settings file: "top_p".
    public let setting: String
    public let expected: String
    public let found: String
    public var description: String { "\(setting) is \(found), expected \(expected)" }
  }

  /// The first setting that is out of range; nil when all can be used.
  public var fault: Fault? {
    func fault(_ setting: String, _ expected: String, _ found: some CustomStringConvertible) -> Fault {
      Fault(setting: setting, expected: expected, found: found.description)
    }
    if maxNewTokens < 1 { return fault("max_new_tokens", "at least 1", maxNewTokens) }
    if !(temperature >= 0 && temperature.isFinite) { return fault("temperature", "at least 0", temperature) }
    if topK < 0 { return fault("top_k", "at least 0", topK) }
    if !(topP > 0 && topP <= 1) { return fault("top_p", "above 0, at most 1", topP) }
    if !(minP >= 0 && minP <= 1) { return fault("min_p", "0 to 1", minP) }
    return nil
  }
}

/// Why a sample ended.
public enum FinishReason: UInt32, Equatable, Sendable {
  /// A stop token or stop string.
  case stop = 1
  /// `maxNewTokens`, or the model's last position.
  case length = 2
}
