import Support
import Wire

/// The slot of the one learner that a run has: which process is registered, which step it needs next, and which batch
/// it has.
///
/// A learner that restarts is registered as soon as the one before is silent; a second one next to a living learner is
/// refused. Invariant: at most one batch is outstanding, and it is the one of `nextStep`.
package struct LearnerSlot: Equatable, Sendable {
  /// The process that is registered.
  package struct Learner: Equatable, Sendable {
    package let incarnation: UInt64
    package var address: PeerAddress
    package let name: String
    package let host: String
    package var weightsEndpoint: String
    package var heardAt: Milliseconds
    /// Since when it counts as lost; nil while it lives.
    package var lostAt: Milliseconds?
    package var heldVersion: PolicyVersion?
    package var activity = "starting"

    package init(_ hello: Hello, at address: PeerAddress, now: Milliseconds) {
      incarnation = hello.incarnation
      self.address = address
      name = printable(hello.name)
      host = printable(hello.host)
      weightsEndpoint = hello.weightsEndpoint
      heldVersion = hello.policyVersion
      heardAt = now
    }
  }

  /// A batch whose completion is awaited.
  package struct Outstanding: Equatable, Sendable {
    package let step: UInt32
    /// Since when its completion is awaited.
    package let since: Milliseconds
    /// Whether the learner has it from this process, so that `since` is when its training began.
    package let isSentHere: Bool
    fileprivate var resendAt: Milliseconds
    fileprivate var resendCount = 0
  }

  /// A hello that came while another learner, or the same one elsewhere, seems to live.
  private struct Candidate: Equatable, Sendable {
    var incarnation: UInt64
    var since: Milliseconds
  }

  /// Whether a process that says hello may be registered.
  package enum Claim: Equatable, Sendable {
    case free
    /// It is registered already.
    case own
    /// The learner before has been silent for a moment; whether it is gone shows shortly.
    case wait
    case taken(by: String)
  }

  private let silenceMax: Milliseconds
  private let resendAfter: Milliseconds
  private var candidate: Candidate?
  package var learner: Learner?
  /// The step that the learner trains next: the number of steps behind its weights.
  private(set) package var nextStep: UInt32 = 0
  private(set) package var outstanding: Outstanding?
  /// Steps behind the newest checkpoint of the learner that is registered, or was last.
  package var savedStep: UInt32 = 0
  /// Since when no living learner is registered.
  private(set) package var emptySince: Milliseconds

  package init(silenceMax: Milliseconds, resendAfter: Milliseconds, now: Milliseconds) {
    self.silenceMax = silenceMax
    self.resendAfter = resendAfter
    emptySince = now
  }

  /// The learner, while it lives.
  package var live: Learner? { learner?.lostAt == nil ? learner : nil }

  /// Judges a hello. While the learner is heard, a hello from elsewhere than its own connection is that of another
  /// process, or a repeated one.
  package mutating func claim(by incarnation: UInt64, at address: PeerAddress, now: Milliseconds) -> Claim {
    guard let holder = live else { return learner?.incarnation == incarnation ? .own : .free }
    if holder.incarnation == incarnation && holder.address == address { return .own }
    if candidate?.incarnation != incarnation { candidate = Candidate(incarnation: incarnation, since: now) }
    guard let since = candidate?.since, holder.heardAt > since + silenceMax / 2 else { return .wait }
    candidate = nil
    return .taken(by: holder.name)
  }

  /// Registers a learner whose claim is free.
  /// - Parameters:
  ///   - nextStep: the step that it trains next.
  ///   - awaited: the step before, when it has trained it and has not reported that yet.
  package mutating func register(_ learner: Learner, nextStep: UInt32, awaited: UInt32?, now: Milliseconds) {
    self.learner = learner
    self.nextStep = awaited ?? nextStep
    candidate = nil
    savedStep = 0
    outstanding = awaited.map { Outstanding(step: $0, since: now, isSentHere: false, resendAt: now + resendAfter) }
  }

  /// The learner was heard.
  /// - Returns: true when it had been lost until now.
  package mutating func heard(now: Milliseconds) -> Bool {
    learner?.heardAt = now
    guard learner?.lostAt != nil else { return false }
    learner?.lostAt = nil
    return true
  }

  /// Marks a learner that is silent for too long as lost.
  /// - Returns: the learner, when it has just been lost.
  package mutating func loseSilent(now: Milliseconds) -> Learner? {
    guard let holder = live, now - holder.heardAt > silenceMax else { return nil }
    learner?.lostAt = now
    emptySince = now
    return learner
  }

  /// The learner said goodbye, or was evicted.
  package mutating func clear(now: Milliseconds) {
    learner = nil
    outstanding = nil
    emptySince = now
  }

  /// The coordinator itself did not run for a while: that was nobody's silence.
  package mutating func extendDeadlines(by span: Milliseconds, now: Milliseconds) {
    if let holder = live { learner?.heardAt = min(now, holder.heardAt + span) }
  }

  /// The batch of `nextStep` is sent for the first time.
  package mutating func sent(step: UInt32, now: Milliseconds) {
    precondition(outstanding == nil && step == nextStep, "batch \(step) is not due, step \(nextStep) is")
    outstanding = Outstanding(step: step, since: now, isSentHere: true, resendAt: now + resendAfter)
  }

  /// Whether the outstanding batch should be sent once more; true less and less often.
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
