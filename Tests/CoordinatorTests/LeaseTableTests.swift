import Coordinator
import FoveaTesting
import Support
import Testing
import Wire

@Suite("The lease table")
struct LeaseTableTests {
  private static let version = PolicyVersion(3)

  private static func work(_ cursor: UInt64, step: UInt32 = 0, groupSize: Int = 4) -> LeaseWork {
    .train(step: step, drawn: drawn(cursor), groupSize: groupSize)
  }

  private static func drawn(_ cursor: UInt64) -> DrawnPrompt {
    DrawnPrompt(cursor: cursor, prompt: SimulatedDataset().trainingPrompt(at: cursor))
  }

  private func table(_ works: [LeaseWork], attemptsMax: Int = 3) -> LeaseTable {
    var table = LeaseTable(attemptsMax: attemptsMax, timeout: 100)
    for work in works { table.add(work) }
    return table
  }

  private func grant(_ work: LeaseWork, to worker: UInt64, in table: inout LeaseTable, at now: Milliseconds = 0)
    -> UInt32
  {
    table.grant(work.id, to: worker, version: Self.version, now: now)
  }

  @Test("Work is queued evaluations first, then by step, then by prompt, in whatever order it is added")
  func order() {
    let evaluation = LeaseWork.evaluate(step: 7, drawn: Self.drawn(2))
    let works = [Self.work(9, step: 2), Self.work(4, step: 1), evaluation, Self.work(3, step: 1)]
    let table = table(works)
    #expect(table.queued == [evaluation.id, Self.work(3).id, Self.work(4).id, Self.work(9).id])
    #expect(table.hasQueued)
    #expect(table.brokenInvariants.isEmpty)
  }

  @Test("A granted lease leaves the queue and counts as its worker's load")
  func grants() {
    let work = Self.work(0)
    var table = table([work, Self.work(1)])
    #expect(grant(work, to: 8, in: &table, at: 5) == 1)
    #expect(table.queued == [Self.work(1).id])
    #expect(table.load(of: 8).leases == 1)
    #expect(table.load(of: 8).samples == 4)
    #expect(table.attempt(work.id, by: 8) == 1)
    #expect(table.grantedAt(work.id, by: 8) == 5)
    #expect(table.held(by: 8).map(\.work) == [work])
    #expect(table.openCounts(.train, step: 0) == (queued: 1, granted: 1))
  }

  @Test("The first result finishes a lease and names the others that hold it; a second is a duplicate")
  func finishing() {
    let work = Self.work(0)
    var table = table([work])
    _ = grant(work, to: 1, in: &table)
    #expect(grant(work, to: 2, in: &table) == 2)
    #expect(table.finish(work.id, by: 2) == .first(othersHolding: [1]))
    #expect(table.finish(work.id, by: 1) == .duplicate)
    #expect(!table.isOpen(work.id))
    #expect(table.workers.isEmpty)
    #expect(table.finish(LeaseID(999), by: 1) == .unknown)
  }

  @Test("A result counts though its lease waits in the queue again")
  func lateResult() {
    let work = Self.work(0)
    var table = table([work])
    _ = grant(work, to: 1, in: &table)
    #expect(table.expire(now: 100).map(\.outcome) == [.requeued])
    #expect(table.finish(work.id, by: 1) == .first(othersHolding: []))
    #expect(!table.hasQueued)
    #expect(table.brokenInvariants.isEmpty)
  }

  @Test("At its deadline an attempt fails and the lease is queued again; its worker may still deliver")
  func expiry() {
    let work = Self.work(0)
    var table = table([work])
    _ = grant(work, to: 1, in: &table)
    #expect(table.expire(now: 99).isEmpty)
    let released = table.expire(now: 100)
    #expect(released.map(\.failures) == [1])
    #expect(table.queued == [work.id])
    #expect(table.load(of: 1).leases == 0)
    #expect(table.load(of: 1).expired == 1)
    #expect(table.release(work.id, by: 1, isFailure: true)?.failures == 1, "an expired attempt has failed already")
  }

  @Test("A lease that another worker still holds stays granted when one holder is lost")
  func secondHolder() {
    let work = Self.work(0)
    var table = table([work])
    _ = grant(work, to: 1, in: &table)
    _ = grant(work, to: 2, in: &table)
    #expect(table.releaseAll(of: 1, isFailure: true).map(\.outcome) == [.stillHeld])
    #expect(!table.hasQueued)
    #expect(table.releaseAll(of: 2, isFailure: true).map(\.outcome) == [.requeued])
    #expect(table.release(work.id, by: 2, isFailure: true) == nil, "it does not hold the lease any more")
  }

  @Test("A worker that leaves on purpose costs no attempt")
  func leaving() {
    let work = Self.work(0)
    var table = table([work], attemptsMax: 1)
    _ = grant(work, to: 1, in: &table)
    let released = table.releaseAll(of: 1, isFailure: false)
    #expect(released.map(\.outcome) == [.requeued])
    #expect(released.map(\.failures) == [0])
  }

  @Test("The last attempt is an isolated retry; when it fails too, the lease is quarantined")
  func isolatedRetry() {
    let work = Self.work(0)
    var table = table([work], attemptsMax: 2)
    _ = grant(work, to: 1, in: &table)
    #expect(!table.isIsolatedRetry(work.id))
    _ = table.releaseAll(of: 1, isFailure: true)
    #expect(table.isIsolatedRetry(work.id))
    _ = grant(work, to: 2, in: &table)
    #expect(table.isolatedWorkers == [2])
    #expect(table.heldAlone(.train, since: 0).isEmpty, "no copy of it is made")
    #expect(table.releaseAll(of: 2, isFailure: true).map(\.outcome) == [.quarantined])
    #expect(!table.isOpen(work.id))
    #expect(table.isolatedWorkers.isEmpty)
    #expect(table.finish(work.id, by: 2) == .unknown)
  }

  @Test("With a single attempt there is no isolated retry, and the first failure quarantines")
  func singleAttempt() {
    let work = Self.work(0)
    var table = table([work], attemptsMax: 1)
    #expect(!table.isIsolatedRetry(work.id))
    _ = grant(work, to: 1, in: &table)
    #expect(table.release(work.id, by: 1, isFailure: true)?.outcome == .quarantined)
  }

  @Test("Leases held by one worker alone come the oldest first, those since the limit only")
  func heldAlone() {
    let works = (0..<3).map { Self.work(UInt64($0)) }
    var table = table(works)
    _ = grant(works[0], to: 1, in: &table, at: 20)
    _ = grant(works[1], to: 1, in: &table, at: 10)
    _ = grant(works[2], to: 1, in: &table, at: 30)
    #expect(table.heldAlone(.train, since: 20).map(\.work) == [works[1], works[0]])
    _ = grant(works[1], to: 2, in: &table, at: 20)
    #expect(table.heldAlone(.train, since: 20).map(\.work) == [works[0]])
    #expect(table.heldAlone(.evaluate, since: 20).isEmpty)
  }

  @Test("A partial group is asked for once")
  func partial() {
    let work = Self.work(0)
    var table = table([work])
    #expect(table.markPartial(work.id) == true)
    #expect(table.markPartial(work.id) == false)
    #expect(table.markPartial(LeaseID(999)) == false)
  }

  @Test("Closing a step forgets its leases and says what was still held; other steps stay")
  func closing() {
    let works = [Self.work(0), Self.work(1), Self.work(2, step: 1)]
    var table = table(works)
    _ = grant(works[1], to: 7, in: &table)
    let held = table.close(.train, step: 0)
    #expect(held.map(\.id) == [works[1].id])
    #expect(held.map(\.worker) == [7])
    #expect(table.work(works[0].id) == nil)
    #expect(table.queued == [works[2].id])
    #expect(table.load(of: 7).leases == 0)
    #expect(table.workers.isEmpty)
  }

  @Test("A recovered lease keeps its attempts and failures")
  func recovery() {
    let works = (0..<3).map { Self.work(UInt64($0)) }
    var table = LeaseTable(attemptsMax: 3, timeout: 100)
    table.recover(works[0], attempt: 2, failures: 2, outcome: .open)
    table.recover(works[1], attempt: 1, failures: 0, outcome: .finished)
    table.recover(works[2], attempt: 3, failures: 3, outcome: .quarantined)
    #expect(table.queued == [works[0].id])
    #expect(table.isIsolatedRetry(works[0].id))
    #expect(grant(works[0], to: 1, in: &table) == 3)
    #expect(table.finish(works[1].id, by: 1) == .duplicate)
    #expect(table.finish(works[2].id, by: 1) == .unknown)
  }

  @Test("Whatever happens in whatever order, no lease is lost, held twice or granted after its end", arguments: 0..<20)
  func invariants(seed: Int) {
    var random = RandomStream(seed: UInt64(seed), purpose: .test)
    let works = (0..<6).map { Self.work(UInt64($0)) }
    var table = table(works)
    var finished: Set<LeaseID> = []
    var now: Milliseconds = 0
    for _ in 0..<300 {
      let work = works[Int(random.integer(below: 6))]
      let worker = random.integer(below: 3)
      now += Milliseconds(random.integer(below: 30))
      switch random.integer(below: 6) {
      case 0, 1: if table.isOpen(work.id) { _ = grant(work, to: worker, in: &table, at: now) }
      case 2: _ = table.expire(now: now)
      case 3: _ = table.releaseAll(of: worker, isFailure: random.uniform() < 0.2)
      case 4: _ = table.release(work.id, by: worker, isFailure: false)
      default:
        guard random.uniform() < 0.1, case .first = table.finish(work.id, by: worker) else { break }
        #expect(finished.insert(work.id).inserted, "\(work.id) finished twice")
      }
      #expect(table.brokenInvariants.isEmpty, "\(table.brokenInvariants)")
    }
  }
}
