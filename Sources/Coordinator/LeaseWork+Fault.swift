import Prompts
import Tasks
import Wire

/// Whether a worker's result is what its lease asked for. What a peer sends is never believed: a group that passes is
/// complete, or as large as the straggler policy allows, of the right prompt, and its numbers are finite.
extension LeaseWork {
  /// - Parameters:
  ///   - sizeMin: the fewest samples that will do.
  ///   - maxNewTokens: the longest that a sample may be, tokens.
  /// - Returns: nil when the group answers the lease, else what is wrong with it.
  package func fault(in group: RolloutGroup, sizeMin: Int, maxNewTokens: Int) -> String? {
    if group.step != step { return "step \(group.step + 1), leased \(step + 1)" }
    if group.prompt != drawn.prompt.id { return "prompt \(group.prompt), leased \(drawn.prompt.id)" }
    if !(sizeMin...groupSize).contains(group.rollouts.count) {
      return "\(group.rollouts.count) samples, leased \(groupSize)"
    }
    if let fault = group.fault(maxNewTokens: maxNewTokens) { return fault }
    for (index, rollout) in group.rollouts.enumerated() {
      if let fault = Self.fault(in: rollout.scores, for: drawn.prompt.reward) { return "sample \(index): \(fault)" }
    }
    return nil
  }

  /// Scores are those that the prompt asks for, and those of the tasks' own rewards are in their range.
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
