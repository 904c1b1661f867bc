import Support

/// What learner and worker have in common as members of a farm: hello until the coordinator knows them, heartbeats when
/// due, the connection to the coordinator, and what they wait for. Pure: the clock is the caller's.
public struct FarmMember: Sendable {
  public static let helloInterval: Milliseconds = 1_000
  /// Six hours: the default of `farm.timeout_seconds`.
  public static let timeoutDefault: Milliseconds = 21_600_000

  /// The consequence of a welcome for the process.
  public enum Answer: Equatable, Sendable {
    /// This process is a member.
    case member
    /// It was one of an earlier coordinator's, and is to say hello to the new one.
    case newCoordinator
    /// The coordinator does not know this process (any more).
    case unknown
    /// The process cannot stay, for this reason.
    case leave(String)
  }

  /// What the process says of itself; the role fills in what changes. Once welcomed to a run it belongs to that one
  /// alone: the same version of another run means other weights.
  public private(set) var hello: Hello
  /// The connection to the coordinator.
  public var link = ServerLink()
  /// True until the first welcome, and again once the coordinator has forgotten this process.
  public private(set) var isJoining = true
  private let endpoint: String
  private var nextHello: Milliseconds = 0
  private var coordinator: UInt64?
  private var heartbeatInterval: Milliseconds = 500
  private var nextHeartbeat: Milliseconds = 0
  private var timeout: WaitTimeout

  /// - Parameters:
  ///   - coordinator: its endpoint, for people.
  ///   - timeout: how long it waits for anything that does not come.
  public init(_ hello: Hello, coordinator: String = "", timeout: Milliseconds = Self.timeoutDefault) {
    self.hello = hello
    endpoint = coordinator
    self.timeout = WaitTimeout(of: "\(hello.role) \(hello.name)", limit: timeout)
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
  public var pendingWelcome: PendingWait { pendingWait("an answer to its hello") }

  /// A wait for something that the coordinator sends.
  public func pendingWait(_ subject: String, isBounded: Bool = true) -> PendingWait {
    PendingWait(subject, from: coordinatorName, detail: link.state.described, isBounded: isBounded)
  }

  /// A wait that the coordinator bounds while the connection is up: it ends the run, and says so, when nothing moves.
  public func pendingWaitBoundedByCoordinator(_ subject: String) -> PendingWait {
    pendingWait(subject, isBounded: link.state != .up)
  }

  /// Looks at everything that is waited for now.
  /// - Returns: lines for the log, and the reason to end when a bounded wait has lasted too long.
  public mutating func look(at pending: [PendingWait], now: Milliseconds) -> (lines: [String], end: String?) {
    timeout.look(at: pending, now: now)
  }
}
