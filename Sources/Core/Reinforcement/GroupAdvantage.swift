/// Advantages within a group: how much better a sample is than the others of its prompt.
///
/// A group whose rewards are all equal gets advantages of exactly 0: the sum of equal Floats is exact in Double, so the
/// mean is the reward itself. Sums run over samples in ascending order.

/// What is added to the standard deviation, so that a group of nearly equal rewards does not blow up.
public let advantageEpsilon = 1e-4

/// What the rewards of one group are compared with.
public struct RewardSpread: Equatable, Sendable {
  public var mean: Double
  /// The sample standard deviation (denominator G - 1); 0 for a group of one.
  public var deviation: Double

  /// - Parameter rewards: `[G]`, not empty.
  public init(_ rewards: [Float]) {
    let count = Double(rewards.count)
    let mean = rewards.reduce(0.0) { $0 + Double($1) } / count
    self.mean = mean
    let squares = rewards.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) }
    deviation = (squares / max(1, count - 1)).squareRoot()
  }
}

/// The advantage of each sample of one group.
///
/// mean: r - mean(r); leave_one_out: r - mean of the other rewards. std divides by the sample standard deviation
/// (denominator G - 1) + 1e-4; none leaves the difference as it is.
/// Source: arXiv 2402.03300 (GRPO), 2503.20783 (Dr. GRPO), 2402.14740 (RLOO).
/// - Parameter rewards: `[G]`
/// - Returns: `[G]`; a group of one has advantage 0, for there is nothing to compare it with.
public func groupAdvantages(rewards: [Float], settings: AdvantageSettings) -> [Float] {
  let count = Double(rewards.count)
  guard rewards.count > 1 else { return rewards.map { _ in 0 } }
  let spread = RewardSpread(rewards)
  // r_i - mean of the others = (r_i - mean) G / (G - 1)
  let baselineScale =
    switch settings.baseline {
    case .mean: 1.0
    case .leaveOneOut: count / (count - 1)
    }
  let divisor =
    switch settings.normalize {
    case .std: spread.deviation + advantageEpsilon
    case .none: 1.0
    }
  return rewards.map { Float((Double($0) - spread.mean) * baselineScale / divisor) }
}

/// Whether a group's rewards are all equal: it carries no gradient, and `dynamic_sampling` replaces it.
public func hasZeroVariance(rewards: [Float]) -> Bool {
  rewards.allSatisfy { $0 == rewards[0] }
}
