import Support

/// The times that the coordinator decides by, all on its monotonic clock.
///
/// Invariants: `now` never goes back, and no other time lies after it. The run's start may lie before this process:
/// time that earlier processes of the run worked counts, the pauses between them do not.
package struct RunClock: Equatable, Sendable {
  /// The time of the event that is handled now, or was handled last.
  private(set) package var now: Milliseconds
  private var runStartedAt: Milliseconds
  private var sweptAt: Milliseconds
  /// When the newest step was completed; the start of this process before that.
  private(set) package var stepCompletedAt: Milliseconds
  /// The last moment at which a queued lease was granted, or none was queued.
  private(set) package var queueMovedAt: Milliseconds

  package init(now: Milliseconds) {
    self.now = now
    runStartedAt = now
    sweptAt = now
    stepCompletedAt = now
    queueMovedAt = now
  }

  /// An event happens; a time before the last one counts as the last one.
  package mutating func advance(to time: Milliseconds) { now = max(now, time) }

  /// Earlier processes of the run have worked for `seconds`.
  package mutating func resume(after seconds: Double) { runStartedAt -= Milliseconds(seconds * 1000) }

  /// How long the run has taken, earlier processes included.
  package func secondsElapsed(at time: Milliseconds) -> Double { Double(time - runStartedAt) / 1000 }
  package var secondsElapsed: Double { secondsElapsed(at: now) }

  /// Begins a sweep over deadlines when one is due.
  /// - Returns: the time since the last one; nil when none is due.
  package mutating func sweep(every interval: Milliseconds) -> Milliseconds? {
    let span = now - sweptAt
    guard span >= interval else { return nil }
    sweptAt = now
    return span
  }

  /// A step is completed now.
  /// - Returns: seconds since the one before.
  package mutating func completeStep() -> Double {
    defer { stepCompletedAt = now }
    return Double(now - stepCompletedAt) / 1000
  }

  /// A queued lease is granted now, or none is queued.
  package mutating func queueMoves() { queueMovedAt = now }
}
