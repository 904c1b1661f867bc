import Prompts

/// Samples, complete groups of them, and the worker's answer to a lease.

/// One scored sample of a group.
public struct Rollout: Equatable, Sendable {
  public var tokens: [Int32]
  /// Under the full softmax at the sampling temperature, nats. `[T]`
  public var behaviourLogProbabilities: [Float]
  /// log of the truncated mass, the share of the softmax that top-k, top-p and min-p keep. `[T]`
  public var logTruncatedMasses: [Float]
  /// nats `[T]`
  public var entropies: [Float]
  public var finish: FinishReason
  /// The weighted sum of `scores` (`RewardSpecification.reward(of:)`).
  public var reward: Float
  /// In ascending order of their names, which are unique.
  public var scores: [NamedScore]
  public var text: String

  public init(
    tokens: [Int32], behaviourLogProbabilities: [Float], logTruncatedMasses: [Float], entropies: [Float],
    finish: FinishReason, reward: Float, scores: [NamedScore], text: String
  ) {
    self.tokens = tokens
    self.behaviourLogProbabilities = behaviourLogProbabilities
    self.logTruncatedMasses = logTruncatedMasses
    self.entropies = entropies
    self.finish = finish
    self.reward = reward
    self.scores = scores
    self.text = text
  }

  /// The score of a name; nil when there is none, or the sample could not be scored.
  public func score(_ name: String) -> Float? { scores.first { $0.name == name }?.value }
}

extension Sequence<Rollout> {
  /// The mean of each named score over the samples that have it: a failure is not a zero.
  /// - Parameter missing: samples that do not exist and count as scored with 0: prompts that no worker could answer.
  public func scoreMeans(missing: Int = 0) -> [String: Double] {
    var sums: [String: (sum: Double, count: Int)] = [:]
    for score in flatMap(\.scores) {
      guard let value = score.value else { continue }
      let (sum, count) = sums[score.name] ?? (0, missing)
      sums[score.name] = (sum + Double(value), count + 1)
    }
    return sums.mapValues { $0.sum / Double($0.count) }
  }
}

/// A complete group: one prompt, G samples, all sampled from one policy version.
public struct RolloutGroup: Equatable, Sendable {
  public var step: UInt32
  public var prompt: UInt64
  public var policyVersion: PolicyVersion
  public var promptTokens: [Int32]
  /// The prompt's images, for the learner: the coordinator adds them, workers leave them out.
  public var images: [PromptImage]
  public var rollouts: [Rollout]

  public init(
    step: UInt32, prompt: UInt64, policyVersion: PolicyVersion, promptTokens: [Int32], images: [PromptImage] = [],
    rollouts: [Rollout]
  ) {
    self.step = step
    self.prompt = prompt
    self.policyVersion = policyVersion
    self.promptTokens = promptTokens
    self.images = images
    self.rollouts = rollouts
  }
}

/// A worker's answer to a lease, whichever attempt at it.
public struct GroupResult: Equatable, Sendable {
  public var lease: LeaseID
  public var group: RolloutGroup

  public init(lease: LeaseID, group: RolloutGroup) {
    self.lease = lease
    self.group = group
  }
}

// MARK: What may be wrong with them

/// A group holds numbers that another process made, and is believed only after this.
extension RolloutGroup {
  /// - Parameter maxNewTokens: the longest that a sample may be, tokens.
  /// - Returns: what is wrong with the group or one of its samples; nil for a sound one.
  public func fault(maxNewTokens: Int) -> String? {
    if promptTokens.isEmpty { return "no prompt tokens" }
    if promptTokens.contains(where: { $0 < 0 }) { return "a negative prompt token" }
    for (i, rollout) in rollouts.enumerated() {
      if let fault = rollout.fault(maxNewTokens: maxNewTokens) { return "sample \(i): \(fault)" }
    }
    return nil
  }
}

extension Rollout {
  /// Rounding may leave a log-probability or an entropy this far on the wrong side of 0.
  private static let slack: Float = 1e-3

  /// - Parameter maxNewTokens: the longest that it may be, tokens.
  /// - Returns: what is wrong with the sample; nil for a sound one.
  public func fault(maxNewTokens: Int) -> String? {
    let count = tokens.count
    if count == 0 { return "no tokens" }
    if count > maxNewTokens { return "\(count) tokens, at most \(maxNewTokens) leased" }
    if tokens.contains(where: { $0 < 0 }) { return "a negative token" }
    let lengths = [behaviourLogProbabilities, logTruncatedMasses, entropies].map(\.count)
    if lengths.contains(where: { $0 != count }) { return "\(lengths) values for \(count) tokens" }
    func isLogarithm(_ value: Float) -> Bool { value.isFinite && value <= Self.slack }
    if let value = behaviourLogProbabilities.first(where: { !isLogarithm($0) }) {
      return "\(value) as a log-probability"
    }
    if let value = logTruncatedMasses.first(where: { !isLogarithm($0) }) {
      return "\(value) as a log of a truncated mass"
    }
    if let value = entropies.first(where: { !$0.isFinite || $0 < -Self.slack }) { return "\(value) as an entropy" }
    if !reward.isFinite { return "\(reward) as a reward" }
    return nil
  }
}
