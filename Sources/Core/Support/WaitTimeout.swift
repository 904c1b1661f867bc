/// Something that a process waits for now.
///
/// Two are equal when they are for the same thing from the same peer; `detail` may differ.
public struct PendingWait: Hashable, Sendable {
  /// The peer, or the part of the process, that is waited for.
  public var awaited: String
  public var subject: String
  /// What is known of the cause: "no connection".
  public var detail: String
  /// Whether the process ends when the wait lasts too long. Otherwise it is for the peer to end the wait.
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

/// Keeps what a process waits for, since when, and reports a wait that has lasted too long.
///
/// A state says at every tick what it waits for now; a wait that is new counts from then, one that is gone is
/// forgotten. So the state keeps no times of its own. Pure: the clock is the caller's.
public struct WaitTimeout: Equatable, Sendable {
  private let waiter: String
  private let limit: Milliseconds
  private var since: [PendingWait: Milliseconds] = [:]
  private var watchdog = Watchdog()

  /// - Parameters:
  ///   - waiter: "worker w2".
  ///   - limit: how long a bounded wait may last.
  public init(of waiter: String, limit: Milliseconds) {
    self.waiter = waiter
    self.limit = limit
  }

  /// Looks at everything that is waited for now.
  /// - Returns: lines for the log, and the reason to end when a bounded wait has lasted too long.
  public mutating func look(at pending: [PendingWait], now: Milliseconds) -> (lines: [String], end: String?) {
    since = Dictionary(pending.map { ($0, since[$0] ?? now) }) { first, _ in first }
    let waits = pending.map { wait in
      let detail = wait.detail.isEmpty ? "" : " (\(wait.detail))"
      return Wait(waiter, for: wait.awaited, wait.subject + detail, since: since[wait] ?? now)
    }
    let lines = watchdog.look(at: waits, now: now)
    let ended = zip(pending, waits).first { $0.isBounded && $1.age(now: now) >= limit }
    return (lines, ended.map { "timed out: \($0.1.described(now: now))" })
  }
}
