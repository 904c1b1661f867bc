import Core

/// Samples, complete groups of them, and the worker's answer to a lease.

/// One scored sample of a group.
public struct Rollout: Equatable, Sendable {
  public var tokens: [Int32]
  /// Under the full softmax at the sampling temperature, nats. `[T]`
  public var behaviourLogProbabilities: [Float]
  /// log of the mass kept by top-k, top-p, min-p. `[T]`
  public var logTruncatedMasses: [Float]
  /// nats `[T]`
  public var entropies: [Float]
  public var finish: FinishReason
  public var reward: Float
  /// Accuracy part of the reward, 0...1, unweighted.
  public var accuracy: Float
  /// Format part of the reward, 0 or 1, unweighted.
  public var format: Float
  public var text: String

  public init(
    tokens: [Int32], behaviourLogProbabilities: [Float], logTruncatedMasses: [Float], entropies: [Float],
    finish: FinishReason, reward: Float, accuracy: Float, format: Float, text: String
  ) {
    self.tokens = tokens
    self.behaviourLogProbabilities = behaviourLogProbabilities
    self.logTruncatedMasses = logTruncatedMasses
    self.entropies = entropies
    self.finish = finish
    self.reward = reward
    self.accuracy = accuracy
    self.format = format
    self.text = text
  }
}

/// A complete group: one prompt, G samples, all drawn from one policy version.
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

public struct GroupResult: Equatable, Sendable {
  public var lease: LeaseID
  public var attempt: UInt32
  public var group: RolloutGroup
  /// Wall time from receiving the lease to finishing the group.
  public var milliseconds: UInt32

  public init(lease: LeaseID, attempt: UInt32, group: RolloutGroup, milliseconds: UInt32) {
    self.lease = lease
    self.attempt = attempt
    self.group = group
    self.milliseconds = milliseconds
  }
}
