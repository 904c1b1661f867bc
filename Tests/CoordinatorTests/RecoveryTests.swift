import Coordinator
import FoveaTesting
import Settings
import Support
import Testing
import Wire

@Suite("A coordinator that is started again")
struct RecoveryTests {
  static let other = PeerAddress(bytes: [1, 2])

  @Test("Finished groups are kept, open leases are given out again, and the batch is what it would have been")
  func openStep() {
    var bench = Bench()
    let leases = bench.start()
    bench.finish(leases[1], by: 1)
    var whole = bench
    bench.restart()
    #expect(bench.state.newestVersion == PolicyVersion(0))
    bench.joinLearner(at: Self.other, incarnation: 50)
    let again = bench.join(2).leases
    #expect(again.map(\.id) == [leases[0].id, leases[2].id])
    #expect(again.map(\.attempt) == [2, 2])
    let batches = bench.work(again, by: 2).batches
    #expect(batches == whole.work([leases[0], leases[2]], by: 1).batches)
    #expect(batches.count == 1)
  }

  @Test("A result of a lease that was given out by the process before counts")
  func lateResult() {
    var bench = Bench()
    let leases = bench.start()
    bench.restart()
    bench.joinLearner(at: Self.other, incarnation: 50)
    bench.join(1, credit: 0)
    #expect(bench.receive(.groupResult(Bench.result(leases[0])), from: Bench.worker(1)).acknowledged(to: 1).count == 1)
    #expect(bench.join(2).leases.map(\.id) == [leases[1].id, leases[2].id])
  }

  @Test("The version, the steps and the rows go on; nothing is recorded twice")
  func versions() {
    var bench = Bench { $0.run.steps = 3 }
    var leases = bench.start()
    for step in 0..<2 as Range<UInt32> {
      bench.work(leases, by: 1)
      bench.complete(step)
      leases = bench.beat(1, holding: UInt64(step) + 1).leases
    }
    bench.restart()
    #expect(bench.state.newestVersion == PolicyVersion(2))
    // The learner went back to its start; it gets both batches again.
    #expect(bench.joinLearner(at: Self.other, incarnation: 51).batches.map(\.step) == [0])
    #expect(bench.complete(0, from: Self.other).batches.map(\.step) == [1])
    bench.complete(1, from: Self.other)
    #expect(bench.effects.rows.isEmpty)
    #expect(bench.effects.batches.isEmpty)
    #expect(bench.work(bench.join(1, holding: 2).leases, by: 1).batches.map(\.step) == [2])
    #expect(bench.complete(2, from: Self.other).rows.map(\.step) == [3])
  }

  @Test("A batch that was out when the coordinator died may have been trained meanwhile")
  func trainedMeanwhile() {
    var bench = Bench()
    bench.work(bench.start(), by: 1)
    bench.restart()
    #expect(
      bench.joinLearner(at: Self.other, incarnation: 50, step: 1).rows.isEmpty, "it is yet to say what it measured")
    bench.complete(0, from: Self.other)
    let row = bench.effects.rows.first
    #expect(row?.step == 1)
    #expect(row?.values["samples"] == 6)
    #expect(row?.values["loss"] == 0.5)
    #expect(bench.state.newestVersion == PolicyVersion(1))
  }

  @Test("A worker that holds the version of the step under way is welcome")
  func workerAhead() {
    var bench = Bench()
    bench.work(bench.start(), by: 1)
    bench.restart()
    #expect(bench.join(1, holding: 1).refusals.isEmpty)
  }

  @Test("An evaluation goes on where it was")
  func evaluation() {
    var bench = Bench(dataset: SimulatedDataset(heldOutCount: 4)) { $0.evaluation.prompts = 4 }
    bench.joinLearner()
    let leases = bench.join(1).leases.filter { $0.purpose == .evaluate }
    #expect(leases.count == 4)
    bench.finish(leases[0], by: 1)
    bench.restart()
    bench.joinLearner(at: Self.other, incarnation: 50)
    let all = bench.join(2).leases
    let again = all.filter { $0.purpose == .evaluate }
    #expect(again.map(\.id) == leases.dropFirst().map(\.id))
    #expect(all.count == 6)
    let rows = bench.work(again, by: 2).rows
    #expect(rows.first?.kind == .evaluation)
    #expect(rows.first?.values["heldout_prompts"] == 4)
    bench.restart()
    bench.joinLearner(at: Self.other, incarnation: 50)
    #expect(bench.join(3).leases.allSatisfy { $0.purpose == .train })
  }

  @Test("Under other settings the groups of the open step are sampled again, from the same cursor")
  func otherSettings() {
    var bench = Bench()
    let leases = bench.start()
    bench.finish(leases[0], by: 1)
    bench.restart { $0.rollout.groupSize = 4 }
    bench.joinLearner(at: Self.other, incarnation: 50)
    let again = bench.join(2).leases
    #expect(again.map(\.prompt) == leases.map(\.prompt))
    #expect(again.allSatisfy { $0.groupSize == 4 })
    #expect(bench.work(again, by: 2).batches.map(\.step) == [0])
  }

  @Test("A prompt that fails its attempts is not drawn again, by no later process")
  func quarantine() {
    var bench = Bench(dataset: SimulatedDataset(period: 5)) { $0.run.steps = 4 }
    var leases = bench.start()
    // The first prompt ends the lease on every worker.
    let returned = { (lease: Lease) in
      Message.leaseReturned(
        LeaseReturned(lease: lease.id, attempt: lease.attempt, cause: .impossible, reason: "too long"))
    }
    let bad = leases.removeFirst()
    bench.receive(returned(bad), from: Bench.worker(1))
    for _ in 0..<2 {
      bench.restart()
      bench.joinLearner(at: Self.other, incarnation: 50)
      bench.join(1, credit: 0)
      let again = bench.beat(1, holding: 0, credit: 4, active: 0).leases.filter { $0.id == bad.id }
      #expect(again.count == 1)
      if let lease = again.first { leases += bench.receive(returned(lease), from: Bench.worker(1)).leases }
    }
    #expect(bench.state.tally.quarantined == 1)
    #expect(bench.journal.contents.quarantined.map(\.prompt) == [bad.prompt])
    bench.restart()
    bench.joinLearner(at: Self.other, incarnation: 50)
    var prompts: [UInt64] = []
    leases = bench.join(1).leases
    for step in 0..<3 as Range<UInt32> {
      let batch = bench.work(leases, by: 1).batches.first
      prompts += batch?.groups.map(\.prompt) ?? []
      bench.complete(step, from: Self.other)
      leases = bench.beat(1, holding: UInt64(step) + 1).leases
    }
    #expect(prompts.count == 9)
    #expect(!prompts.contains(bad.prompt))
  }

  @Test("A journal that contradicts itself is refused, and says how")
  func contradiction() throws {
    var contents = JournalContents()
    contents.versions = [0: PolicyVersion(3), 1: PolicyVersion(2)]
    #expect {
      try CoordinatorState(
        settings: RunSettings(), runID: "run", incarnation: 1, dataset: SimulatedDataset(), from: contents, now: 0)
    } throws: { ($0 as? InputError)?.expected == "versions that grow with every step" }
  }
}
