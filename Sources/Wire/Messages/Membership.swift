import Support

/// Joining, staying and leaving: what a peer and the coordinator say about themselves.

public struct Hello: Equatable, Sendable {
  public var protocolVersion: UInt32
  public var role: Role
  /// The run that the peer belongs to; empty accepts any.
  public var runID: String
  /// Shown to people; unique among live peers (the coordinator adds a suffix if it is not).
  public var name: String
  /// Random per process: tells a restarted process from the one before.
  public var incarnation: UInt64
  public var host: String
  public var processID: UInt32
  /// Kernel threads.
  public var threads: UInt32
  /// Worker: samples that it decodes at once.
  public var slots: UInt32
  /// Learner: the version that it holds; worker: likewise, nil before the first.
  public var policyVersion: PolicyVersion?
  /// Learner: where workers fetch weights.
  public var weightsEndpoint: String
  /// Learner: the next step to train and the data cursor there, from its checkpoint.
  public var nextStep: UInt32
  public var cursor: UInt64

  public init(
    protocolVersion: UInt32 = Wire.protocolVersion, role: Role, runID: String = "", name: String, incarnation: UInt64,
    host: String, processID: UInt32, threads: UInt32 = 0, slots: UInt32 = 0, policyVersion: PolicyVersion? = nil,
    weightsEndpoint: String = "", nextStep: UInt32 = 0, cursor: UInt64 = 0
  ) {
    self.protocolVersion = protocolVersion
    self.role = role
    self.runID = runID
    self.name = name
    self.incarnation = incarnation
    self.host = host
    self.processID = processID
    self.threads = threads
    self.slots = slots
    self.policyVersion = policyVersion
    self.weightsEndpoint = weightsEndpoint
    self.nextStep = nextStep
    self.cursor = cursor
  }
}

public struct Welcome: Equatable, Sendable {
  /// The coordinator's; a peer with another one ends.
  public var protocolVersion: UInt32
  public var runID: String
  /// The name that the peer has in the farm. Empty is a question: the coordinator does not know the peer (any more), which
  /// says hello until it is welcomed by a name.
  public var name: String
  public var heartbeatMilliseconds: UInt32
  /// The coordinator's own incarnation: a peer that sees a new one says hello again and offers its unacknowledged results.
  public var incarnation: UInt64

  public init(
    protocolVersion: UInt32 = Wire.protocolVersion, runID: String, name: String, heartbeatMilliseconds: UInt32,
    incarnation: UInt64
  ) {
    self.protocolVersion = protocolVersion
    self.runID = runID
    self.name = name
    self.heartbeatMilliseconds = heartbeatMilliseconds
    self.incarnation = incarnation
  }
}

extension Welcome {
  /// Why a peer that wants to be in `runID` (empty: in any) must not stay; nil when all is well.
  public func reasonToLeave(runID wanted: String) -> String? {
    if protocolVersion != Wire.protocolVersion {
      return "the coordinator speaks protocol version \(protocolVersion), this process \(Wire.protocolVersion)"
    }
    return wanted.isEmpty || wanted == runID ? nil : "the coordinator's run is \(runID), not \(wanted)"
  }
}

public struct Refused: Equatable, Sendable {
  public var reason: String
  public init(reason: String) { self.reason = reason }
}

public struct Heartbeat: Equatable, Sendable {
  public var incarnation: UInt64
  /// What the peer is doing, for people: "decoding", "fetching weights", "backward 3/8".
  public var activity: String
  public var policyVersion: PolicyVersion?
  /// Worker: groups that it would take now.
  public var credit: UInt32
  /// Worker: samples being decoded.
  public var activeSamples: UInt32
  /// Worker: tokens sampled since start, and the rate over the last heartbeats, tokens/s.
  public var tokensTotal: UInt64
  public var tokensPerSecond: Float
  public var groupsDone: UInt64
  /// Learner: steps behind its newest checkpoint. The coordinator keeps the batches of later steps.
  public var savedStep: UInt32

  public init(
    incarnation: UInt64, activity: String, policyVersion: PolicyVersion?, credit: UInt32 = 0, activeSamples: UInt32 = 0,
    tokensTotal: UInt64 = 0, tokensPerSecond: Float = 0, groupsDone: UInt64 = 0, savedStep: UInt32 = 0
  ) {
    self.incarnation = incarnation
    self.activity = activity
    self.policyVersion = policyVersion
    self.credit = credit
    self.activeSamples = activeSamples
    self.tokensTotal = tokensTotal
    self.tokensPerSecond = tokensPerSecond
    self.groupsDone = groupsDone
    self.savedStep = savedStep
  }
}

public struct Goodbye: Equatable, Sendable {
  public var reason: String
  public init(reason: String) { self.reason = reason }
}
