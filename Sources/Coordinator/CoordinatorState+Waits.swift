import Settings
import Support
import Wire

/// Who waits for whom, for what, since when, as the coordinator sees the farm; and which of the waits end the run.
///
/// Every edge has an owner and a deadline. A lease that is granted has its own (`farm.lease_timeout_seconds`), closing
/// and draining have theirs (`CoordinatorLimits`). All others end the run after `farm.timeout_seconds`.
extension CoordinatorState {
  /// One edge each, the ones that end the run first.
  var waits: [Wait] {
    var waits = fatalWaits
    if case .closing(_, let since) = lifecycle {
      waits.append(Wait("coordinator", for: learnerName, "its last checkpoint", since: since))
    }
    if let newest = gate.newest {
      for worker in registry.live where worker.heldVersion != newest {
        let held = worker.heldVersion.map { "holds \($0)" } ?? "holds no weights"
        waits.append(
          Wait(
            "worker \(worker.name)", for: learnerName, "weights \(newest), \(held)",
            since: max(clock.stepCompletedAt, worker.joinedAt)))
      }
    }
    for worker in registry.records {
      let held = leases.held(by: worker.incarnation)
      guard let oldest = held.min(by: { $0.holder.grantedAt < $1.holder.grantedAt }) else { continue }
      let rest = held.count == 1 ? "" : " and \(held.count - 1) more"
      waits.append(
        Wait("coordinator", for: "worker \(worker.name)", "\(oldest.work.id)\(rest)", since: oldest.holder.grantedAt))
    }
    return waits
  }

  /// The waits that nothing but the timeout of the run bounds.
  private var fatalWaits: [Wait] {
    var waits: [Wait] = []
    if learnerSlot.live == nil {
      waits.append(
        Wait("coordinator", for: "a learner", "to train step \(steps.completed + 1)", since: learnerSlot.emptySince))
    } else if let outstanding = learnerSlot.outstanding {
      waits.append(
        Wait("coordinator", for: learnerName, "step \(outstanding.step + 1)'s update", since: outstanding.since))
    }
    if learnerSlot.live != nil, isTrained, learnerSlot.savedStep < steps.completed, lifecycle.isWorking {
      waits.append(Wait("coordinator", for: learnerName, "the last step's checkpoint", since: clock.stepCompletedAt))
    }
    if gate.newest != nil, leases.hasQueued {
      let whom = registry.liveCount == 0 ? "a worker" : "a worker with room and weights"
      waits.append(Wait("coordinator", for: whom, "\(leases.queued.count) leases", since: clock.queueMovedAt))
    }
    return waits
  }

  private var learnerName: String {
    guard let name = learnerSlot.learner?.name else { return "a learner" }
    return name == "learner" ? name : "learner \(name)"
  }

  /// Logs what lasts too long, and ends the run when a wait has reached the timeout.
  mutating func watchWaits() {
    let now = clock.now
    for line in watchdog.look(at: waits, now: now) { log(line) }
    guard lifecycle.isWorking, let longest = fatalWaits.max(by: { $0.age(now: now) < $1.age(now: now) }),
      Double(longest.age(now: now)) >= settings.farm.timeoutSeconds * 1000
    else { return }
    close(.failed("\(longest.described(now: now)) (farm.timeout_seconds)"))
  }
}
