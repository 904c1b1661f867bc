import Settings
import Support
import Wire

/// How long groups take, and which one takes too long.
///
/// A group is a straggler when its worker has had it for `after` times the median of the newest groups of its purpose. The
/// first few groups say nothing yet. What becomes of a straggler is `farm.stragglers`:
///
/// - `wait`: nothing; only the lease's deadline ends it.
/// - `hedge`: an idle worker that holds the same version gets a copy. The first result counts, and as samples depend on
///   their random key alone, both would be the same bits: the policy costs idle time and changes nothing.
/// - `partial`: its worker is asked for the samples that are finished, at least `partial_group_min` of them. The group's baseline
///   is then the mean of the survivors. Faster, but which samples survive depends on timing: the run is not repeatable.
package struct StragglerWatch: Sendable {
  private static let spanCountMin = 3
  private static let spanCountMax = 63

  private let after: Double
  private var spans: [LeasePurpose: [Milliseconds]] = [:]

  package init(after: Double) { self.after = after }

  /// A group came so long after it was given out.
  package mutating func note(_ span: Milliseconds, _ purpose: LeasePurpose) {
    var newest = spans[purpose] ?? []
    if newest.count == Self.spanCountMax { newest.removeFirst() }
    spans[purpose] = newest + [span]
  }

  /// How long a group may take; nil while too little is known.
  package func spanMax(_ purpose: LeasePurpose) -> Milliseconds? {
    guard let spans = spans[purpose], spans.count >= Self.spanCountMin else { return nil }
    let median = spans.sorted()[spans.count / 2]
    return Milliseconds((Double(median) * after).rounded(.up))
  }
}

extension CoordinatorState {
  /// Hedges or shrinks what takes too long.
  mutating func mindStragglers() {
    guard settings.farm.stragglers != .wait, !leases.hasQueued, drainingSince == nil else { return }
    for purpose in [LeasePurpose.evaluate, .train] {
      guard let spanMax = stragglerWatch.spanMax(purpose) else { continue }
      for (work, holder) in leases.heldAlone(purpose, since: clock - spanMax) {
        switch settings.farm.stragglers {
        case .wait: break
        case .hedge: hedge(work, beside: holder)
        case .partial: shrink(work, heldBy: holder)
        }
      }
    }
  }

  private mutating func hedge(_ work: LeaseWork, beside holder: LeaseTable.Holder) {
    let idle = registry.records.indices.filter {
      let worker = registry[$0]
      return worker.lostAt == nil && worker.credit > 0 && worker.heldVersion == holder.version
        && leases.load(of: worker.incarnation) == LeaseTable.Load()
    }
    guard let index = idle.min(by: { registry[$0].busySlots < registry[$1].busySlots }) else { return }
    counters.hedged += 1
    grant(work, to: index)
  }

  /// Asked again while it does not answer; a worker takes the same request once.
  private mutating func shrink(_ work: LeaseWork, heldBy holder: LeaseTable.Holder) {
    guard work.purpose == .train, let index = registry.index(of: holder.worker),
      clock - holder.sentAt >= registry.silenceMax
    else { return }
    if leases.markShrunk(work.id) { counters.shrunk += 1 }
    leases.sentAgain(work.id, to: holder.worker, now: clock)
    var lease = lease(for: work, attempt: holder.attempt, version: holder.version)
    lease.survivorsMin = UInt32(clamping: survivorsMin)
    send(.lease(lease), to: registry[index].address)
  }

  /// The fewest samples that make a group.
  var survivorsMin: Int {
    settings.farm.stragglers == .partial
      ? min(settings.rollout.groupSize, max(2, settings.farm.partialGroupMin)) : settings.rollout.groupSize
  }
}
