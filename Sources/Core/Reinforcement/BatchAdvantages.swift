/// From the rewards and entropies of a batch to an advantage per token: all that the loss gets from the algorithm.
///
/// Everything is indexed `[prompt][sample]` and, for tokens, `[prompt][sample][T]`, in the batch's order (sorted by
/// prompt), which fixes the order of every sum.

/// The advantages of a batch, and what is reported about them.
public struct BatchAdvantages: Equatable, Sendable {
  /// What the loss gets. `[prompt][sample][T]`
  public var tokens: [[[Float]]]
  /// The advantages before shaping. `[prompt][sample]`
  public var samples: [[Float]]
  /// The entropy H that each sample is judged by, as `ShapingSettings.level` says, nats. `[prompt][sample]`
  public var uncertainties: [[Float]]
  /// The shaping weight omega of each sample; 0 when the shaping has none. `[prompt][sample]`
  public var weights: [[Float]]
  /// Hbar: the mean of the samples' mean entropies, nats.
  public var meanEntropy: Float
  /// tau after this batch, nats.
  public var threshold: Float
  /// Groups whose rewards are all equal.
  public var zeroVarianceGroupCount: Int

  /// The quadrant of a sample; a sample is uncertain when its entropy is above tau.
  public func quadrant(_ prompt: Int, _ sample: Int) -> Quadrant? {
    Quadrant(isUncertain: uncertainties[prompt][sample] > threshold, advantage: samples[prompt][sample])
  }
}

/// Steps 3 to 7 of the algorithm: uncertainty, threshold, advantage, shaping.
/// - Parameters:
///   - rewards: `[prompt][sample]`
///   - entropies: of each completion token under the policy at the start of the step, nats. `[prompt][sample][T]`
///   - threshold: tau; updated by this batch first, then used.
public func batchAdvantages(
  rewards: [[Float]], entropies: [[[Float]]], threshold: inout UncertaintyThreshold, advantage: AdvantageSettings,
  shaping settings: ShapingSettings
) -> BatchAdvantages {
  precondition(rewards.map(\.count) == entropies.map(\.count), "rewards and entropies of different shapes")
  let means = entropies.map { $0.map(meanEntropy) }
  let batchMean = mean(means.flatMap { $0 })
  let tau = threshold.update(meanEntropy: batchMean)
  let uncertainties =
    switch settings.level {
    case .sequence: means
    case .group: means.map { group in [Float](repeating: mean(group), count: group.count) }
    }
  let advantages = rewards.map { groupAdvantages(rewards: $0, settings: advantage) }
  let shaping = settings.shaping
  let shaped = shaping.shape(
    UnshapedBatch(
      rewards: rewards, advantages: advantages, entropies: entropies, uncertainties: uncertainties, threshold: tau))
  return BatchAdvantages(
    tokens: shaped.tokens, samples: advantages, uncertainties: uncertainties, weights: shaped.weights,
    meanEntropy: batchMean, threshold: tau, zeroVarianceGroupCount: rewards.count { hasZeroVariance(rewards: $0) })
}

/// H_i, the mean entropy of a sample's tokens, nats; 0 for a sample without tokens.
public func meanEntropy(_ entropies: [Float]) -> Float { mean(entropies) }

func mean(_ values: [Float]) -> Float {
  values.isEmpty ? 0 : Float(values.reduce(0.0) { $0 + Double($1) } / Double(values.count))
}
