import Core
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
    return group.fault(maxNewTokens: maxNewTokens)
  }
}
