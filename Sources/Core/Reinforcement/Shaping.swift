/// A way in which uncertainty shapes the advantages of a batch, as pure functions of its rewards and entropies.
///
/// A new shaping is one file with a type that conforms, and one line in `ShapingDefinition.all`. Most shapings look at
/// one sample at a time and implement `weight` and `shaped`; one that compares samples or prompts implements `shape`.
public protocol Shaping: Sendable {
  /// The shaping weight omega of a sample; 0 by default.
  /// - Parameters:
  ///   - uncertainty: H of the sample, nats.
  ///   - threshold: tau, nats.
  func weight(uncertainty: Float, threshold: Float) -> Float

  /// The advantage of each token of one sample.
  /// - Parameters:
  ///   - weight: omega of the sample.
  ///   - entropies: nats. `[T]`
  /// - Returns: `[T]`
  func shaped(advantage: Float, weight: Float, entropies: [Float]) -> [Float]

  /// Weights and advantages of a whole batch; by default `weight` and `shaped` of every sample.
  func shape(_ batch: UnshapedBatch) -> ShapedBatch

  /// The formula with the settings' values in it, for a person who follows one group by hand.
  var formula: String { get }

  /// What shaping does to a sample of the quadrant and weight, in two words; nil when it does nothing.
  func effect(on quadrant: Quadrant, weight: Float) -> String?

  /// Measurements of a step in addition to those that every shaping has; the table of metrics explains their names.
  /// - Parameter weights: omega of every sample of the batch.
  func metrics(weights: [Double]) -> [String: Double]
}

extension Shaping {
  public func weight(uncertainty: Float, threshold: Float) -> Float { 0 }
  public func effect(on quadrant: Quadrant, weight: Float) -> String? { nil }
  public func metrics(weights: [Double]) -> [String: Double] { [:] }

  public func shape(_ batch: UnshapedBatch) -> ShapedBatch {
    let weights = batch.uncertainties.map { group in
      group.map { weight(uncertainty: $0, threshold: batch.threshold) }
    }
    let tokens = batch.advantages.indices.map { p in
      batch.advantages[p].indices.map { i in
        shaped(advantage: batch.advantages[p][i], weight: weights[p][i], entropies: batch.entropies[p][i])
      }
    }
    return ShapedBatch(weights: weights, tokens: tokens)
  }
}

/// What a shaping may look at.
public struct UnshapedBatch: Equatable, Sendable {
  /// `[prompt][sample]`
  public var rewards: [[Float]]
  /// `[prompt][sample]`
  public var advantages: [[Float]]
  /// The entropy of each token, nats. `[prompt][sample][T]`
  public var entropies: [[[Float]]]
  /// The entropy H that each sample is judged by, nats. `[prompt][sample]`
  public var uncertainties: [[Float]]
  /// tau, nats.
  public var threshold: Float

  public init(
    rewards: [[Float]], advantages: [[Float]], entropies: [[[Float]]], uncertainties: [[Float]], threshold: Float
  ) {
    self.rewards = rewards
    self.advantages = advantages
    self.entropies = entropies
    self.uncertainties = uncertainties
    self.threshold = threshold
  }
}

/// What a shaping gives.
public struct ShapedBatch: Equatable, Sendable {
  /// omega; 0 when the shaping has none. `[prompt][sample]`
  public var weights: [[Float]]
  /// The advantage of each token. `[prompt][sample][T]`
  public var tokens: [[[Float]]]

  public init(weights: [[Float]], tokens: [[[Float]]]) {
    self.weights = weights
    self.tokens = tokens
  }
}

/// One line of the table of shapings.
public struct ShapingDefinition: Sendable {
  /// The value of `algorithm.shaping.kind`.
  public var name: String
  /// What it is and where it comes from, one line.
  public var summary: String
  public var make: @Sendable (ShapingSettings) -> any Shaping

  /// Every shaping that the settings can name.
  public static let all = [
    ShapingDefinition(name: "none", summary: "the preset as it is") { _ in Unshaped() },
    ShapingDefinition(name: "uadt", summary: "Uncertainty-Aware Dynamic Thinking, arXiv 2508.16129") { UADT($0) },
    ShapingDefinition(name: "entropy_bonus", summary: "an entropy bonus on each token, arXiv 2506.14758") {
      EntropyBonus($0)
    },
  ]
}

extension ShapingSettings {
  /// The shaping that `kind` names, which must be one of `ShapingDefinition.all`.
  public var shaping: any Shaping {
    guard let definition = ShapingDefinition.all.first(where: { $0.name == kind }) else {
      preconditionFailure("no shaping named \(kind)")
    }
    return definition.make(self)
  }
}

/// No shaping: every token has its sample's advantage.
public struct Unshaped: Shaping {
  public init() {}
  public var formula: String { "A' = A: nothing is shaped." }

  public func shaped(advantage: Float, weight: Float, entropies: [Float]) -> [Float] {
    [Float](repeating: advantage, count: entropies.count)
  }
}
