import Settings
import Support
import Wire

/// The farm at one moment, as people are shown it.
extension CoordinatorState {
  public var phase: FarmPhase {
    switch lifecycle {
    case .finished: return .finished
    case .closing: return .closing
    case .running, .draining: break
    }
    if gate.newest == nil || (learnerSlot.live == nil && (openSteps.first?.isComplete ?? true)) {
      return .waitingForLearner
    }
    if evaluation.open != nil { return .evaluating }
    // With overlapping steps the learner trains and the workers sample at once: sampling is what can be counted.
    if isTrained || learnerSlot.outstanding != nil && openSteps.first.map(\.isComplete) ?? true { return .training }
    return .rollout
  }

  /// The counts since the run began.
  public var tally: FarmCounters { counters }

  public func status(now: Milliseconds) -> FarmStatus {
    let progress = progress
    return FarmStatus(
      runID: runID, phase: phase.rawValue,
      step: outcome == nil ? min(steps.completed + 1, steps.stepCount) : steps.completed,
      stepCount: steps.stepCount, version: gate.newest, groupsDone: UInt32(clamping: progress.done),
      groupsWanted: UInt32(clamping: progress.wanted), secondsElapsed: clock.secondsElapsed(at: now),
      metrics: measurements.newest, peers: peers(now: now),
      waits: outcome == nil ? waits.map { $0.described(now: now) } : [],
      quarantined: quarantined.suffix(1000).map(\.description))
  }

  private var progress: (done: Int, wanted: Int) {
    if let open = evaluation.open { return (open.doneCount, open.wanted) }
    if let open = openSteps.first { return (open.doneCount, open.wanted) }
    let wanted = gate.newest == nil || outcome != nil ? 0 : settings.rollout.promptsPerStep
    return (learnerSlot.outstanding == nil ? 0 : wanted, wanted)
  }

  private func peers(now: Milliseconds) -> [FarmStatus.Peer] {
    var peers: [FarmStatus.Peer] = []
    if let learner = learnerSlot.learner {
      peers.append(
        FarmStatus.Peer(
          name: learner.name, role: .learner, host: learner.host,
          state: learner.lostAt == nil ? learner.activity : "silent \(seconds(now - learner.heardAt)) s",
          policyVersion: learner.heldVersion, tokensPerSecond: 0, groupsDone: 0,
          leases: learnerSlot.outstanding == nil ? 0 : 1,
          heartbeatAgeMilliseconds: UInt32(clamping: now - learner.heardAt)))
    }
    for worker in registry.records where worker.lostAt.map({ now - $0 < 60_000 }) ?? true {
      peers.append(
        FarmStatus.Peer(
          name: worker.name, role: .worker, host: worker.host,
          state: worker.lostAt == nil ? worker.activity : "silent \(seconds(now - worker.heardAt)) s",
          policyVersion: worker.heldVersion, tokensPerSecond: worker.lostAt == nil ? worker.tokensPerSecond : 0,
          groupsDone: worker.groupsDone, leases: UInt32(clamping: leases.load(of: worker.incarnation).leases),
          heartbeatAgeMilliseconds: UInt32(clamping: now - worker.heardAt)))
    }
    return peers
  }
}
