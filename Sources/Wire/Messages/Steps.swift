/// To the workers: a version is published.
public struct PolicyAnnounced: Equatable, Sendable {
  public var version: PolicyVersion
  /// The endpoint to fetch it from.
  public var weightsEndpoint: String
  public init(version: PolicyVersion, weightsEndpoint: String) {
    self.version = version
    self.weightsEndpoint = weightsEndpoint
  }
}

/// To the learner: the groups of a step.
public struct TrainBatch: Equatable, Sendable {
  public var step: UInt32
  /// The data cursor after this step's prompts; the learner's checkpoint keeps it.
  public var cursor: UInt64
  /// Sorted by prompt.
  public var groups: [RolloutGroup]
  public init(step: UInt32, cursor: UInt64, groups: [RolloutGroup]) {
    self.step = step
    self.cursor = cursor
    self.groups = groups
  }
}

/// From the learner: a step is trained, and a new version published.
public struct StepCompleted: Equatable, Sendable {
  public var step: UInt32
  /// The version after the update.
  public var version: PolicyVersion
  /// Named measurements of the step ("loss", "tau", "entropy", ...); docs/METRICS.md lists them.
  public var metrics: [String: Double]
  public init(step: UInt32, version: PolicyVersion, metrics: [String: Double]) {
    self.step = step
    self.version = version
    self.metrics = metrics
  }
}

/// To the learner: the held-out accuracy of a version.
public struct Evaluated: Equatable, Sendable {
  public var version: PolicyVersion
  public var step: UInt32
  public var accuracy: Float
  public init(version: PolicyVersion, step: UInt32, accuracy: Float) {
    self.version = version
    self.step = step
    self.accuracy = accuracy
  }
}
