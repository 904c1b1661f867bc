import Support

/// The first message of a worker, learner or observer: what it is, and where it stands.
public struct Hello: Equatable, Sendable {
  public var protocolVersion: UInt32
  public var role: Role
  /// The run that the peer belongs to; empty accepts any.
  public var runID: String
  /// Shown to people; unique among live peers (the coordinator adds a suffix if it is not).
  public var name: String
  /// A random number that distinguishes a restarted process from the one before.
  public var incarnation: UInt64
  public var host: String
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
    host: String, threads: UInt32 = 0, slots: UInt32 = 0, policyVersion: PolicyVersion? = nil,
    weightsEndpoint: String = "", nextStep: UInt32 = 0, cursor: UInt64 = 0
  ) {
    self.protocolVersion = protocolVersion
    self.role = role
    self.runID = runID
    self.name = name
    self.incarnation = incarnation
    self.host = host
    self.threads = threads
    self.slots = slots
    self.policyVersion = policyVersion
    self.weightsEndpoint = weightsEndpoint
    self.nextStep = nextStep
    self.cursor = cursor
  }
}

/// The coordinator's answer to a hello.
public struct Welcome: Equatable, Sendable {
  /// The version that the coordinator speaks; a peer that speaks another one ends.
  public var protocolVersion: UInt32
  public var runID: String
  /// The name that the peer has in the farm. Empty asks for a hello: the coordinator does not know the peer (any more),
  /// which says hello until it is welcomed by a name.
  public var name: String
  public var heartbeatMilliseconds: UInt32
  /// The coordinator's incarnation: a peer that receives a new one repeats its hello and its unacknowledged results.
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

/// The coordinator's word to a peer that may not join, or not stay.
public struct Refused: Equatable, Sendable {
  public var reason: String
  public init(reason: String) { self.reason = reason }
}

/// The report of a worker or learner at every heartbeat interval.
public struct Heartbeat: Equatable, Sendable {
  public var incarnation: UInt64
  /// What the peer is doing, for people: "decoding", "fetching weights", "backward 3/8".
  public var activity: String
  public var policyVersion: PolicyVersion?
  /// Worker: groups that it would take now.
  public var credit: UInt32
  /// Worker: samples being decoded.
  public var activeSamples: UInt32
  /// Worker: tokens sampled since its start.
  public var tokensTotal: UInt64
  /// Worker: tokens a second over the last heartbeats.
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

/// The last message of a process that leaves on purpose.
public struct Goodbye: Equatable, Sendable {
  public var reason: String
  public init(reason: String) { self.reason = reason }
}
