import Prompts
import Reinforcement
import Settings
import Training
import Wire

/// What is known of a batch once it is scored, and stays the same over all updates of the step: steps 3 to 7 of
/// ALGORITHM.md.
package struct StepPlan {
  /// The scores under the policy at the start of the step, `[prompt][sample]`.
  package let oldScores: [[SequenceScores]]
  package let advantages: BatchAdvantages

  /// - Parameters:
  ///   - scores: of every completion of the batch. `[prompt][sample]`
  ///   - threshold: tau; updated by this batch.
  package init(
    _ groups: [RolloutGroup], scores: [[SequenceScores]], threshold: inout UncertaintyThreshold,
    algorithm: RunSettings.Algorithm
  ) {
    oldScores = scores
    advantages = batchAdvantages(
      rewards: groups.map { $0.rollouts.map(\.reward) }, entropies: scores.map { $0.map(\.entropies) },
      threshold: &threshold, advantage: algorithm.advantage, shaping: algorithm.shaping)
  }

  /// One group of the batch taken apart.
  /// - Parameter thresholdBefore: tau before the batch, nats.
  package func explanation(of group: Int, in groups: [RolloutGroup], thresholdBefore: Float?) -> GroupExplanation {
    GroupExplanation(
      group: group, rewards: groups.map { $0.rollouts.map(\.reward) },
      entropies: oldScores.map { $0.map(\.entropies) }, batch: advantages, thresholdBefore: thresholdBefore)
  }
}

extension SamplingSettings {
  /// The temperature that samples are scored at: theirs, and 1 for greedy ones, which are scored as they are.
  package var scoringTemperature: Float { temperature > 0 ? temperature : 1 }
}
