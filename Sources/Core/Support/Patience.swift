/// What a process waits for, since when, and when it has waited enough.
///
/// A state says at every tick what it needs now; a need that is new counts from then, one that is gone is forgotten. So the
/// state keeps no times of its own. Pure: the clock is the caller's.
public struct Patience: Equatable, Sendable {
  /// Two needs are the same while they are for the same thing from the same peer, whatever is known of why it does not come.
  public struct Need: Hashable, Sendable {
    public var awaited: String
    public var subject: String
    /// What is known: "no connection".
    public var detail: String
    /// Whether the process ends when it has waited too long. Else the peer is the one who ends the wait.
    public var isBounded: Bool

    public init(_ subject: String, from awaited: String, detail: String = "", isBounded: Bool = true) {
      self.awaited = awaited
      self.subject = subject
      self.detail = detail
      self.isBounded = isBounded
    }

    public static func == (a: Self, b: Self) -> Bool { a.awaited == b.awaited && a.subject == b.subject }
    public func hash(into hasher: inout Hasher) {
      hasher.combine(awaited)
      hasher.combine(subject)
    }
  }

  private let waiter: String
  private let limit: Milliseconds
  private var since: [Need: Milliseconds] = [:]
  private var watchdog = Watchdog()

  /// - Parameters:
  ///   - waiter: "worker w2".
  ///   - limit: how long a bounded need may last.
  public init(of waiter: String, limit: Milliseconds) {
    self.waiter = waiter
    self.limit = limit
  }

  /// Looks at everything that is needed now.
  /// - Returns: lines for the log, and the reason to end when a bounded need has lasted too long.
  public mutating func look(at needs: [Need], now: Milliseconds) -> (lines: [String], end: String?) {
    since = Dictionary(needs.map { ($0, since[$0] ?? now) }) { first, _ in first }
    let waits = needs.map { need in
      let detail = need.detail.isEmpty ? "" : " (\(need.detail))"
      return Wait(waiter, for: need.awaited, need.subject + detail, since: since[need] ?? now)
    }
    let lines = watchdog.look(at: waits, now: now)
    let ended = zip(needs, waits).first { $0.isBounded && $1.age(now: now) >= limit }
    return (lines, ended.map { "gave up: \($0.1.described(now: now))" })
  }
}
