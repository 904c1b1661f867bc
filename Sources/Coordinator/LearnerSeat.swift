import Support
import Wire

/// The one place for a learner: who has it, which step it needs next, and which batch is on its way.
///
/// A learner that restarts takes the place over as soon as the one before is silent; a second one beside a living learner is
/// refused. Invariant: at most one batch is outstanding, and it is the one of `nextStep`.
package struct LearnerSeat: Equatable, Sendable {
  package struct Occupant: Equatable, Sendable {
    package let incarnation: UInt64
    package var address: PeerAddress
    package let name: String
    package let host: String
    package var weightsEndpoint: String
    package var heardAt: Milliseconds
    package var lostAt: Milliseconds?
    package var heldVersion: PolicyVersion?
    package var activity = "starting"
  }

  package struct Outstanding: Equatable, Sendable {
    package let step: UInt32
    /// Since when its completion is awaited.
    package let since: Milliseconds
    /// Whether the learner has it from this process, so that `since` is when its training began.
    package let isSentHere: Bool
    fileprivate var resendAt: Milliseconds
    fileprivate var resendCount = 0
  }

  private struct Challenger: Equatable, Sendable {
    var incarnation: UInt64
    var since: Milliseconds
  }

  /// Whether a process that says hello may sit down.
  package enum Claim: Equatable, Sendable {
    case free
    /// It sits here already.
    case own
    /// The learner before has been silent for a moment; whether it is gone shows shortly.
    case wait
    case taken(by: String)
  }

  private let silenceMax: Milliseconds
  private let resendAfter: Milliseconds
  private var challenger: Challenger?
  package var occupant: Occupant?
  /// The step that the learner trains next: the number of steps behind its weights.
  package var nextStep: UInt32 = 0
  private(set) package var outstanding: Outstanding?
  /// Steps behind the newest checkpoint of the learner that sits here, or sat here last.
  package var savedStep: UInt32 = 0
  /// Since when nobody who lives has the seat.
  private(set) package var emptySince: Milliseconds

  package init(silenceMax: Milliseconds, resendAfter: Milliseconds, now: Milliseconds) {
    self.silenceMax = silenceMax
    self.resendAfter = resendAfter
    emptySince = now
  }

  /// The learner, while it lives.
  package var live: Occupant? { occupant?.lostAt == nil ? occupant : nil }

  /// A hello from elsewhere than the learner's own connection is another process, or a repeated hello, while the learner
  /// goes on being heard.
  package mutating func claim(by incarnation: UInt64, at address: PeerAddress, now: Milliseconds) -> Claim {
    guard let holder = live else { return occupant?.incarnation == incarnation ? .own : .free }
    if holder.incarnation == incarnation && holder.address == address { return .own }
    if challenger?.incarnation != incarnation { challenger = Challenger(incarnation: incarnation, since: now) }
    guard let since = challenger?.since, holder.heardAt > since + silenceMax / 2 else { return .wait }
    challenger = nil
    return .taken(by: holder.name)
  }

  /// - Parameters:
  ///   - nextStep: the step that it trains next.
  ///   - awaited: the step before, when it has trained it and the word of that has not come.
  package mutating func sit(_ occupant: Occupant, nextStep: UInt32, awaited: UInt32?, now: Milliseconds) {
    self.occupant = occupant
    self.nextStep = awaited ?? nextStep
    challenger = nil
    savedStep = 0
    outstanding = awaited.map { Outstanding(step: $0, since: now, isSentHere: false, resendAt: now + resendAfter) }
  }

  /// The learner was heard.
  /// - Returns: true when it had been lost until now.
  package mutating func heard(now: Milliseconds) -> Bool {
    occupant?.heardAt = now
    guard occupant?.lostAt != nil else { return false }
    occupant?.lostAt = nil
    return true
  }

  /// - Returns: the learner, when it has just been lost.
  package mutating func loseSilent(now: Milliseconds) -> Occupant? {
    guard let holder = live, now - holder.heardAt > silenceMax else { return nil }
    occupant?.lostAt = now
    emptySince = now
    return occupant
  }

  /// It said goodbye, or was refused.
  package mutating func leave(now: Milliseconds) {
    occupant = nil
    outstanding = nil
    emptySince = now
  }

  /// The coordinator itself did not run for a while: that was nobody's silence.
  package mutating func excuse(_ span: Milliseconds, now: Milliseconds) {
    if let holder = live { occupant?.heardAt = min(now, holder.heardAt + span) }
  }

  package mutating func sent(step: UInt32, now: Milliseconds) {
    precondition(outstanding == nil && step == nextStep, "batch \(step) is not due, step \(nextStep) is")
    outstanding = Outstanding(step: step, since: now, isSentHere: true, resendAt: now + resendAfter)
  }

  /// Whether the outstanding batch should be sent once more; asks less and less often.
  package mutating func resendIsDue(now: Milliseconds) -> Bool {
    guard live != nil, var waiting = outstanding, now >= waiting.resendAt else { return false }
    waiting.resendCount += 1
    waiting.resendAt = now + resendAfter << min(waiting.resendCount, 5)
    outstanding = waiting
    return true
  }

  /// The outstanding step is trained.
  package mutating func completed() {
    precondition(outstanding != nil, "no batch is outstanding")
    outstanding = nil
    nextStep += 1
  }
}
