/// One edge of the wait graph: a process, the peer that it waits for, for what, and since when.
///
/// Roles are pure states, so a wait is a value that follows from the state; shells print it, `Watchdog` says when.
public struct Wait: Equatable, Sendable {
  /// "worker w2", "coordinator".
  public var waiter: String
  /// "coordinator tcp://10.0.0.1:5555", "a learner".
  public var awaited: String
  /// "an answer to its hello", "lease 17". May change while the same peer is waited for.
  public var subject: String
  /// When the wait began, on the clock of ticks.
  public var since: Milliseconds

  public init(_ waiter: String, for awaited: String, _ subject: String, since: Milliseconds) {
    self.waiter = waiter
    self.awaited = awaited
    self.subject = subject
    self.since = since
  }

  public func age(now: Milliseconds) -> Milliseconds { max(0, now - since) }

  /// "worker w2 waits for coordinator tcp://10.0.0.1:5555: an answer to its hello, for 30.0 s"
  public func described(now: Milliseconds) -> String {
    let tenths = age(now: now) / 100
    return "\(waiter) waits for \(awaited): \(subject), for \(tenths / 10).\(tenths % 10) s"
  }
}

/// Reports waits that last too long: each after 30 s, then whenever its age has doubled, and once more when it is over.
/// So no hang is silent, and none fills the log.
///
/// Invariant: it remembers no more edges than the last call passed.
public struct Watchdog: Equatable, Sendable {
  public static let firstMilliseconds: Milliseconds = 30_000

  private struct Edge: Hashable {
    var waiter: String
    var awaited: String
    var since: Milliseconds
  }
  private struct Notice: Equatable {
    /// The age that is logged next.
    var nextAge = Watchdog.firstMilliseconds
    var subject: String
  }
  private var notices: [Edge: Notice] = [:]

  public init() {}

  /// Looks at every wait that there is.
  /// - Returns: the lines for the log, those of waits that are over first.
  public mutating func look(at waits: [Wait], now: Milliseconds) -> [String] {
    let before = notices
    notices = [:]
    var lines: [String] = []
    for wait in waits {
      let edge = Edge(waiter: wait.waiter, awaited: wait.awaited, since: wait.since)
      var notice = before[edge] ?? Notice(subject: wait.subject)
      notice.subject = wait.subject
      if wait.age(now: now) >= notice.nextAge {
        lines.append(wait.described(now: now))
        while wait.age(now: now) >= notice.nextAge { notice.nextAge *= 2 }
      }
      notices[edge] = notice
    }
    let over = before.filter { $0.value.nextAge > Self.firstMilliseconds && notices[$0.key] == nil }
    return over.map { edge, notice in
      let wait = Wait(edge.waiter, for: edge.awaited, notice.subject, since: edge.since)
      return "over: \(wait.described(now: now))"
    }.sorted() + lines
  }
}
