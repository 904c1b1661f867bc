import Support

/// What learner and worker have in common as members of a farm: hello until the coordinator knows them, heartbeats when due,
/// the line to the coordinator, and what they wait for. Pure: the clock is the caller's.
public struct FarmMember: Sendable {
  public static let helloInterval: Milliseconds = 1_000
  /// Six hours: `farm.timeout_seconds` as it is by default.
  public static let patienceByDefault: Milliseconds = 21_600_000

  /// What a welcome means.
  public enum Answer: Equatable, Sendable {
    /// This process is a member.
    case member
    /// It was one of an earlier coordinator's, and is to say hello to the new one.
    case newCoordinator
    /// The coordinator does not know this process (any more).
    case unknown
    /// There is nothing to hope for here.
    case leave(String)
  }

  /// What the process says of itself; what changes in it the role fills in. Welcomed to a run it belongs to that one alone:
  /// a version of another run's weights means other weights.
  public private(set) var hello: Hello
  /// The line to the coordinator.
  public var link = ServerLink()
  /// Until the first welcome, and again after the coordinator has forgotten this process.
  public private(set) var isJoining = true
  private let endpoint: String
  private var nextHello: Milliseconds = 0
  private var coordinator: UInt64?
  private var heartbeatInterval: Milliseconds = 500
  private var nextHeartbeat: Milliseconds = 0
  private var patience: Patience

  /// - Parameters:
  ///   - coordinator: its endpoint, for people.
  ///   - patience: how long it waits for anything that does not come.
  public init(_ hello: Hello, coordinator: String = "", patience: Milliseconds = Self.patienceByDefault) {
    self.hello = hello
    endpoint = coordinator
    self.patience = Patience(of: "\(hello.role) \(hello.name)", limit: patience)
  }

  public var coordinatorName: String { endpoint.isEmpty ? "the coordinator" : "coordinator \(endpoint)" }

  public func helloIsDue(now: Milliseconds) -> Bool { isJoining && now >= nextHello }

  /// A hello is sent now, and again until a welcome comes.
  public mutating func joins(now: Milliseconds) {
    isJoining = true
    nextHello = now + Self.helloInterval
  }

  public mutating func welcomed(_ welcome: Welcome) -> Answer {
    if let reason = welcome.reasonToLeave(runID: hello.runID) { return .leave(reason) }
    heartbeatInterval = Milliseconds(max(welcome.heartbeatMilliseconds, 1))
    if welcome.name.isEmpty { return .unknown }
    defer { (coordinator, hello.runID) = (welcome.incarnation, welcome.runID) }
    isJoining = false
    return coordinator == nil || coordinator == welcome.incarnation ? .member : .newCoordinator
  }

  public func heartbeatIsDue(now: Milliseconds) -> Bool { now >= nextHeartbeat }

  /// A heartbeat is sent now.
  public mutating func beats(now: Milliseconds) { nextHeartbeat = now + heartbeatInterval }

  /// There is news: the next heartbeat is due at once.
  public mutating func hastensHeartbeat(now: Milliseconds) { nextHeartbeat = now }

  /// The wait for a welcome.
  public var welcomeNeed: Patience.Need { need("an answer to its hello") }

  /// A wait for something of the coordinator's.
  public func need(_ subject: String, isBounded: Bool = true) -> Patience.Need {
    Patience.Need(subject, from: coordinatorName, detail: link.state.described, isBounded: isBounded)
  }

  /// A wait that the coordinator bounds while the line is up: it ends the run, and says so, when nothing moves.
  public func needBoundedByCoordinator(_ subject: String) -> Patience.Need {
    need(subject, isBounded: link.state != .up)
  }

  /// Looks at everything that is needed now.
  /// - Returns: lines for the log, and the reason to end when a bounded need has lasted too long.
  public mutating func look(at needs: [Patience.Need], now: Milliseconds) -> (lines: [String], end: String?) {
    patience.look(at: needs, now: now)
  }
}
