import Settings
import Support
import Wire

/// Who waits for whom, for what, since when, as the coordinator sees the farm; and the end of its patience.
///
/// Every edge has an owner and a deadline. A lease that is out has its own (`farm.lease_timeout_seconds`), closing and
/// draining have theirs (`CoordinatorLimits`). All else is the coordinator's to bear for `farm.timeout_seconds`.
extension CoordinatorState {
  /// One edge each, the ones that end the run first.
  var waits: [Wait] {
    var waits = fatalWaits
    if let closing {
      waits.append(Wait("coordinator", for: learnerName, "its last checkpoint", since: closing.since))
    }
    if let newest = gate.newest {
      for worker in registry.live where worker.heldVersion != newest {
        let held = worker.heldVersion.map { "holds \($0)" } ?? "holds no weights"
        waits.append(
          Wait(
            "worker \(worker.name)", for: learnerName, "weights \(newest), \(held)",
            since: max(completedAt, worker.joinedAt)))
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

  /// Nothing but patience bounds these.
  private var fatalWaits: [Wait] {
    var waits: [Wait] = []
    if seat.live == nil {
      waits.append(Wait("coordinator", for: "a learner", "to train step \(completed + 1)", since: seat.emptySince))
    } else if let outstanding = seat.outstanding {
      waits.append(
        Wait("coordinator", for: learnerName, "step \(outstanding.step + 1)'s update", since: outstanding.since))
    }
    if seat.live != nil, isTrained, seat.savedStep < completed, closing == nil {
      waits.append(Wait("coordinator", for: learnerName, "the last step's checkpoint", since: completedAt))
    }
    if gate.newest != nil, leases.hasQueued {
      let whom = registry.liveCount == 0 ? "a worker" : "a worker with room and weights"
      waits.append(Wait("coordinator", for: whom, "\(leases.queued.count) leases", since: queueUnmovedSince))
    }
    return waits
  }

  private var learnerName: String {
    guard let name = seat.occupant?.name else { return "a learner" }
    return name == "learner" ? name : "learner \(name)"
  }

  /// Logs what lasts too long, and ends the run when its patience is over.
  mutating func watch() {
    for line in watchdog.look(at: waits, now: clock) { log(line) }
    guard closing == nil, let longest = fatalWaits.max(by: { $0.age(now: clock) < $1.age(now: clock) }),
      Double(longest.age(now: clock)) >= settings.farm.timeoutSeconds * 1000
    else { return }
    close(.failed("\(longest.described(now: clock)) (farm.timeout_seconds)"))
  }
}
