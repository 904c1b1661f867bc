import Coordinator
import FoveaTesting
import Prompts
import Settings
import Support
import Testing
import Wire

@Suite("Steps")
struct StepTests {
  @Test("A synchronous step: leases, groups, batch, version, next step")
  func life() {
    var bench = Bench()
    #expect(bench.state.phase == .waitingForLearner)
    let first = bench.start()
    #expect(bench.state.phase == .rollout)
    let batches = bench.work(first.reversed(), by: 1).batches
    #expect(batches.count == 1)
    #expect(batches.first?.step == 0)
    #expect(batches.first?.cursor == 3)
    #expect(batches[0].groups == first.map { Bench.result($0).group }, "sorted by prompt, whatever came first")
    #expect(bench.state.phase == .training)
    #expect(bench.wait(1000).leases.isEmpty, "nothing is leased while the learner trains")
    #expect(bench.complete(0).announced(to: Bench.worker(1)) == [PolicyVersion(1)])
    let second = bench.beat(1, holding: 1).leases
    #expect(second.map(\.prompt) == [3, 4, 5])
    #expect(second.allSatisfy { $0.policyVersion == PolicyVersion(1) })
    bench.work(second, by: 1)
    bench.complete(1)
    #expect(bench.state.phase == .training, "a run is over when a checkpoint has its last step")
    bench.saved(2)
    #expect(bench.state.phase == .closing)
    #expect(bench.effects.messages(to: Bench.learner) == [.goodbye(Goodbye(reason: "the run is complete"))])
    let last = bench.receive(.goodbye(Goodbye(reason: "saved")), from: Bench.learner)
    #expect(last.outcome == .completed)
    #expect(last.last == .finish(.completed))
    #expect(bench.state.phase == .finished)
    #expect(bench.on(.tick).isEmpty)
  }

  @Test("With a staleness of 1 the next step is sampled while the learner trains, and not the one after")
  func overlap() {
    var bench = Bench {
      $0.run.steps = 4
      $0.rollout.maxStaleness = 1
    }
    let first = bench.start()
    #expect(first.map(\.step) == [0, 0, 0, 1, 1, 1])
    var effects = bench.work(first, by: 1)
    #expect(effects.batches.map(\.step) == [0])
    #expect(first.allSatisfy { $0.policyVersion == PolicyVersion(0) })
    #expect(effects.leases.isEmpty)
    effects = bench.complete(0)
    #expect(effects.batches.map(\.step) == [1], "the step that is ready is handed over at once")
    #expect(effects.batches[0].groups.allSatisfy { $0.policyVersion == PolicyVersion(0) })
    #expect(effects.leases.isEmpty, "step 2 needs version 1 at least")
    #expect(bench.beat(1, holding: 1).leases.map(\.step) == [2, 2, 2])
    #expect(bench.complete(1).rows.last?.values["staleness"] == 1)
  }

  @Test("The batch does not depend on who does what, nor in which order it comes", arguments: 0..<20 as Range<UInt64>)
  func order(seed: UInt64) {
    var random = RandomStream(seed: seed, purpose: .test)
    func settings(_ settings: inout RunSettings) {
      settings.rollout.promptsPerStep = 6
      settings.algorithm.dynamicSampling = true
    }
    var reference = Bench(settings)
    let expected = reference.work(reference.start(), by: 1, zeroVarianceShare: 0.5).batches
    var bench = Bench(settings)
    bench.joinLearner()
    var open = bench.join(1).leases.map { (lease: $0, worker: UInt8(1)) } + bench.join(2).leases.map { ($0, 2) }
    var batches: [TrainBatch] = []
    while !open.isEmpty {
      let (lease, worker) = open.remove(at: Int(random.integer(below: UInt64(open.count))))
      bench.finish(lease, by: worker, zeroVarianceShare: 0.5)
      batches += bench.effects.batches
      for number in [1, 2] as [UInt8] { open += bench.effects.leases(to: number).map { ($0, number) } }
    }
    #expect(batches == expected)
    #expect(batches.count == 1)
  }

  @Test("A batch is sent again, less and less often, until the learner answers; a repeated answer is only counted")
  func resending() {
    var bench = Bench()
    let batch = bench.work(bench.start(), by: 1).batches
    let times = (0..<100).filter { _ in !bench.wait(100).batches.isEmpty }
    #expect(times == [20, 60])
    #expect(batch.count == 1)
    bench.complete(0)
    #expect(bench.complete(0).rows.isEmpty)
    #expect(bench.state.tally.repeats == 1)
    #expect(bench.state.status(now: bench.now).step == 2)
  }

  @Test("The row of a step holds what the learner measured and what the coordinator did")
  func row() throws {
    var bench = Bench { $0.rollout.promptsPerStep = 2 }
    let leases = bench.start()
    let rewards: [[Float]] = [[1, 0], [0.5, 0.5]]
    for (lease, values) in zip(leases, rewards) {
      var result = Bench.result(lease)
      for (i, reward) in values.enumerated() {
        let count = i == 0 ? 3 : 8
        result.group.rollouts[i] = Rollout(
          tokens: Array(repeating: 1, count: count), behaviourLogProbabilities: Array(repeating: -1, count: count),
          logTruncatedMasses: Array(repeating: 0, count: count), entropies: Array(repeating: 1, count: count),
          finish: i == 0 ? .stop : .length, reward: reward,
          scores: [NamedScore("accuracy", reward), NamedScore("format", 1)], text: "")
      }
      bench.wait(500)
      bench.receive(.groupResult(result), from: Bench.worker(1))
    }
    bench.wait(2000)
    let row = try #require(bench.complete(0).rows.first)
    #expect(row.kind == .step)
    #expect(row.step == 1)
    #expect(row.version == PolicyVersion(1))
    let expected: [String: Double] = [
      "loss": 0.5, "reward": 0.5, "reward_std": 0.125.squareRoot(), "accuracy": 0.5, "format": 1,
      "completion_tokens": 5.5, "truncated": 0.5, "zero_variance": 0.5, "groups": 2, "samples": 4, "tokens": 22,
      "samples_total": 4, "rollout_seconds": 1, "train_seconds": 2, "step_seconds": 3, "seconds_elapsed": 3,
      "tokens_per_second": 22, "staleness": 0, "duplicates": 0, "requeued": 0, "malformed": 0, "workers_lost": 0,
    ]
    for (name, value) in expected { #expect(row.values[name] == value, "\(name)") }
    #expect(bench.state.status(now: bench.now).metrics["reward"] == 0.5)
  }

  @Test("Groups without variance are replaced by fresh prompts")
  func dynamicSampling() {
    var bench = Bench { $0.algorithm.dynamicSampling = true }
    let first = bench.start()
    bench.finish(first[0], by: 1, zeroVarianceShare: 1)
    let replacement = bench.effects.leases
    #expect(replacement.count == 1)
    #expect(!first.map(\.prompt).contains(replacement[0].prompt))
    let batch = bench.work(Array(first.dropFirst()) + replacement, by: 1).batches.first
    #expect(batch?.groups.map(\.prompt) == [1, 2, replacement[0].prompt])
    #expect(batch?.cursor == 3, "replacing moves no other step's prompts")
    let row = bench.complete(0).rows.first
    #expect(row?.values["groups_replaced"] == 1)
    #expect(row?.values["zero_variance"] == 0.25)
  }

  @Test("Replacing has a bound; then the groups drawn first fill the batch")
  func boundedReplacement() {
    var bench = Bench { $0.algorithm.dynamicSampling = true }
    let first = bench.start()
    let effects = bench.work(first, by: 1, zeroVarianceShare: 1)
    #expect(effects.leases.count == 6, "two replacements a prompt")
    #expect(effects.batches.first?.groups.map(\.prompt) == [0, 1, 2])
  }

  @Test("A data set smaller than a step repeats prompts rather than stopping")
  func smallDataset() {
    var bench = Bench(dataset: SimulatedDataset(period: 2))
    let batch = bench.work(bench.start(), by: 1).batches.first
    #expect(batch?.groups.count == 3)
  }

  @Test("Prompts that stand in the step already are passed over")
  func distinctPrompts() {
    var bench = Bench(dataset: SimulatedDataset(period: 4)) { $0.run.steps = 3 }
    let first = bench.work(bench.start(), by: 1).batches
    bench.complete(0)
    let second = bench.work(bench.beat(1, holding: 1).leases, by: 1).batches
    #expect((first + second).map { $0.groups.map(\.prompt) } == [[0, 1, 2], [0, 1, 3]])
  }

  @Test("A new version that is not newer evicts its learner")
  func versionGoesBack() {
    var bench = Bench()
    bench.work(bench.start(), by: 1)
    #expect(bench.complete(0, version: 0).refusals.count == 1)
    #expect(bench.state.phase == .waitingForLearner)
    #expect(bench.state.status(now: 0).version == PolicyVersion(0))
  }

  @Test("Only the learner completes steps")
  func impostor() {
    var bench = Bench()
    bench.work(bench.start(), by: 1)
    #expect(bench.complete(0, from: Bench.worker(1)).rows.isEmpty)
    #expect(bench.state.tally.foreign == 1)
  }
}
