import Prompts
import Support
import Wire

/// The rollout worker as a pure value: events in, effects out. It reads no clock and does no I/O; `RolloutRunner`
/// performs the effects, and tests and simulations call it directly.
///
/// It joins with a hello, fetches what is announced, decodes the leases of the version that it holds, keeps every
/// result until it is acknowledged, and says what it could take in its heartbeats.
///
/// Invariants:
/// - The held version never goes back, and changes only while nothing is being decoded (`PolicyReplica`).
/// - A lease ends in exactly one of: a result, a return, a cancellation by the coordinator.
/// - A result is sent again until acknowledged, at once when the coordinator is a new process.
/// - While draining, nothing new starts, and the worker ends within `Limits.drainMilliseconds`.
public struct RolloutState: Sendable {
  /// The events that the worker handles.
  public enum Event: Sendable {
    case started
    /// From the coordinator.
    case received(Message)
    /// From the learner, who serves weights.
    case receivedFromLearner(Message)
    /// The line to the coordinator.
    case link(LinkState)
    /// The line to the learner.
    case learnerLink(LinkState)
    /// The weights that `load` gave are in the engine, and may be read back until the next `load`.
    case loaded(any HeldWeights)
    /// They are no model that this engine can run.
    case loadFailed(String)
    /// A sample is decoded; its slot is free.
    case sampleFinished(LeaseID)
    /// The group takes no more samples, and waits for scores.
    case groupDecoded(LeaseID)
    /// The group is decoded and scored.
    case groupFinished(LeaseID, RolloutGroup)
    /// The engine cannot do this lease, nor could another one: a prompt longer than the model's positions.
    case leaseImpossible(LeaseID, reason: String)
    /// SIGTERM.
    case drainRequested
    /// Several times a heartbeat; carries the engine's count of tokens since its start.
    case tick(tokensSampled: UInt64)
  }

  /// The effects that the runner performs.
  public enum Effect: Equatable, Sendable {
    /// Sends a message to the coordinator.
    case send(Message)
    /// The learner serves weights at this endpoint now.
    case connectToLearner(String)
    case sendToLearner(Message)
    /// Put these weights, a version or the base model of the versions to come, into the engine, which is idle.
    case load(FetchedWeights)
    /// Decode a lease with the held version.
    case generate(Lease)
    case cancel(LeaseID)
    /// Finish a lease with a partial group: this many samples, or all that are decoded already if they are more.
    case finishPartially(LeaseID, sizeMin: Int)
    case log(String)
    case end(Ending)
  }

  /// How a worker ends.
  public enum Ending: Equatable, Sendable {
    /// The run is over, or the worker was drained.
    case finished(String)
    /// Refused by the coordinator, no coordinator for too long, or weights that are no model.
    case failed(String)
  }

  /// Spans of time, and bounds on what a lease may ask.
  enum Limits {
    static let resendInterval: Milliseconds = 3_000
    static let drainMilliseconds: Milliseconds = 3_000
    static let groupSizeMax: UInt32 = 4_096
    static let newTokensMax = 1 << 20
    /// The worker takes no more work while this many decoded groups wait for scores or an acknowledgement.
    static let undeliveredMax = 64
  }

  private enum Phase: Equatable {
    case serving
    case draining(until: Milliseconds)
    case ended
  }

  private var member: FarmMember
  private var phase = Phase.serving
  private var policy = PolicyReplica()
  private var book = LeaseBook()
  private var rate = TokenRate()
  private var groupsDone: UInt64 = 0
  private var groupSize: UInt32 = 1
  private var announcedCredit: UInt32 = 0
  private var learnerLink = ServerLink()
  private var weightsEndpoint = ""

  /// A worker that has not said hello.
  public init(as member: FarmMember) { self.member = member }

  /// In the engine; nil before the first.
  public var policyVersion: PolicyVersion? { policy.held }

  /// Takes one event.
  /// - Parameter now: monotonic, milliseconds.
  /// - Returns: the effects, in order.
  public mutating func on(_ event: Event, now: Milliseconds) -> [Effect] {
    guard phase != .ended else { return [] }
    var effects: [Effect]
    switch event {
    case .started: effects = join(now: now)
    case .received(let message): effects = received(message, now: now)
    case .link(let state):
      member.link.on(state, now: now)
      effects = watchLinks(now: now)
    case .receivedFromLearner(let message): effects = policy.received(message, now: now)
    case .learnerLink(let state):
      learnerLink.on(state, now: now)
      effects = watchLinks(now: now)
    case .loaded(let weights): effects = policy.loaded(weights, now: now) + heartbeat(now: now)
    case .loadFailed(let reason):
      phase = .ended
      effects = [.send(.goodbye(Goodbye(reason: reason))), .end(.failed(reason))]
    case .sampleFinished(let id):
      book.sampleFinished(id)
      effects = []
    case .groupDecoded(let id):
      book.groupDecoded(id)
      effects = []
    case .groupFinished(let id, let group): effects = finished(id, group, now: now)
    case .leaseImpossible(let id, let reason):
      effects = book.remove(id).map { [giveBack($0.lease, .impossible, reason)] } ?? []
    case .drainRequested: effects = drain(reason: "asked to stop", now: now)
    case .tick(let tokensSampled): effects = tick(tokensSampled: tokensSampled, now: now)
    }
    guard phase != .ended else { return effects }
    effects += advance()
    // Less credit is what the coordinator expects, who granted the leases; more is reported at once.
    announcedCredit = min(announcedCredit, credit)
    if isServing, credit > announcedCredit { effects += heartbeat(now: now) }
    return effects
  }

  // MARK: Messages

  private mutating func received(_ message: Message, now: Milliseconds) -> [Effect] {
    switch message {
    case .welcome(let welcome): return welcomed(welcome, now: now)
    case .refused(let refusal):
      phase = .ended
      return [.end(.failed("refused by the coordinator: \(refusal.reason)"))]
    case .goodbye(let goodbye):
      phase = .ended
      return book.all.map { .cancel($0.id) } + [.end(.finished(goodbye.reason))]
    case .policyAnnounced(let announced):
      weightsEndpoint = announced.weightsEndpoint
      return policy.announce(announced, now: now)
    case .lease(let lease): return granted(lease, now: now)
    case .resultAcknowledged(let id):
      book.acknowledge(id)
      // Another worker was first: what is left of the lease here is of no use.
      let cancelled = book.remove(id)
      return cancelled?.isStarted == true ? [.cancel(id)] : []
    default:
      return [.log("a message that is not for a worker is ignored")]
    }
  }

  private mutating func welcomed(_ welcome: Welcome, now: Milliseconds) -> [Effect] {
    switch member.welcomed(welcome) {
    case .leave(let reason): return leave(reason)
    case .unknown: return unknown(now: now)
    case .member: return heartbeat(now: now)
    case .newCoordinator:
      return [.send(.hello(greeting)), .log("the coordinator is a new process")]
        + book.resend(sentBefore: now, now: now).map { .send(.groupResult($0)) } + heartbeat(now: now)
    }
  }

  private mutating func granted(_ lease: Lease, now: Milliseconds) -> [Effect] {
    if case .draining = phase { return [giveBack(lease, .draining, "draining")] }
    if let result = book.renew(lease, now: now) { return [.send(.groupResult(result))] }
    if let work = book.work[lease.id] {
      return lease.partialGroupMin > 0 && work.stage == .decoding
        ? [.finishPartially(lease.id, sizeMin: Int(lease.partialGroupMin))] : []
    }
    if let fault = fault(of: lease) { return [giveBack(lease, .impossible, fault)] }
    groupSize = lease.groupSize
    book.add(lease)
    return []
  }

  /// Why a lease can be done nowhere, or nil.
  private func fault(of lease: Lease) -> String? {
    if lease.groupSize < 1 || lease.groupSize > Limits.groupSizeMax {
      return "group size \(lease.groupSize) outside 1...\(Limits.groupSizeMax)"
    }
    if let fault = lease.sampling.fault { return fault.description }
    if lease.sampling.maxNewTokens > Limits.newTokensMax {
      return "\(lease.sampling.maxNewTokens) new tokens, at most \(Limits.newTokensMax)"
    }
    if lease.messages.isEmpty { return "no messages" }
    return nil
  }

  private func giveBack(_ lease: Lease, _ cause: LeaseReturned.Cause, _ reason: String) -> Effect {
    .send(.leaseReturned(LeaseReturned(lease: lease.id, attempt: lease.attempt, cause: cause, reason: reason)))
  }

  private mutating func finished(_ id: LeaseID, _ group: RolloutGroup, now: Milliseconds) -> [Effect] {
    guard let result = book.finish(id, group: group, now: now) else { return [] }
    groupsDone += 1
    return [.send(.groupResult(result))]
  }

  // MARK: Leases and versions

  /// Starts what can start, gives back what never can, and loads what is staged once nothing is being decoded.
  private mutating func advance() -> [Effect] {
    if case .draining = phase { return [] }
    var effects: [Effect] = []
    for lease in book.waiting {
      if lease.policyVersion == policy.held, policy.loading == nil {
        book.start(lease.id)
        effects.append(.generate(lease))
      } else if lease.policyVersion != policy.held, !policy.expects(lease.policyVersion) {
        _ = book.remove(lease.id)
        let held = policy.held?.description ?? "no version"
        effects.append(giveBack(lease, .versionNotHeld, "holds \(held), asked for \(lease.policyVersion)"))
      }
    }
    if !book.isDecoding, let weights = policy.takeStaged() { effects.append(.load(weights)) }
    return effects
  }

  // MARK: Time

  private mutating func tick(tokensSampled: UInt64, now: Milliseconds) -> [Effect] {
    rate.tokensTotal = tokensSampled
    var effects = policy.tick(now: now)
    if isJoining {
      if member.helloIsDue(now: now) { effects += join(now: now) }
    } else {
      if member.heartbeatIsDue(now: now) { effects += heartbeat(now: now) }
      effects += book.resend(sentBefore: now - Limits.resendInterval, now: now).map { .send(.groupResult($0)) }
    }
    if case .draining(let until) = phase, book.unacknowledged.isEmpty || now >= until {
      phase = .ended
      let lost = book.unacknowledged.count
      effects.append(.send(.goodbye(Goodbye(reason: "drained"))))
      effects.append(.end(.finished(lost == 0 ? "drained" : "drained, \(lost) results unacknowledged")))
    }
    return phase == .ended ? effects : effects + watchLinks(now: now) + watchWaits(now: now)
  }

  /// The worker cannot go on here, and says why to the coordinator.
  private mutating func leave(_ reason: String) -> [Effect] {
    phase = .ended
    return book.all.map { .cancel($0.id) }
      + [.send(.goodbye(Goodbye(reason: String(reason.prefix(1000))))), .end(.failed(reason))]
  }

  private mutating func watchLinks(now: Milliseconds) -> [Effect] {
    if case .draining = phase { return [] }
    if let reason = member.link.end(now: now) { return leave("\(member.coordinatorName): \(reason)") }
    return learnerLink.end(now: now).map { leave("learner \(weightsEndpoint): \($0)") } ?? []
  }

  /// Says what does not come, and ends when it has not come for too long.
  private mutating func watchWaits(now: Milliseconds) -> [Effect] {
    guard phase != .ended else { return [] }
    let (lines, end) = member.look(at: pendingWaits, now: now)
    return lines.map { .log($0) } + (end.map { leave("\($0) (--timeout)") } ?? [])
  }

  /// What it waits for, and from whom.
  private var pendingWaits: [PendingWait] {
    if isJoining { return [member.pendingWelcome] }
    guard isServing else { return [] }
    var waits: [PendingWait] = []
    if let id = book.unacknowledged.keys.min() { waits.append(member.pendingWait("acknowledgement of \(id)")) }
    if let target = policy.target {
      let learner = weightsEndpoint.isEmpty ? "a learner" : "learner \(weightsEndpoint)"
      waits.append(
        PendingWait("weights", from: learner, detail: "\(target.version), \(learnerLink.state.described)"))
    } else if book.all.isEmpty, waits.isEmpty {
      waits.append(member.pendingWaitBoundedByCoordinator(policy.held == nil ? "word of weights" : "a lease"))
    }
    return waits
  }

  /// The coordinator does not know this process: hello until it does. Heartbeats would only be asked about again.
  private mutating func unknown(now: Milliseconds) -> [Effect] {
    if phase != .serving { return [.send(.hello(greeting))] }
    return isJoining && !member.helloIsDue(now: now) ? [] : join(now: now)
  }

  private mutating func join(now: Milliseconds) -> [Effect] {
    member.joins(now: now)
    return [.send(.hello(greeting))]
  }

  private var greeting: Hello {
    var hello = member.hello
    hello.policyVersion = policy.held
    return hello
  }

  private mutating func drain(reason: String, now: Milliseconds) -> [Effect] {
    if case .draining = phase { return [] }
    phase = .draining(until: now + Limits.drainMilliseconds)
    let leases = book.all
    let effects: [Effect] = leases.flatMap { lease -> [Effect] in
      let isStarted = book.remove(lease.id)?.isStarted ?? false
      let returned = giveBack(lease, .draining, reason)
      return isStarted ? [.cancel(lease.id), returned] : [returned]
    }
    return effects + heartbeat(now: now) + [.log("draining: \(leases.count) leases given back")]
  }

  private mutating func heartbeat(now: Milliseconds) -> [Effect] {
    member.beats(now: now)
    announcedCredit = credit
    rate.note(now: now)
    return [
      .send(
        .heartbeat(
          Heartbeat(
            incarnation: member.hello.incarnation, activity: activity, policyVersion: policy.held, credit: credit,
            activeSamples: min(book.remainingSamples, member.hello.slots), tokensTotal: rate.tokensTotal,
            tokensPerSecond: rate.tokensPerSecond, groupsDone: groupsDone)))
    ]
  }

  private var isJoining: Bool { phase == .serving && member.isJoining }
  private var isServing: Bool { phase == .serving && !member.isJoining }

  /// Groups that it would take now, of the size that was asked for last: as many as its free slots hold, and one when
  /// nothing is being decoded.
  private var credit: UInt32 {
    guard isServing, policy.held != nil, book.undeliveredCount < Limits.undeliveredMax else { return 0 }
    let remaining = book.remainingSamples
    let free = member.hello.slots > remaining ? (member.hello.slots - remaining) / groupSize : 0
    return remaining == 0 ? max(1, free) : free
  }

  private var activity: String {
    if case .draining = phase { return "draining" }
    if let loading = policy.loading { return "loading \(loading)" }
    if book.isDecoding { return "decoding" }
    if let target = policy.target { return "fetching \(target.version)" }
    if book.isScoring { return "scoring" }
    return policy.held == nil ? "waiting for weights" : "idle"
  }
}
