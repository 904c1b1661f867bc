import Prompts

/// A unit of work for a worker, and its return undone.

/// What a lease is for: a group to train on, or a held-out prompt.
public enum LeasePurpose: UInt32, Sendable {
  case train = 1
  case evaluate = 2
}

public struct Lease: Equatable, Sendable {
  public var id: LeaseID
  /// 1, 2, ...: how often this work has been given out.
  public var attempt: UInt32
  public var purpose: LeasePurpose
  public var step: UInt32
  /// Identifies the prompt within its split; part of the random key.
  public var prompt: UInt64
  public var messages: [ChatMessage]
  public var images: [PromptImage]
  public var reward: RewardSpecification
  /// The worker must hold exactly this version when `exactVersion`, else at least this one.
  public var policyVersion: PolicyVersion
  public var groupSize: UInt32
  public var sampling: SamplingSettings
  public var stopStrings: [String]
  public var seed: UInt64
  /// After so long without a result the lease is given to another worker.
  public var deadlineMilliseconds: UInt32
  /// 0: the whole group. Else the lease takes too long: what is finished is handed in, as soon as it is so many samples.
  public var survivorsMin: UInt32

  public init(
    id: LeaseID, attempt: UInt32, purpose: LeasePurpose, step: UInt32, prompt: UInt64, messages: [ChatMessage],
    images: [PromptImage] = [], reward: RewardSpecification, policyVersion: PolicyVersion, groupSize: UInt32,
    sampling: SamplingSettings,
    stopStrings: [String], seed: UInt64, deadlineMilliseconds: UInt32, survivorsMin: UInt32 = 0
  ) {
    self.id = id
    self.attempt = attempt
    self.purpose = purpose
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
    self.deadlineMilliseconds = deadlineMilliseconds
    self.survivorsMin = survivorsMin
  }
}

public struct LeaseReturned: Equatable, Sendable {
  public enum Cause: UInt32, Sendable {
    /// The worker is leaving; the work itself is fine.
    case draining = 1
    /// This work cannot be done anywhere (for example a prompt longer than the model's positions): it counts as an attempt.
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
