import Wire

/// What holds between two events, checked by tests and by the simulator after every one of them.
extension CoordinatorState {
  /// The invariants that do not hold; empty for a sound state.
  package var brokenInvariants: [String] {
    guard outcome == nil && closing == nil else { return [] }
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
    let steps = openSteps.map(\.step)
    if zip(steps, steps.dropFirst()).contains(where: { $0 + 1 != $1 }) { broken.append("open steps are \(steps)") }
    if let last = steps.last, last >= stepCount { broken.append("step \(last) is open, the run has \(stepCount)") }
    if steps.count > gate.maxStaleness + 1 { broken.append("\(steps.count) steps are open") }
    if seat.nextStep > completed { broken.append("the learner is at step \(seat.nextStep), the run at \(completed)") }
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

extension LeaseTable {
  /// Workers that hold something.
  package var workers: [UInt64] { loads.keys.sorted() }

  package var brokenInvariants: [String] {
    var broken: [String] = []
    let queuedIDs = Set(queue.map(\.id))
    if queuedIDs.count != queue.count { broken.append("a lease is queued twice") }
    if queue != queue.sorted() { broken.append("the queue is out of order") }
    var counted: [UInt64: Load] = [:]
    for record in records.values {
      let id = record.work.id
      let isLive = record.holders.contains { $0.deadline != nil }
      switch record.state {
      case .queued: if !queuedIDs.contains(id) || isLive { broken.append("\(id) is lost") }
      case .granted: if queuedIDs.contains(id) || !isLive { broken.append("\(id) is held by nobody") }
      case .finished, .quarantined:
        if queuedIDs.contains(id) || !record.holders.isEmpty { broken.append("\(id) is given out after its end") }
      }
      if Set(record.holders.map(\.worker)).count != record.holders.count { broken.append("\(id) is held twice") }
      for holder in record.holders {
        if holder.deadline == nil {
          counted[holder.worker, default: Load()].expired += 1
        } else {
          counted[holder.worker, default: Load()].leases += 1
          counted[holder.worker, default: Load()].samples += record.work.groupSize
        }
      }
    }
    if counted != loads { broken.append("loads are \(loads), held is \(counted)") }
    return broken.sorted()
  }
}
