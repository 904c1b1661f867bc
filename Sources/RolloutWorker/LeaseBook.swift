import Support
import Wire

/// The worker's leases: those that wait for a version, those being decoded, those that only wait for scores, and the
/// results that the coordinator has not acknowledged yet.
///
/// Invariant: a lease is in at most one of the four. Lists come in ascending order of lease ids, so that equal events
/// give equal effects.
struct LeaseBook: Equatable, Sendable {
  enum Stage: Equatable, Sendable {
    case waiting
    case decoding
    /// All its samples are decoded; its scores are not back yet.
    case scoring
  }
  struct Work: Equatable, Sendable {
    var lease: Lease
    var stage = Stage.waiting
    /// Samples that are not decoded.
    var remaining: UInt32

    var isStarted: Bool { stage != .waiting }
  }
  struct Unacknowledged: Equatable, Sendable {
    var result: GroupResult
    var sentAt: Milliseconds
  }

  private(set) var work: [LeaseID: Work] = [:]
  private(set) var unacknowledged: [LeaseID: Unacknowledged] = [:]

  /// Samples that are being decoded or wait for it.
  var remainingSamples: UInt32 { work.values.reduce(0) { $0 + $1.remaining } }
  var isDecoding: Bool { work.values.contains { $0.stage == .decoding } }
  var isScoring: Bool { work.values.contains { $0.stage == .scoring } }
  /// Groups that are decoded, and wait for scores or for the coordinator's acknowledgement.
  var undeliveredCount: Int { unacknowledged.count + work.values.count { $0.stage == .scoring } }
  var waiting: [Lease] { sorted { !$0.isStarted } }
  var all: [Lease] { sorted { _ in true } }

  mutating func add(_ lease: Lease) {
    work[lease.id] = Work(lease: lease, remaining: lease.groupSize)
  }

  mutating func start(_ id: LeaseID) { work[id]?.stage = .decoding }

  mutating func remove(_ id: LeaseID) -> Work? { work.removeValue(forKey: id) }

  mutating func sampleFinished(_ id: LeaseID) {
    guard let remaining = work[id]?.remaining, remaining > 0 else { return }
    work[id]?.remaining = remaining - 1
  }

  /// The group takes no more samples: it waits for scores.
  mutating func groupDecoded(_ id: LeaseID) {
    work[id]?.remaining = 0
    work[id]?.stage = .scoring
  }

  /// Takes a repeated grant of a lease that the worker has already.
  /// - Returns: the finished result to send once more, or nil when it is not finished.
  mutating func renew(_ lease: Lease, now: Milliseconds) -> GroupResult? {
    unacknowledged[lease.id]?.sentAt = now
    work[lease.id]?.lease.attempt = lease.attempt
    return unacknowledged[lease.id]?.result
  }

  /// The work is finished: it moves to the unacknowledged results.
  /// - Returns: what to send, or nil when the lease was cancelled meanwhile.
  mutating func finish(_ id: LeaseID, group: RolloutGroup, now: Milliseconds) -> GroupResult? {
    guard work.removeValue(forKey: id) != nil else { return nil }
    let result = GroupResult(lease: id, group: group)
    unacknowledged[id] = Unacknowledged(result: result, sentAt: now)
    return result
  }

  mutating func acknowledge(_ id: LeaseID) { unacknowledged[id] = nil }

  /// The results sent last at or before a time, marked as sent again now.
  mutating func resend(sentBefore limit: Milliseconds, now: Milliseconds) -> [GroupResult] {
    let due = unacknowledged.filter { $0.value.sentAt <= limit }.keys.sorted()
    return due.compactMap { id in
      unacknowledged[id]?.sentAt = now
      return unacknowledged[id]?.result
    }
  }

  private func sorted(_ condition: (Work) -> Bool) -> [Lease] {
    work.values.filter(condition).map(\.lease).sorted { $0.id < $1.id }
  }
}
