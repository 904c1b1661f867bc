import Coordinator
import FoveaTesting
import Settings
import Testing
import Wire

@Suite("Groups that take too long")
struct StragglerTests {
  /// Four prompts: three come after 100 ms, the last one does not; another worker is idle.
  private func bench(_ policy: RunSettings.StragglerPolicy, groupSize: Int = 4) -> (bench: Bench, late: Lease) {
    var bench = Bench {
      $0.rollout.promptsPerStep = 4
      $0.rollout.groupSize = groupSize
      $0.farm.stragglers = policy
      $0.farm.stragglerAfter = 3
    }
    bench.joinLearner()
    let leases = bench.join(1, slots: 32).leases
    bench.wait(100)
    for lease in leases.dropLast() { bench.receive(.groupResult(Bench.result(lease)), from: Bench.worker(1)) }
    bench.join(2, credit: 4)
    bench.beat(2, holding: 0, credit: 4, active: 0)
    return (bench, leases[3])
  }

  @Test("Waiting gives nobody a copy")
  func wait() {
    var (bench, _) = bench(.wait)
    #expect(bench.wait(2000).leases.isEmpty)
  }

  @Test("Hedging gives an idle worker the same lease after three times the median, and the first result counts")
  func hedge() {
    var (bench, late) = bench(.hedge)
    #expect(bench.wait(150).leases.isEmpty)
    let copies = bench.wait(200).leases(to: 2)
    #expect(copies.map(\.id) == [late.id])
    #expect(copies.first?.attempt == 2)
    #expect(copies.first?.policyVersion == late.policyVersion)
    bench.beat(2, holding: 0, active: 4)
    #expect(bench.wait(1000).leases.isEmpty, "one copy is enough")
    let effects = bench.receive(.groupResult(Bench.result(copies[0])), from: Bench.worker(2))
    #expect(effects.acknowledged(to: 1) == [late.id])
    #expect(effects.batches.count == 1)
    bench.receive(.groupResult(Bench.result(late)), from: Bench.worker(1))
    #expect(bench.state.tally.hedged == 1)
    #expect(bench.effects.batches.isEmpty)
    #expect(Bench.result(copies[0]).group == Bench.result(late).group)
  }

  @Test("A partial group has what is finished, and no fewer samples than partial_group_min")
  func partialGroup() {
    var (bench, late) = bench(.partial)
    let asked = bench.wait(400).leases(to: 1)
    #expect(asked.map(\.id) == [late.id])
    #expect(asked.first?.partialGroupMin == 2)
    #expect(asked.first?.attempt == late.attempt)
    var result = Bench.result(late)
    result.group.rollouts.removeLast(3)
    bench.receive(.groupResult(result), from: Bench.worker(1))
    #expect(bench.state.tally.malformed == 1)
    // It was given out again; two samples are enough.
    let again = bench.wait(100).leases + bench.beat(1, holding: 0, active: 0).leases
    result = Bench.result(again.first ?? late)
    result.group.rollouts.removeLast(2)
    let number: UInt8 =
      bench.state.status(now: bench.now).peers.first { $0.leases == 1 && $0.role == .worker }?.name == "w1" ? 1 : 2
    let batch = bench.receive(.groupResult(result), from: Bench.worker(number)).batches.first
    #expect(batch?.groups.map(\.rollouts.count) == [4, 4, 4, 2])
    #expect(bench.complete(0).rows.first?.values["samples_total"] == 14)
  }
}
