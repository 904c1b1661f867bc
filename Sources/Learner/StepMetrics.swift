import Glibc
import Reinforcement
import Support
import Training
import Wire

/// The measurements of one training step, by the names of docs/METRICS.md.
///
/// Entropies and log-probabilities are in nats; shares lie between 0 and 1. Sums run in the batch's order, in Double.
struct StepMetrics {
  private var values: [String: Double]
  private var loss = 0.0
  private var statistics = LossStatistics()
  private var gradientNorm = 0.0
  private var skippedUpdates = 0

  init(learningRate: Double) { values = ["learning_rate": learningRate] }

  /// Adds a sequence's part of an update's loss.
  mutating func add(sequence result: PolicyLoss.Result) {
    loss += result.loss
    statistics.add(result.statistics)
  }

  /// Adds an update; the largest norm is reported.
  mutating func add(update: UpdateResult) {
    gradientNorm = max(gradientNorm, update.norm)
    skippedUpdates += update.isSkipped ? 1 : 0
  }

  /// Describes the batch: uncertainty, advantages, and how far the sampling policy was from the learner's.
  mutating func describe(
    _ groups: [RolloutGroup], plan: StepPlan, shaping: ShapingSettings, version: PolicyVersion
  ) {
    let advantages = plan.advantages
    let entropies = plan.oldScores.flatMap { $0.map { Double(meanEntropy($0.entropies)) } }
    values["entropy"] = Double(advantages.meanEntropy)
    describe(entropies: entropies)
    values["tau"] = Double(advantages.threshold)

    let signs = advantages.samples.flatMap { $0 }
    let count = Double(max(1, signs.count))
    let weights = advantages.weights.flatMap { $0.map(Double.init) }
    values.merge(shaping.shaping.metrics(weights: weights)) { $1 }
    let quadrants = advantages.samples.indices.flatMap { prompt in
      advantages.samples[prompt].indices.compactMap { advantages.quadrant(prompt, $0) }
    }
    for quadrant in Quadrant.allCases {
      values[quadrant.rawValue] = Double(quadrants.count { $0 == quadrant }) / count
    }
    values["advantage_abs"] = signs.reduce(0.0) { $0 + Double(abs($1)) } / count
    values["zero_variance_trained"] = Double(advantages.zeroVarianceGroupCount) / Double(max(1, groups.count))
    values["train_tokens"] = groups.reduce(0.0) { $0 + Double($1.tokenCount) }
    describeMismatch(groups, plan: plan, version: version)
  }

  /// The distribution over sequences.
  private mutating func describe(entropies: [Double]) {
    let sorted = entropies.sorted()
    guard let least = sorted.first, let largest = sorted.last else { return }
    (values["entropy_min"], values["entropy_max"]) = (least, largest)
    for percent in [10, 25, 50, 75, 90] {
      values["entropy_p\(percent)"] = quantile(Double(percent) / 100, of: sorted)
    }
  }

  /// |learner's log pi - worker's log pi_b| over the tokens that were sampled from this very version, and by the same
  /// tokens the estimate r - log r - 1, r = pi / pi_b, of KL(pi_b || pi): its mean under pi_b, and never negative.
  /// Where rollouts are exact all are 0. Source: k3 of Schulman, "Approximating KL Divergence", 2020.
  private mutating func describeMismatch(_ groups: [RolloutGroup], plan: StepPlan, version: PolicyVersion) {
    var (sum, largest, divergence, count) = (0.0, 0.0, 0.0, 0)
    for (prompt, group) in groups.enumerated() where group.policyVersion == version {
      for (sample, rollout) in group.rollouts.enumerated() {
        let learned = plan.oldScores[prompt][sample].logProbabilities
        for (mine, theirs) in zip(learned, rollout.behaviourLogProbabilities) {
          let difference = Double(mine) - Double(theirs)
          sum += abs(difference)
          largest = max(largest, abs(difference))
          divergence += exp(difference) - difference - 1
          count += 1
        }
      }
    }
    guard count > 0 else { return }
    values["logprob_mismatch"] = sum / Double(count)
    values["logprob_mismatch_max"] = largest
    values["logprob_mismatch_kl"] = divergence / Double(count)
  }

  /// All measurements.
  func values(updateCount: Int, loss settings: LossSettings, clock: StepClock) -> [String: Double] {
    var values = values
    values["loss"] = loss / Double(max(1, updateCount))
    values["gradient_norm"] = gradientNorm
    values["updates_skipped"] = Double(skippedUpdates)
    values["clip_low"] = statistics.clippedLowShare
    values["clip_high"] = statistics.clippedHighShare
    values["ratio"] = statistics.ratioMean
    values["ratio_max"] = statistics.ratioMax
    if settings.klCoefficient > 0 { values["kl"] = statistics.klMean }
    if settings.importanceCap != nil {
      values["importance"] = statistics.importanceWeightMean
      values["importance_capped"] = statistics.perToken(Double(statistics.importanceCappedCount))
    }
    values["forward_seconds"] = clock.spent[.forward] ?? 0
    values["backward_seconds"] = clock.spent[.backward] ?? 0
    values["optimizer_seconds"] = clock.spent[.optimizer] ?? 0
    if clock.total > 0, let tokens = values["train_tokens"] {
      values["train_tokens_per_second"] = tokens / clock.total
    }
    return values
  }
}
