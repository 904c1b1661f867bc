import Coordinator
import FoveaTesting
import Settings
import Testing
import Wire

@Suite("A learner that comes back")
struct LearnerReturnTests {
  static let other = PeerAddress(bytes: [1, 2])

  /// A run whose first `trained` steps are done; worker 1 holds their version and has the leases of the next step.
  private func run(
    trained: UInt32, steps: Int = 8, _ change: (inout RunSettings) -> Void = { _ in }
  ) -> (bench: Bench, leases: [Lease], batches: [TrainBatch]) {
    var bench = Bench {
      $0.run.steps = steps
      change(&$0)
    }
    var leases = bench.start()
    var batches: [TrainBatch] = []
    for step in 0..<trained {
      batches += bench.work(leases, by: 1).batches
      bench.complete(step)
      leases = bench.beat(1, holding: UInt64(step) + 1).leases
    }
    return (bench, leases, batches)
  }

  @Test("A coordinator begins where its first learner stands")
  func resume() {
    var bench = Bench { $0.run.steps = 50 }
    bench.joinLearner(step: 20, version: 40, cursor: 1000)
    let leases = bench.join(1, holding: 40).leases
    #expect(leases.map(\.prompt) == [1000, 1001, 1002])
    #expect(leases.allSatisfy { $0.step == 20 })
    #expect(bench.work(leases, by: 1).batches.map(\.cursor) == [1003])
  }

  @Test("A second learner next to a living one is refused, after it is clear that the first one lives")
  func second() {
    var bench = run(trained: 0).bench
    let hello = Message.hello(Bench.learnerHello(incarnation: 51))
    #expect(bench.receive(hello, from: Self.other).isEmpty)
    bench.wait(400)
    #expect(bench.receive(hello, from: Self.other).refusals.count == 1)
  }

  @Test("A restarted learner is registered as soon as the one before is silent for too long")
  func takeover() {
    var bench = run(trained: 2).bench
    bench.silence(Bench.learner)
    bench.wait(200)
    let hello = Message.hello(Bench.learnerHello(incarnation: 51, step: 2))
    #expect(bench.receive(hello, from: Self.other).isEmpty)
    bench.wait(400)
    #expect(bench.receive(hello, from: Self.other).messages(to: Self.other).count >= 1)
    // The one before wakes up: it is refused.
    let heartbeat = Heartbeat(incarnation: 50, activity: "", policyVersion: nil)
    #expect(bench.receive(.heartbeat(heartbeat), from: Bench.learner).refusals.count == 1)
  }

  @Test("A learner that comes back from a checkpoint gets the same batches again; the version never goes back")
  func replay() {
    var (bench, leases, batches) = run(trained: 4)
    bench.silence(Bench.learner)
    bench.wait(1000)
    let effects = bench.joinLearner(at: Self.other, incarnation: 51, step: 2)
    #expect(effects.batches == [batches[2]])
    #expect(bench.complete(2, from: Self.other).batches == [batches[3]])
    #expect(bench.effects.rows.isEmpty)
    #expect(bench.effects.announced(to: Bench.worker(1)).isEmpty)
    #expect(bench.complete(3, from: Self.other).batches.isEmpty)
    #expect(bench.state.status(now: bench.now).version == PolicyVersion(4))
    // The step that was open all the while goes on.
    #expect(bench.work(leases, by: 1).batches.map(\.step) == [4])
    #expect(bench.complete(4, from: Self.other).rows.map(\.step) == [5])
  }

  @Test("A learner that is one step ahead had trained its batch: it says again what was lost, and the row is whole")
  func oneAhead() {
    var (bench, leases, _) = run(trained: 1)
    bench.silence(Bench.learner)
    bench.wait(1000)
    #expect(bench.joinLearner(at: Self.other, incarnation: 51, step: 2).refusals.count == 1, "no batch was out")
    (bench, leases, _) = run(trained: 1)
    bench.work(leases, by: 1)
    bench.silence(Bench.learner)
    bench.wait(1000)
    #expect(bench.joinLearner(at: Self.other, incarnation: 51, step: 2).rows.isEmpty)
    bench.complete(1, from: Self.other)
    let effects = bench.effects
    #expect(effects.rows.map(\.step) == [2])
    #expect(effects.announced(to: Bench.worker(1)) == [PolicyVersion(2)])
    #expect(effects.rows.first?.values["loss"] == 0.5)
    #expect(effects.rows.first?.values["train_seconds"] == nil)
  }

  @Test(
    "A learner of another history is refused",
    arguments: [(step: 1, version: 7), (step: 2, version: 1), (step: 5, version: 5)]
      as [(step: UInt32, version: UInt64)])
  func otherHistory(_ other: (step: UInt32, version: UInt64)) {
    var bench = run(trained: 2).bench
    bench.silence(Bench.learner)
    bench.wait(1000)
    let hello = Bench.learnerHello(incarnation: 51, step: other.step, version: other.version)
    #expect(bench.receive(.hello(hello), from: Self.other).refusals.count == 1)
    #expect(bench.state.status(now: bench.now).version == PolicyVersion(2))
  }

  @Test("Batches are kept until the checkpoint before the newest has their step")
  func checkpointed() {
    var bench = run(trained: 6).bench
    for saved in [0, 2, 4] as [UInt32] {
      bench.receive(
        .heartbeat(Heartbeat(incarnation: 50, activity: "", policyVersion: nil, savedStep: saved)), from: Bench.learner)
    }
    #expect((0..<6).map { bench.journal.recall(step: $0).count } == [0, 0, 3, 3, 3, 3])
  }

  @Test("A learner that is further behind than batches are kept ends the run with the reason")
  func tooFarBehind() {
    var bench = run(trained: 6).bench
    for saved in [3, 5] as [UInt32] {
      bench.receive(
        .heartbeat(Heartbeat(incarnation: 50, activity: "", policyVersion: nil, savedStep: saved)), from: Bench.learner)
    }
    bench.silence(Bench.learner)
    bench.wait(1000)
    bench.joinLearner(at: Self.other, incarnation: 51, step: 1)
    bench.receive(.goodbye(Goodbye(reason: "saved")), from: Self.other)
    guard case .failed(let reason)? = bench.state.outcome else { return #expect(Bool(false), "\(bench.effects)") }
    #expect(reason.contains("batches are kept from step"))
  }

  @Test("Rollouts go on while the learner is away, and the batch waits for it")
  func away() {
    var bench = Bench()
    let leases = bench.start()
    bench.silence(Bench.learner)
    bench.wait(1000)
    #expect(bench.work(leases, by: 1).batches.isEmpty)
    #expect(bench.state.phase == .waitingForLearner)
    #expect(bench.joinLearner(at: Self.other, incarnation: 51).batches.map(\.step) == [0])
  }

  @Test("A learner that was cut off keeps the same batch under its new address")
  func reconnecting() {
    var bench = Bench()
    bench.work(bench.start(), by: 1)
    bench.silence(Bench.learner)
    bench.wait(1000)
    bench.receive(.heartbeat(Heartbeat(incarnation: 50, activity: "", policyVersion: nil)), from: Self.other)
    #expect(bench.complete(0, from: Self.other).rows.count == 1)
  }
}
