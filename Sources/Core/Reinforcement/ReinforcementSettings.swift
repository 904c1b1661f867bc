/// The choices of the algorithm, as data. Presets fill them; no code asks for a preset's name.

/// How rewards become advantages within a group.
public struct AdvantageSettings: Equatable, Sendable {
  public enum Baseline: String, Sendable, CaseIterable {
    /// The group's mean.
    case mean
    /// The mean of the group's other samples (RLOO).
    case leaveOneOut = "leave_one_out"
  }
  public enum Normalization: String, Sendable, CaseIterable {
    /// Divide by the group's standard deviation + 1e-4 (GRPO).
    case std
    /// No division (Dr. GRPO, RLOO).
    case none
  }
  public var baseline = Baseline.mean
  public var normalize = Normalization.std
  public init() {}
}

/// How uncertainty shapes an advantage.
public struct ShapingSettings: Equatable, Sendable {
  public enum Level: String, Sendable, CaseIterable {
    /// The entropy of the sample itself.
    case sequence
    /// The mean over the prompt's group.
    case group
  }
  /// The name of a shaping of `ShapingDefinition.all`.
  public var kind = "uadt"
  public var level = Level.sequence
  /// UADT: strength, 0...1.
  public var lambda: Float = 0.5
  /// UADT: memory of the threshold, 0..<1.
  public var gamma: Float = 0.9
  /// UADT: slope of the shaping weight.
  public var sensitivity: Float = 1
  /// entropy_bonus: A + min(alpha H, |A| / kappa).
  public var alpha: Float = 0.4
  public var kappa: Float = 2
  public init() {}
}

/// The policy loss.
public struct LossSettings: Equatable, Sendable {
  public enum Aggregation: String, Sendable, CaseIterable {
    /// Mean in each sequence, then over sequences (GRPO).
    case sequence
    /// Over all tokens of the batch (DAPO).
    case token
    /// Sum over `constantLength`, then mean over sequences (Dr. GRPO).
    case constant
  }
  public enum Ratio: String, Sendable, CaseIterable {
    case token
    /// Length-normalised sequence ratio (GSPO).
    case sequence
  }
  public var aggregation = Aggregation.sequence
  public var ratio = Ratio.token
  public var clipLow: Float = 0.2
  public var clipHigh: Float = 0.2
  /// Weight of the k3 estimate of KL to the frozen reference; 0 keeps no reference.
  public var klCoefficient: Float = 0
  /// `aggregation: constant`: tokens.
  public var constantLength: Float = 256
  /// C of truncated importance sampling, min(pi_old / pi_b, C); nil turns it off.
  public var importanceCap: Float?
  public init() {}
}
