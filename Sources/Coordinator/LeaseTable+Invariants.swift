import Wire

/// The invariants of the table alone, between two changes.
extension LeaseTable {
  /// Workers that hold a lease, expired or not.
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
