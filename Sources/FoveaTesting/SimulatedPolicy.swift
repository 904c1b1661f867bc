import Prompts
import Support
import Tasks
import Wire

/// A data set whose prompts are their cursors: infinite, and readable in a failing test.
public struct SimulatedDataset: PromptDataset {
  public var heldOutCount: Int
  /// The number of training prompts after which they repeat; nil for never.
  public var period: UInt64?

  public init(heldOutCount: Int = 0, period: UInt64? = nil) {
    self.heldOutCount = heldOutCount
    self.period = period
  }

  public func trainingPrompt(at cursor: UInt64) -> Prompt { prompt(period.map { cursor % $0 } ?? cursor) }
  public func heldOutPrompt(at index: Int) -> Prompt { prompt(UInt64(index)) }

  private func prompt(_ id: UInt64) -> Prompt {
    Prompt(
      id: id, messages: [ChatMessage(role: "user", content: "prompt \(id)")],
      reward: RewardSpecification(kind: "number", reference: "\(id)"))
  }
}

/// Samples without a model: every token and reward is a function of the lease's random key and of the version, as with
/// the real engine. So a group can be checked wherever it turns up.
public enum SimulatedPolicy {
  /// The group that any worker with `version` makes of a lease.
  /// - Parameter zeroVarianceShare: share of prompts whose samples are all rewarded alike.
  public static func group(
    step: UInt32, prompt: UInt64, seed: UInt64, groupSize: Int, maxNewTokens: Int, version: PolicyVersion,
    zeroVarianceShare: Float = 0
  ) -> RolloutGroup {
    let kind = SampleKey(seed: seed, step: step, prompt: prompt, sample: UInt32.max)
    let isFlat = kind.uniform(token: 0) < zeroVarianceShare
    let rollouts = (0..<groupSize).map { index -> Rollout in
      let key = SampleKey(seed: seed, step: step, prompt: prompt, sample: UInt32(index))
      let count = 1 + Int(key.uniform(token: 0) * Float(min(maxNewTokens, 4)))
      let tokens = (0..<count).map {
        Int32(key.uniform(token: $0 + 1) * 1000) &+ Int32(truncatingIfNeeded: version.value)
      }
      // With two samples or more the first two differ, so that the group has variance.
      let accuracy: Float = isFlat ? 1 : index < 2 ? Float(index) : key.uniform(token: 999) < 0.5 ? 0 : 1
      return Rollout(
        tokens: tokens, behaviourLogProbabilities: tokens.map { -1 - Float($0 % 7) },
        logTruncatedMasses: tokens.map { _ in 0 }, entropies: tokens.map { 1 + Float($0 % 5) },
        finish: count == maxNewTokens ? .length : .stop, reward: accuracy,
        scores: [NamedScore("accuracy", accuracy), NamedScore("format", 1)], text: "\(tokens)")
    }
    return RolloutGroup(
      step: step, prompt: prompt, policyVersion: version,
      promptTokens: [1, Int32(truncatingIfNeeded: prompt & 0xFFFF)],
      rollouts: rollouts)
  }

  /// The weights of a version: a manifest without tensors, so that a worker has fetched them as soon as it has that.
  public static func weights(of version: PolicyVersion) -> WeightsManifest {
    // XXH3-64 of no bytes.
    WeightsManifest(
      version: version, files: [:], tensors: [], payloadByteCount: 0, chunkByteCount: 1024,
      payloadHash: 0x2D06_8005_38D3_94C2)
  }

  /// The group that a worker makes of a lease.
  public static func group(for lease: Lease, zeroVarianceShare: Float = 0) -> RolloutGroup {
    group(
      step: lease.step, prompt: lease.prompt, seed: lease.seed, groupSize: Int(lease.groupSize),
      maxNewTokens: lease.sampling.maxNewTokens, version: lease.policyVersion, zeroVarianceShare: zeroVarianceShare)
  }
}
