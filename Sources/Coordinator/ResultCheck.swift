import Prompts
import Tasks
import Wire

/// Whether a worker's result is what its lease asked for. What a peer sends is never believed: a group that passes is
/// complete, or as large as the straggler policy allows, of the right prompt, and its numbers are finite.
package enum ResultCheck {
  /// - Parameter sizeMin: the fewest rollouts that will do.
  /// - Returns: nil when the group answers the lease, else what is wrong with it.
  package static func fault(in group: RolloutGroup, for work: LeaseWork, sizeMin: Int, maxNewTokens: Int) -> String? {
    if group.step != work.step { return "step \(group.step), leased \(work.step)" }
    if group.prompt != work.drawn.prompt.id { return "prompt \(group.prompt), leased \(work.drawn.prompt.id)" }
    if group.promptTokens.isEmpty { return "no prompt tokens" }
    if group.promptTokens.contains(where: { $0 < 0 }) { return "a negative prompt token" }
    if !(sizeMin...work.groupSize).contains(group.rollouts.count) {
      return "\(group.rollouts.count) rollouts, leased \(work.groupSize)"
    }
    for (i, rollout) in group.rollouts.enumerated() {
      if let fault = fault(in: rollout, maxNewTokens: maxNewTokens)
        ?? fault(in: rollout.scores, for: work.drawn.prompt.reward)
      {
        return "rollout \(i): \(fault)"
      }
    }
    return nil
  }

  private static func fault(in rollout: Rollout, maxNewTokens: Int) -> String? {
    let count = rollout.tokens.count
    if count == 0 { return "no tokens" }
    if count > maxNewTokens { return "\(count) tokens, at most \(maxNewTokens) leased" }
    if rollout.tokens.contains(where: { $0 < 0 }) { return "a negative token" }
    let lengths = [rollout.behaviourLogProbabilities, rollout.logTruncatedMasses, rollout.entropies].map(\.count)
    if lengths.contains(where: { $0 != count }) { return "\(lengths) values for \(count) tokens" }
    // Rounding may leave a log-probability or an entropy a little on the wrong side of 0.
    let slack: Float = 1e-3
    if !rollout.behaviourLogProbabilities.allSatisfy({ $0.isFinite && $0 <= slack }) {
      return "a log-probability that is none"
    }
    if !rollout.logTruncatedMasses.allSatisfy({ $0.isFinite && $0 <= slack }) { return "a truncated mass that is none" }
    if !rollout.entropies.allSatisfy({ $0.isFinite && $0 >= -slack }) { return "an entropy that is none" }
    if !rollout.reward.isFinite { return "a reward that is not finite" }
    return nil
  }

  /// Scores are those that the prompt asks for, and the tasks' own are in their range.
  private static func fault(in scores: [NamedScore], for prompt: RewardSpecification) -> String? {
    for score in scores {
      if prompt.weights[score.name] == nil { return "a score \(score.name) that nobody asked for" }
      if let value = score.value, let range = Scorer.ranges[score.name], !range.contains(value) {
        return "\(score.name) \(value)"
      }
    }
    return nil
  }
}
