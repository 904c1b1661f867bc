import Coordinator
import Settings
import Testing
import Wire

@Suite("Draining and status")
struct DrainTests {
  private func learnerLeaves(_ bench: inout Bench) -> CoordinatorOutcome? {
    bench.receive(.goodbye(Goodbye(reason: "saved")), from: Bench.learner).outcome
  }

  @Test("With every group of the open step given out, draining waits for it and for its training")
  func openStep() {
    var bench = Bench()
    let leases = bench.start()
    #expect(bench.on(.drain).messages().isEmpty)
    #expect(bench.work(leases, by: 1).batches.map(\.step) == [0])
    let effects = bench.complete(0)
    #expect(effects.rows.count == 1)
    #expect(effects.messages(to: Bench.learner) == [.goodbye(Goodbye(reason: "the run was asked to stop"))])
    #expect(bench.beat(1, holding: 1).leases.isEmpty)
    #expect(learnerLeaves(&bench) == .drained)
    #expect(bench.effects.messages(to: Bench.worker(1)).count == 1)
  }

  @Test("An open step that is not wholly given out is not waited for")
  func partialStep() {
    var bench = Bench()
    bench.joinLearner()
    #expect(bench.join(1, slots: 2).leases.count == 1)
    #expect(bench.on(.drain).messages(to: Bench.learner).count == 1)
    #expect(learnerLeaves(&bench) == .drained)
  }

  @Test("Draining waits for a bounded time, for the step and for the learner's checkpoint")
  func bounds() {
    var bench = Bench { $0.farm.leaseTimeoutSeconds = 10_000 }
    _ = bench.start()
    bench.on(.drain)
    #expect(
      bench.wait(110_000).messages(to: Bench.learner).allSatisfy { if case .goodbye = $0 { false } else { true } })
    #expect(bench.wait(20_000).messages(to: Bench.learner).contains { if case .goodbye = $0 { true } else { false } })
    #expect(bench.wait(100_000).outcome == nil)
    #expect(bench.wait(30_000).outcome == .drained)
  }

  @Test("Draining ends at once when there is no learner, and when the learner is lost")
  func noLearner() {
    var bench = Bench()
    bench.join(1)
    #expect(bench.on(.drain).outcome == .drained)
    bench = Bench()
    bench.work(bench.start(), by: 1)
    bench.on(.drain)
    bench.silence(Bench.learner)
    #expect(bench.wait(1000).outcome == .drained)
  }

  @Test("Status says who waits for whom, for what, since when")
  func waits() {
    var bench = Bench()
    bench.wait(2500)
    #expect(bench.state.status(now: bench.now).waits == ["coordinator waits for a learner: to train step 1, for 2.5 s"])
    bench.joinLearner()
    #expect(bench.state.status(now: bench.now).waits == ["coordinator waits for a worker: 3 leases, for 0.0 s"])
    bench.join(1, holding: nil)
    bench.wait(200)
    #expect(
      bench.state.status(now: bench.now).waits == [
        "coordinator waits for a worker with room and weights: 3 leases, for 0.2 s",
        "worker w1 waits for learner: weights v0, holds no weights, for 0.2 s",
      ])
    let leases = bench.beat(1, holding: 0).leases
    bench.wait(1000)
    #expect(
      bench.state.status(now: bench.now).waits == ["coordinator waits for worker w1: lease 0 and 2 more, for 1.0 s"])
    bench.work(leases, by: 1)
    bench.wait(700)
    #expect(bench.state.status(now: bench.now).waits == ["coordinator waits for learner: step 1's update, for 0.7 s"])
  }

  @Test("An observer asks for the status and gets it, welcomed or not")
  func observer() {
    var bench = Bench()
    _ = bench.start()
    let observer = PeerAddress(bytes: [9])
    let answers = bench.receive(.statusRequest, from: observer).messages(to: observer)
    guard case .statusReport(let status)? = answers.first else { return #expect(Bool(false), "\(answers)") }
    #expect(status.runID == "run")
    #expect(status.phase == "rollout")
    #expect(status.step == 1)
    #expect(status.stepCount == 2)
    #expect(status.groupsWanted == 3)
    #expect(status.peers.map(\.name) == ["learner", "w1"])
    #expect(status.peers[1].leases == 3)
  }
}
