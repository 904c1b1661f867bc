import Prompts
import Settings
import Support
import Wire

/// The purpose of a lease: a group to train on, or a held-out prompt. The numbers are stored in journals.
public enum LeasePurpose: UInt32, Sendable {
  case train = 1
  case evaluate = 2
}

/// The work of a lease: one prompt, one group of samples.
package struct LeaseWork: Equatable, Sendable {
  package var id: LeaseID
  package var purpose: LeasePurpose
  package var step: UInt32
  package var drawn: DrawnPrompt
  package var groupSize: Int

  /// A group to train on. The id follows from the cursor, so that the same work has the same id after a restart.
  package static func train(step: UInt32, drawn: DrawnPrompt, groupSize: Int) -> LeaseWork {
    LeaseWork(
      id: LeaseID(drawn.cursor << 1), purpose: .train, step: step, drawn: drawn, groupSize: groupSize)
  }

  /// A held-out prompt, answered once.
  package static func evaluate(step: UInt32, drawn: DrawnPrompt) -> LeaseWork {
    LeaseWork(
      id: LeaseID((UInt64(step) << 32 | drawn.cursor) << 1 | 1), purpose: .evaluate, step: step, drawn: drawn,
      groupSize: 1)
  }
}

extension Lease {
  /// The lease that a worker gets for a piece of work, as the run's settings have it; held-out prompts are answered
  /// greedily.
  package init(_ work: LeaseWork, attempt: UInt32, version: PolicyVersion, settings: RunSettings) {
    let prompt = work.drawn.prompt
    let sampling = settings.rollout.sampling
    self.init(
      id: work.id, attempt: attempt, step: work.step, prompt: prompt.id,
      messages: prompt.messages, images: prompt.images, reward: prompt.reward, policyVersion: version,
      groupSize: UInt32(work.groupSize),
      sampling: work.purpose == .train
        ? sampling : SamplingSettings(temperature: 0, maxNewTokens: sampling.maxNewTokens),
      stopStrings: settings.rollout.stopStrings, seed: settings.run.seed)
  }
}

/// Which worker has been granted which work, until when, and how often it has failed.
///
/// A lease is queued, granted, finished or quarantined. A granted lease has at least one holder whose deadline lies
/// ahead; a holder whose deadline has passed may still deliver. The first valid result of a lease counts, whichever
/// attempt it is of. A lease that has one attempt left may be what kills its workers. It is retried in isolation:
/// granted to a worker that has nothing else, so that its last failure is its own, and the leases next to which it
/// failed do not fail with it. Invariants: a lease that is neither finished nor quarantined is queued or granted, never
/// neither (nothing is lost) and never both; it finishes at most once (nothing is trained twice); a worker holds a
/// lease at most once.
package struct LeaseTable: Equatable, Sendable {
  enum State: Equatable {
    case queued
    case granted
    case finished
    case quarantined
  }

  package struct Holder: Equatable, Sendable {
    package let worker: UInt64
    package var attempt: UInt32
    /// What the worker held when it got the lease, and what it is to use.
    package var version: PolicyVersion
    package var grantedAt: Milliseconds
    package var sentAt: Milliseconds
    /// nil once it has passed.
    package var deadline: Milliseconds?
  }

  struct Record: Equatable {
    let work: LeaseWork
    var state = State.queued
    /// How often it has been granted.
    var attempt: UInt32 = 0
    var failures = 0
    var holders: [Holder] = []
    /// Whether its worker was asked for a partial group.
    var isPartial = false
  }

  /// The order in which work is granted: evaluations first, then the oldest step, then by prompt drawn.
  struct Rank: Comparable {
    let purpose: UInt8
    let step: UInt32
    let id: LeaseID
    init(_ work: LeaseWork) {
      purpose = work.purpose == .evaluate ? 0 : 1
      step = work.step
      id = work.id
    }
    static func < (a: Self, b: Self) -> Bool { (a.purpose, a.step, a.id) < (b.purpose, b.step, b.id) }
  }

  /// What a worker has been granted.
  package struct Load: Equatable, Sendable {
    /// Leases whose deadline lies ahead.
    package var leases = 0
    /// Samples of those.
    package var samples = 0
    /// Leases whose deadline has passed; it may still deliver them.
    package var expired = 0
  }

  /// The outcome of a lease that a worker did not finish.
  package struct Release: Equatable, Sendable {
    package enum Outcome: Equatable, Sendable {
      case requeued
      /// Another worker has it.
      case stillHeld
      case quarantined
    }
    package var work: LeaseWork
    package var outcome: Outcome
    /// Attempts of it that have failed so far.
    package var failures: Int
  }

  package enum Finish: Equatable, Sendable {
    /// This result counts; the others that hold the lease may forget it.
    case first(othersHolding: [UInt64])
    case duplicate
    /// The lease is closed, quarantined, or was never made.
    case unknown
  }

  private let attemptsMax: Int
  package let timeout: Milliseconds
  private(set) var records: [LeaseID: Record] = [:]
  private(set) var queue: [Rank] = []
  private(set) var loads: [UInt64: Load] = [:]
  private var isolatedRetries: Set<LeaseID> = []

  package init(attemptsMax: Int, timeout: Milliseconds) {
    precondition(attemptsMax >= 1 && timeout > 0, "attempts \(attemptsMax), timeout \(timeout)")
    self.attemptsMax = attemptsMax
    self.timeout = timeout
  }

  // MARK: Looking

  package var queued: [LeaseID] { queue.map(\.id) }
  package var hasQueued: Bool { !queue.isEmpty }
  package func load(of worker: UInt64) -> Load { loads[worker] ?? Load() }
  package func work(_ id: LeaseID) -> LeaseWork? { records[id]?.work }

  /// Whether the lease still wants a result.
  package func isOpen(_ id: LeaseID) -> Bool {
    records[id].map { $0.state == .queued || $0.state == .granted } ?? false
  }

  /// Whether the lease has one attempt left, which is made on a worker that has nothing else.
  package func isIsolatedRetry(_ id: LeaseID) -> Bool { isolatedRetries.contains(id) }

  /// Workers that hold an isolated retry and are to get nothing next to it.
  package var isolatedWorkers: Set<UInt64> {
    var holders: Set<UInt64> = []
    for id in isolatedRetries {
      for holder in records[id]?.holders ?? [] where holder.deadline != nil { holders.insert(holder.worker) }
    }
    return holders
  }

  /// The attempt that a worker holds, if it does.
  package func attempt(_ id: LeaseID, by worker: UInt64) -> UInt32? {
    records[id]?.holders.first { $0.worker == worker }?.attempt
  }

  /// Open leases of a purpose and step: those queued and those granted.
  package func openCounts(_ purpose: LeasePurpose, step: UInt32) -> (queued: Int, granted: Int) {
    var counts = (queued: 0, granted: 0)
    for record in records.values where record.work.purpose == purpose && record.work.step == step {
      switch record.state {
      case .queued: counts.queued += 1
      case .granted: counts.granted += 1
      case .finished, .quarantined: break
      }
    }
    return counts
  }

  /// The leases that a worker holds, in the order of their ids.
  package func held(by worker: UInt64) -> [(work: LeaseWork, holder: Holder)] {
    guard loads[worker] != nil else { return [] }
    return records.values.compactMap { record in
      record.holders.first { $0.worker == worker }.map { (record.work, $0) }
    }.sorted { $0.work.id < $1.work.id }
  }

  // MARK: The life of a lease

  package mutating func add(_ work: LeaseWork) {
    precondition(records[work.id] == nil, "\(work.id) exists")
    records[work.id] = Record(work: work)
    enqueue(work)
  }

  /// Takes a lease of an earlier process. The worker that held it may still deliver it, and others may get it.
  package mutating func recover(_ work: LeaseWork, attempt: UInt32, failures: Int, outcome: RecoveredOutcome) {
    precondition(records[work.id] == nil, "\(work.id) exists")
    var record = Record(work: work, attempt: attempt, failures: min(failures, attemptsMax - 1))
    switch outcome {
    case .open:
      if record.failures >= 1 && record.failures == attemptsMax - 1 { isolatedRetries.insert(work.id) }
      enqueue(work)
    case .finished: record.state = .finished
    case .quarantined: record.state = .quarantined
    }
    records[work.id] = record
  }

  package enum RecoveredOutcome: Sendable {
    case open
    case finished
    case quarantined
  }

  /// Leases of a purpose that one worker alone has had since a time or longer, the oldest first. Isolated retries are
  /// not among them: a copy of one could kill another worker.
  package func heldAlone(_ purpose: LeasePurpose, since limit: Milliseconds) -> [(work: LeaseWork, holder: Holder)] {
    records.values.compactMap { record -> (work: LeaseWork, holder: Holder)? in
      guard record.work.purpose == purpose, record.state == .granted, record.holders.count == 1,
        let holder = record.holders.first, holder.grantedAt <= limit, !isolatedRetries.contains(record.work.id)
      else { return nil }
      return (record.work, holder)
    }.sorted { ($0.holder.grantedAt, $0.work.id) < ($1.holder.grantedAt, $1.work.id) }
  }

  /// Takes note that a lease's worker is asked for a partial group.
  /// - Returns: true the first time.
  package mutating func markPartial(_ id: LeaseID) -> Bool {
    guard records[id]?.isPartial == false else { return false }
    records[id]?.isPartial = true
    return true
  }

  /// When a worker got a lease that it holds.
  package func grantedAt(_ id: LeaseID, by worker: UInt64) -> Milliseconds? {
    records[id]?.holders.first { $0.worker == worker }?.grantedAt
  }

  /// Gives a queued lease to a worker, or a copy of a granted one.
  /// - Returns: the attempt, counted from 1.
  package mutating func grant(
    _ id: LeaseID, to worker: UInt64, version: PolicyVersion, now: Milliseconds
  ) -> UInt32 {
    guard var record = records[id], record.state == .queued || record.state == .granted else {
      preconditionFailure("\(id) is over")
    }
    if record.state == .queued { queue.removeAll { $0.id == id } }
    record.state = .granted
    record.attempt += 1
    removeHolder(worker, from: &record)
    record.holders.append(
      Holder(
        worker: worker, attempt: record.attempt, version: version, grantedAt: now, sentAt: now,
        deadline: now + timeout))
    loads[worker, default: Load()].leases += 1
    loads[worker, default: Load()].samples += record.work.groupSize
    records[id] = record
    return record.attempt
  }

  /// The lease is sent again to the worker that holds it: the first message seems to have got lost.
  package mutating func sentAgain(_ id: LeaseID, to worker: UInt64, now: Milliseconds) {
    guard let index = records[id]?.holders.firstIndex(where: { $0.worker == worker }) else { return }
    records[id]?.holders[index].sentAt = now
  }

  /// A valid result has come.
  package mutating func finish(_ id: LeaseID, by worker: UInt64) -> Finish {
    guard var record = records[id] else { return .unknown }
    switch record.state {
    case .finished: return .duplicate
    case .quarantined: return .unknown
    case .queued: queue.removeAll { $0.id == id }
    case .granted: break
    }
    record.state = .finished
    isolatedRetries.remove(id)
    let others = record.holders.map(\.worker).filter { $0 != worker }
    for holder in record.holders.map(\.worker) { removeHolder(holder, from: &record) }
    records[id] = record
    return .first(othersHolding: others)
  }

  /// A worker does not finish its lease.
  /// - Parameter isFailure: whether it counts towards `attemptsMax`; leaving on purpose does not.
  /// - Returns: nil when the worker does not hold it.
  package mutating func release(_ id: LeaseID, by worker: UInt64, isFailure: Bool) -> Release? {
    guard var record = records[id], record.holders.contains(where: { $0.worker == worker }) else { return nil }
    let wasExpired = record.holders.contains { $0.worker == worker && $0.deadline == nil }
    removeHolder(worker, from: &record)
    // An expired attempt has been counted and requeued when its deadline passed.
    if isFailure && !wasExpired { record.failures += 1 }
    return settle(record)
  }

  /// A worker is gone with all its leases.
  package mutating func releaseAll(of worker: UInt64, isFailure: Bool) -> [Release] {
    held(by: worker).compactMap { release($0.work.id, by: worker, isFailure: isFailure) }
  }

  /// Attempts whose deadline has passed fail; their workers may still deliver.
  package mutating func expire(now: Milliseconds) -> [Release] {
    let due = records.values.filter { record in
      record.state == .granted && record.holders.contains { $0.deadline.map { $0 <= now } ?? false }
    }.sorted { $0.work.id < $1.work.id }
    return due.map { record in
      var record = record
      for i in record.holders.indices where record.holders[i].deadline.map({ $0 <= now }) ?? false {
        record.holders[i].deadline = nil
        record.failures += 1
        let worker = record.holders[i].worker
        loads[worker]?.leases -= 1
        loads[worker]?.samples -= record.work.groupSize
        loads[worker]?.expired += 1
      }
      return settle(record)
    }
  }

  /// A step or evaluation is closed: its leases are forgotten.
  /// - Returns: what was still held, by worker.
  @discardableResult
  package mutating func close(_ purpose: LeasePurpose, step: UInt32) -> [(id: LeaseID, worker: UInt64)] {
    let closed = records.values.filter { $0.work.purpose == purpose && $0.work.step == step }
      .sorted { $0.work.id < $1.work.id }
    var held: [(id: LeaseID, worker: UInt64)] = []
    for var record in closed {
      for holder in record.holders.map(\.worker) {
        held.append((record.work.id, holder))
        removeHolder(holder, from: &record)
      }
      records[record.work.id] = nil
      isolatedRetries.remove(record.work.id)
    }
    queue.removeAll { records[$0.id] == nil }
    return held
  }

  // MARK: Private

  /// Brings state and queue in line with the record's holders and failures, and stores it.
  private mutating func settle(_ record: Record) -> Release {
    var record = record
    let outcome: Release.Outcome
    switch record.state {
    case .finished, .quarantined:
      outcome = .stillHeld
    case .queued, .granted:
      if record.failures >= 1 && record.failures == attemptsMax - 1 { isolatedRetries.insert(record.work.id) }
      if record.failures >= attemptsMax {
        isolatedRetries.remove(record.work.id)
        if record.state == .queued { queue.removeAll { $0.id == record.work.id } }
        record.state = .quarantined
        for holder in record.holders.map(\.worker) { removeHolder(holder, from: &record) }
        outcome = .quarantined
      } else if record.state == .granted && !record.holders.contains(where: { $0.deadline != nil }) {
        record.state = .queued
        enqueue(record.work)
        outcome = .requeued
      } else {
        outcome = .stillHeld
      }
    }
    records[record.work.id] = record
    return Release(work: record.work, outcome: outcome, failures: record.failures)
  }

  private mutating func enqueue(_ work: LeaseWork) {
    let rank = Rank(work)
    queue.insert(rank, at: queue.firstIndex { rank < $0 } ?? queue.count)
  }

  private mutating func removeHolder(_ worker: UInt64, from record: inout Record) {
    guard let index = record.holders.firstIndex(where: { $0.worker == worker }) else { return }
    let holder = record.holders.remove(at: index)
    guard var load = loads[worker] else { preconditionFailure("worker \(worker) holds without a load") }
    if holder.deadline == nil {
      load.expired -= 1
    } else {
      load.leases -= 1
      load.samples -= record.work.groupSize
    }
    loads[worker] = load == Load() ? nil : load
  }
}
