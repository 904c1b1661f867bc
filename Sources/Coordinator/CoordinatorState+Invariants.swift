import Wire

/// The invariants between two events, which tests and the simulator check after every event.
extension CoordinatorState {
  /// The invariants that do not hold; empty for a sound state.
  package var brokenInvariants: [String] {
    guard lifecycle.isWorking else { return [] }
    var broken = leases.brokenInvariants
    for open in openSteps {
      let counts = leases.openCounts(.train, step: open.step)
      if counts.queued + counts.granted != open.openCount {
        broken.append("step \(open.step) wants \(open.openCount) groups more, \(counts) leases are open")
      }
    }
    if let open = evaluation.open {
      let counts = leases.openCounts(.evaluate, step: open.step)
      if counts.queued + counts.granted != open.wanted - open.doneCount {
        broken.append("the evaluation wants \(open.wanted - open.doneCount) answers more, \(counts) leases are open")
      }
    }
    let open = openSteps.map(\.step)
    if zip(open, open.dropFirst()).contains(where: { $0 + 1 != $1 }) { broken.append("open steps are \(open)") }
    if let last = open.last, last >= steps.stepCount {
      broken.append("step \(last) is open, the run has \(steps.stepCount)")
    }
    if open.count > gate.maxStaleness + 1 { broken.append("\(open.count) steps are open") }
    if learnerSlot.nextStep > steps.completed {
      broken.append("the learner is at step \(learnerSlot.nextStep), the run at \(steps.completed)")
    }
    for worker in registry.records
    where worker.lostAt != nil && leases.load(of: worker.incarnation) != LeaseTable.Load() {
      broken.append("lost worker \(worker.name) holds leases")
    }
    let known = Set(registry.records.map(\.incarnation))
    for worker in leases.workers where !known.contains(worker) { broken.append("a worker that left holds leases") }
    let names = registry.live.map(\.name)
    if Set(names).count != names.count { broken.append("names of live workers are \(names)") }
    return broken
  }

  /// The newest version that this coordinator has announced.
  package var newestVersion: PolicyVersion? { gate.newest }
}
