import Prompts

/// A unit of work for a worker: one prompt, and the group of samples that is wanted of it.
public struct Lease: Equatable, Sendable {
  public var id: LeaseID
  /// How often this work has been granted: 1, 2, ...
  public var attempt: UInt32
  public var step: UInt32
  /// Identifies the prompt within its split; part of the random key.
  public var prompt: UInt64
  public var messages: [ChatMessage]
  public var images: [PromptImage]
  public var reward: RewardSpecification
  /// The version that the group is to be sampled from: exactly this one.
  public var policyVersion: PolicyVersion
  public var groupSize: UInt32
  public var sampling: SamplingSettings
  public var stopStrings: [String]
  public var seed: UInt64
  /// 0 for the whole group. Otherwise the lease takes too long, and a partial group of at least this size is accepted.
  public var partialGroupMin: UInt32

  public init(
    id: LeaseID, attempt: UInt32, step: UInt32, prompt: UInt64, messages: [ChatMessage],
    images: [PromptImage] = [], reward: RewardSpecification, policyVersion: PolicyVersion, groupSize: UInt32,
    sampling: SamplingSettings,
    stopStrings: [String], seed: UInt64, partialGroupMin: UInt32 = 0
  ) {
    self.id = id
    self.attempt = attempt
    self.step = step
    self.prompt = prompt
    self.messages = messages
    self.images = images
    self.reward = reward
    self.policyVersion = policyVersion
    self.groupSize = groupSize
    self.sampling = sampling
    self.stopStrings = stopStrings
    self.seed = seed
    self.partialGroupMin = partialGroupMin
  }
}

/// A lease that its worker gives back undone.
public struct LeaseReturned: Equatable, Sendable {
  public enum Cause: UInt32, Sendable {
    /// The worker is leaving; the work itself is fine.
    case draining = 1
    /// This work cannot be done anywhere (for example a prompt longer than the model's positions): it counts as an
    /// attempt.
    case impossible = 2
    /// The worker does not hold the lease's policy version; the work itself is fine, and so is the worker.
    case versionNotHeld = 3
  }
  public var lease: LeaseID
  public var attempt: UInt32
  public var cause: Cause
  public var reason: String

  public init(lease: LeaseID, attempt: UInt32, cause: Cause, reason: String) {
    self.lease = lease
    self.attempt = attempt
    self.cause = cause
    self.reason = reason
  }
}
