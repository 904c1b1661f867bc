/// The status of a farm, which `fovea status` and the live view show.
public struct FarmStatus: Equatable, Sendable {
  public struct Peer: Equatable, Sendable {
    public var name: String
    public var role: Role
    public var host: String
    /// "joining", "idle", "decoding", "silent 2.1 s", ...
    public var state: String
    public var policyVersion: PolicyVersion?
    public var tokensPerSecond: Float
    public var groupsDone: UInt64
    public var leases: UInt32
    public var heartbeatAgeMilliseconds: UInt32

    public init(
      name: String, role: Role, host: String, state: String, policyVersion: PolicyVersion?, tokensPerSecond: Float,
      groupsDone: UInt64, leases: UInt32, heartbeatAgeMilliseconds: UInt32
    ) {
      self.name = name
      self.role = role
      self.host = host
      self.state = state
      self.policyVersion = policyVersion
      self.tokensPerSecond = tokensPerSecond
      self.groupsDone = groupsDone
      self.leases = leases
      self.heartbeatAgeMilliseconds = heartbeatAgeMilliseconds
    }
  }

  public var runID: String
  /// "waiting for a learner", "rollout", "training", "evaluating", "finished".
  public var phase: String
  /// The step under way, counted from 1; the last one trained once the run is over.
  public var step: UInt32
  public var stepCount: UInt32
  public var version: PolicyVersion?
  /// Groups of the open step that are done.
  public var groupsDone: UInt32
  /// Groups of the open step in all.
  public var groupsWanted: UInt32
  /// How long the run has taken, over all of its processes, the pauses between them left out.
  public var secondsElapsed: Double
  /// Newest value of each metric.
  public var metrics: [String: Double]
  public var peers: [Peer]
  /// The pending waits: who waits for whom, for what, since when; one line each.
  public var waits: [String]
  /// Prompts that failed all their attempts, and why; one line each.
  public var quarantined: [String]

  public init(
    runID: String, phase: String, step: UInt32, stepCount: UInt32, version: PolicyVersion?, groupsDone: UInt32,
    groupsWanted: UInt32, secondsElapsed: Double, metrics: [String: Double], peers: [Peer], waits: [String],
    quarantined: [String] = []
  ) {
    self.runID = runID
    self.phase = phase
    self.step = step
    self.stepCount = stepCount
    self.version = version
    self.groupsDone = groupsDone
    self.groupsWanted = groupsWanted
    self.secondsElapsed = secondsElapsed
    self.metrics = metrics
    self.peers = peers
    self.waits = waits
    self.quarantined = quarantined
  }
}
