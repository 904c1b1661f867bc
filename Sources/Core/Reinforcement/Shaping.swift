/// From the rewards and entropies of a batch to an advantage per token: all that the loss sees of the algorithm.
///
/// Everything is indexed `[prompt][sample]` and, for tokens, `[prompt][sample][T]`, in the batch's order (sorted by prompt),
/// which fixes the order of every sum.

/// The advantages of a batch, and what is reported about them.
public struct BatchAdvantages: Equatable, Sendable {
  /// What the loss gets. `[prompt][sample][T]`
  public var tokens: [[[Float]]]
  /// Before shaping. `[prompt][sample]`
  public var samples: [[Float]]
  /// H that each sample's omega comes from, as `ShapingSettings.level` says, nats. `[prompt][sample]`
  public var uncertainties: [[Float]]
  /// omega of each sample; 0 when the shaping has none. `[prompt][sample]`
  public var factors: [[Float]]
  /// Hbar: the mean of the samples' mean entropies, nats.
  public var meanEntropy: Float
  /// tau after this batch, nats.
  public var threshold: Float
  /// Groups whose rewards are all equal.
  public var zeroVarianceGroupCount: Int

  /// Where a sample stands; uncertain is above tau.
  public func quadrant(_ prompt: Int, _ sample: Int) -> Quadrant? {
    Quadrant(isUncertain: uncertainties[prompt][sample] > threshold, advantage: samples[prompt][sample])
  }
}

/// Steps 3 to 7 of the algorithm: uncertainty, threshold, factor, advantage, shaping.
/// - Parameters:
///   - rewards: `[prompt][sample]`
///   - entropies: of each completion token under the policy at the start of the step, nats. `[prompt][sample][T]`
///   - threshold: tau; updated by this batch first, then used.
public func batchAdvantages(
  rewards: [[Float]], entropies: [[[Float]]], threshold: inout UncertaintyThreshold, advantage: AdvantageSettings,
  shaping: ShapingSettings
) -> BatchAdvantages {
  precondition(rewards.map(\.count) == entropies.map(\.count), "rewards and entropies of different shapes")
  let means = entropies.map { $0.map(meanEntropy) }
  let batchMean = mean(means.flatMap { $0 })
  let tau = threshold.update(meanEntropy: batchMean)
  let uncertainties =
    switch shaping.level {
    case .sequence: means
    case .group: means.map { group in [Float](repeating: mean(group), count: group.count) }
    }
  let advantages = rewards.map { groupAdvantages(rewards: $0, settings: advantage) }
  let factors = uncertainties.map { group in
    group.map { entropy in
      shaping.kind == .uadt
        ? UADT.factor(entropy: entropy, threshold: tau, sensitivity: shaping.sensitivity) : 0
    }
  }
  let tokens = advantages.indices.map { p in
    advantages[p].indices.map { i in
      shapedAdvantages(
        advantage: advantages[p][i], factor: factors[p][i], entropies: entropies[p][i], settings: shaping)
    }
  }
  return BatchAdvantages(
    tokens: tokens, samples: advantages, uncertainties: uncertainties, factors: factors, meanEntropy: batchMean,
    threshold: tau,
    zeroVarianceGroupCount: rewards.count { hasZeroVariance(rewards: $0) })
}

/// The advantage of each token of one sample. A new shaping is one file and one case here.
/// - Parameters:
///   - factor: omega of the sample.
///   - entropies: nats. `[T]`
/// - Returns: `[T]`
public func shapedAdvantages(
  advantage: Float, factor: Float, entropies: [Float], settings: ShapingSettings
) -> [Float] {
  switch settings.kind {
  case .none:
    [Float](repeating: advantage, count: entropies.count)
  case .uadt:
    [Float](
      repeating: UADT.shaped(advantage: advantage, factor: factor, lambda: settings.lambda), count: entropies.count)
  case .entropyBonus:
    entropies.map {
      EntropyBonus.shaped(advantage: advantage, entropy: $0, alpha: settings.alpha, kappa: settings.kappa)
    }
  }
}

/// H_i, the mean entropy of a sample's tokens, nats; 0 for a sample without tokens.
public func meanEntropy(_ entropies: [Float]) -> Float { mean(entropies) }

func mean(_ values: [Float]) -> Float {
  values.isEmpty ? 0 : Float(values.reduce(0.0) { $0 + Double($1) } / Double(values.count))
}
