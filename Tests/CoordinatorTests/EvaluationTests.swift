import Coordinator
import FoveaTesting
import Prompts
import Settings
import Testing
import Wire

@Suite("Evaluation")
struct EvaluationTests {
  private func bench(steps: Int = 5, every: Int = 2) -> Bench {
    Bench(dataset: SimulatedDataset(heldOutCount: 4)) {
      $0.run.steps = steps
      $0.evaluation.every = every
      $0.evaluation.prompts = 128
      $0.rollout.sampling = SamplingSettings(temperature: 0.9, topK: 5, topP: 0.8, minP: 0.1, maxNewTokens: 8)
    }
  }

  @Test(
    "Versions are evaluated at the start, every N steps and at the end",
    arguments: [(5, 2, [0, 2, 4, 5]), (4, 2, [0, 2, 4]), (3, 0, [0, 3])] as [(Int, Int, [UInt32])])
  func when(_ plan: (steps: Int, every: Int, evaluated: [UInt32])) {
    var bench = bench(steps: plan.steps, every: plan.every)
    var effects: [CoordinatorEffect] = bench.joinLearner() + bench.join(1)
    var all = effects + bench.work(effects.leases, by: 1)
    for step in 0..<UInt32(plan.steps) {
      effects = bench.complete(step) + bench.beat(1, holding: UInt64(step) + 1)
      all += effects + bench.work(effects.leases, by: 1)
    }
    #expect(all.rows.filter { $0.kind == .evaluation }.map(\.step) == plan.evaluated)
    #expect(all.rows.filter { $0.kind == .step }.map(\.step) == Array(1...UInt32(plan.steps)))
    bench.saved(UInt32(plan.steps))
    #expect(bench.state.phase == .closing)
  }

  @Test("Held-out prompts are asked before anything else, once each, greedily, and the accuracy is their mean")
  func content() throws {
    var bench = bench()
    bench.joinLearner()
    let leases = bench.join(1, slots: 5).leases
    #expect(leases.map(\.prompt) == [0, 1, 2, 3])
    #expect(bench.state.phase == .evaluating)
    #expect(bench.state.status(now: 0).groupsWanted == 4)
    for lease in leases {
      #expect(lease.purpose == .evaluate)
      #expect(lease.groupSize == 1)
      #expect(lease.step == 0)
      #expect(lease.sampling == SamplingSettings(temperature: 0, maxNewTokens: 8))
    }
    var all: [CoordinatorEffect] = []
    for (lease, accuracy) in zip(leases, [1, 0, 0.5, 0] as [Float]) {
      var result = Bench.result(lease)
      result.group.rollouts[0].scores = [NamedScore("accuracy", accuracy), NamedScore("format", 1)]
      all += bench.receive(.groupResult(result), from: Bench.worker(1))
    }
    let row = try #require(all.rows.first)
    #expect(row.kind == .evaluation)
    #expect(row.step == 0)
    #expect(row.version == PolicyVersion(0))
    #expect(row.values["heldout_accuracy"] == 0.375)
    #expect(row.values["heldout_prompts"] == 4)
    let evaluated = Evaluated(version: PolicyVersion(0), step: 0, accuracy: 0.375)
    #expect(all.messages(to: Bench.learner).contains(.evaluated(evaluated)))
    #expect(bench.state.status(now: 0).metrics["heldout_accuracy_start"] == 0.375)
    #expect(all.leases.allSatisfy { $0.purpose == .train })
  }

  @Test("The step that ends before its evaluation waits: the evaluated version stays the newest")
  func blocking() {
    var bench = bench()
    bench.joinLearner()
    let evaluation = bench.join(1, slots: 32, credit: 32).leases
    let train = evaluation.filter { $0.purpose == .train }
    #expect(train.count == 3, "free slots are not left idle")
    #expect(bench.work(train, by: 1).batches.isEmpty)
    #expect(bench.work(evaluation.filter { $0.purpose == .evaluate }, by: 1).batches.count == 1)
  }

  @Test("A held-out prompt that fails counts as wrong and is reported")
  func failing() {
    var bench = bench()
    bench.joinLearner()
    var open = bench.join(1).leases
    var all: [CoordinatorEffect] = []
    while let lease = open.first {
      open.removeFirst()
      if lease.purpose == .evaluate && lease.prompt == 2 {
        let returned = LeaseReturned(lease: lease.id, attempt: lease.attempt, cause: .impossible, reason: "too long")
        bench.receive(.leaseReturned(returned), from: Bench.worker(1))
      } else {
        var result = Bench.result(lease)
        if lease.purpose == .evaluate { result.group.rollouts[0].scores = [NamedScore("accuracy", 1)] }
        bench.receive(.groupResult(result), from: Bench.worker(1))
      }
      all += bench.effects
      open += bench.effects.leases
    }
    let row = all.rows.first
    #expect(row?.values["heldout_accuracy"] == 0.75)
    #expect(row?.values["heldout_failed"] == 1)
  }

  @Test("A run that is resumed evaluates where an unbroken one would")
  func resumed() {
    var due = bench()
    due.joinLearner(step: 4)
    #expect(due.state.phase == .evaluating)
    var notDue = bench()
    notDue.joinLearner(step: 3)
    #expect(notDue.state.phase == .rollout)
    var over = bench()
    over.joinLearner(step: 5)
    #expect(over.state.phase == .evaluating)
    over.work(over.join(1, holding: 5).leases, by: 1)
    over.saved(5)
    #expect(over.state.phase == .closing)
  }

  @Test("A learner that comes back is told of the last evaluation")
  func toldAgain() {
    var bench = bench()
    bench.joinLearner()
    bench.work(bench.join(1).leases.filter { $0.purpose == .evaluate }, by: 1)
    bench.silence(Bench.learner)
    bench.wait(1000)
    let messages = bench.joinLearner(at: LearnerReturnTests.other, incarnation: 51).messages(
      to: LearnerReturnTests.other)
    #expect(messages.contains { if case .evaluated(let evaluated) = $0 { evaluated.step == 0 } else { false } })
  }
}
