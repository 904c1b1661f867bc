import Core
import Settings
import Wire

/// What people are shown: the farm at one moment, and who waits for whom, for what, since when.
extension CoordinatorState {
  public var phase: FarmPhase {
    if outcome != nil { return .finished }
    if closing != nil { return .closing }
    if gate.newest == nil || (seat.live == nil && (openSteps.first?.isComplete ?? true)) { return .waitingForLearner }
    if evaluation.open != nil { return .evaluating }
    // With overlapping steps the learner trains and the workers sample at once: sampling is what can be counted.
    if seat.outstanding != nil && openSteps.first.map(\.isComplete) ?? true { return .training }
    return .rollout
  }

  /// Counted since the coordinator started.
  public var tally: FarmCounters { counters }

  public func status(now: Milliseconds) -> FarmStatus {
    let progress = progress
    return FarmStatus(
      runID: runID, phase: phase.rawValue, step: outcome == nil ? min(completed + 1, stepCount) : completed,
      stepCount: stepCount, version: gate.newest, groupsDone: UInt32(clamping: progress.done),
      groupsWanted: UInt32(clamping: progress.wanted), secondsElapsed: Double(now - startedAt) / 1000,
      metrics: newestMetrics, peers: peers(now: now), waits: outcome == nil ? waits(now: now) : [])
  }

  private var progress: (done: Int, wanted: Int) {
    if let open = evaluation.open { return (open.doneCount, open.wanted) }
    if let open = openSteps.first { return (open.doneCount, open.wanted) }
    let wanted = gate.newest == nil || outcome != nil ? 0 : settings.rollout.promptsPerStep
    return (seat.outstanding == nil ? 0 : wanted, wanted)
  }

  private func peers(now: Milliseconds) -> [FarmStatus.Peer] {
    var peers: [FarmStatus.Peer] = []
    if let learner = seat.occupant {
      peers.append(
        FarmStatus.Peer(
          name: learner.name, role: .learner, host: learner.host,
          state: learner.lostAt == nil ? learner.activity : "silent \(seconds(now - learner.heardAt)) s",
          policyVersion: learner.heldVersion, tokensPerSecond: 0, groupsDone: 0,
          leases: seat.outstanding == nil ? 0 : 1, heartbeatAgeMilliseconds: UInt32(clamping: now - learner.heardAt)))
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

  /// One line an edge: who waits for whom, for what, since when.
  private func waits(now: Milliseconds) -> [String] {
    var lines: [String] = []
    if let closing {
      lines.append("coordinator waits for the learner's last checkpoint, for \(seconds(now - closing.since)) s")
    }
    if seat.live == nil {
      lines.append("coordinator waits for a learner, for \(seconds(now - seat.emptySince)) s")
    }
    if let outstanding = seat.outstanding {
      let name = seat.occupant?.name ?? "learner"
      lines.append(
        "coordinator waits for \(name) to train step \(outstanding.step + 1), for \(seconds(now - outstanding.sentAt)) s"
      )
    }
    if let newest = gate.newest {
      if leases.hasQueued {
        let what = registry.liveCount == 0 ? "a worker" : "a worker with room and weights"
        lines.append("\(leases.queued.count) leases wait for \(what)")
      }
      for worker in registry.live where worker.heldVersion != newest {
        let held = worker.heldVersion.map { "holds \($0)" } ?? "holds no weights"
        lines.append(
          "worker \(worker.name) waits for \(newest) from \(seat.occupant?.name ?? "a learner"), \(held), for "
            + "\(seconds(now - worker.announcedAt)) s")
      }
    }
    let what = evaluation.open == nil ? "step \(min(completed + 1, stepCount))" : "the evaluation"
    for worker in registry.records {
      let held = leases.held(by: worker.incarnation)
      guard let oldest = held.map(\.holder.grantedAt).min() else { continue }
      lines.append("\(what) waits for \(held.count) leases of worker \(worker.name), for \(seconds(now - oldest)) s")
    }
    return lines
  }
}
