import Settings
import Wire

/// How groups that take too long are handled (`farm.stragglers`).
extension CoordinatorState {
  /// Hedges what takes too long, or asks for partial groups.
  mutating func handleStragglers() {
    guard settings.farm.stragglers != .wait, !leases.hasQueued, lifecycle == .running else { return }
    for purpose in [LeasePurpose.evaluate, .train] {
      guard let spanMax = stragglerWatch.spanMax(purpose) else { continue }
      for (work, holder) in leases.heldAlone(purpose, since: clock.now - spanMax) {
        switch settings.farm.stragglers {
        case .wait: break
        case .hedge: hedge(work, heldBy: holder)
        case .partial: askForPartialGroup(work, heldBy: holder)
        }
      }
    }
  }

  private mutating func hedge(_ work: LeaseWork, heldBy holder: LeaseTable.Holder) {
    let idle = registry.records.indices.filter {
      let worker = registry[$0]
      return worker.lostAt == nil && worker.freeSlots > 0 && worker.heldVersion == holder.version
        && leases.load(of: worker.incarnation) == LeaseTable.Load()
    }
    guard let index = idle.min(by: { registry[$0].busySlots < registry[$1].busySlots }) else { return }
    counters.hedged += 1
    grant(work, to: index)
  }

  /// Asks a worker for the samples that are finished, and again while it does not answer; it takes the request once.
  private mutating func askForPartialGroup(_ work: LeaseWork, heldBy holder: LeaseTable.Holder) {
    guard work.purpose == .train, let index = registry.index(of: holder.worker),
      clock.now - holder.sentAt >= registry.silenceMax
    else { return }
    if leases.markPartial(work.id) { counters.partialGroups += 1 }
    leases.sentAgain(work.id, to: holder.worker, now: clock.now)
    var lease = lease(for: work, attempt: holder.attempt, version: holder.version)
    lease.partialGroupMin = UInt32(clamping: partialGroupMin)
    send(.lease(lease), to: registry[index].address)
  }

  /// The fewest samples that make a group: all of them, but where partial groups are asked for.
  var partialGroupMin: Int {
    settings.farm.stragglers == .partial
      ? min(settings.rollout.groupSize, max(2, settings.farm.partialGroupMin)) : settings.rollout.groupSize
  }
}
