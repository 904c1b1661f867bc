import Foundation
import Learner
import Reinforcement
import Settings
import Support
import Tensor
import Testing
import Training
import Wire

@Suite("A training step")
struct TrainingStepTests {
  @Test("runs the forward pass once when the batch is one micro-batch and one update")
  func oneForward() throws {
    let policy = TinyPolicy()
    var step = TrainingStep.tiny(policy)
    _ = try step.run(policy.batch(step: 0, version: PolicyVersion(0)), version: PolicyVersion(0))
    #expect(policy.log == ["gradients 4", "weights changed"])
  }

  @Test("scores all micro-batches before the first gradient, for tau needs them all")
  func severalMicroBatches() throws {
    var settings = RunSettings.tiny
    settings.optimizer.microBatchTokens = 22
    let policy = TinyPolicy()
    var step = TrainingStep.tiny(policy, settings: settings)
    _ = try step.run(policy.batch(step: 0, version: PolicyVersion(0)), version: PolicyVersion(0))
    #expect(policy.log == ["score 2", "score 2", "gradients 2", "gradients 2", "weights changed"])
  }

  @Test("gives the same threshold, metrics and nearly the same weights in one micro-batch or in several")
  func microBatchesAgree() throws {
    func run(_ tokens: Int) throws -> (ParameterSet, [String: Double], Float?) {
      var settings = RunSettings.tiny
      settings.optimizer.microBatchTokens = tokens
      let policy = TinyPolicy()
      var step = TrainingStep.tiny(policy, settings: settings)
      let metrics = try step.run(policy.batch(step: 0, version: PolicyVersion(0)), version: PolicyVersion(0))
      return (policy.parameters, metrics, step.threshold.value)
    }
    let (one, oneMetrics, oneTau) = try run(4096)
    let (many, manyMetrics, manyTau) = try run(1)
    #expect(oneTau == manyTau)
    #expect(oneMetrics == manyMetrics)
    for (a, b) in zip(one.values.elements, many.values.elements) { #expect(abs(a - b) < 1e-5) }
  }

  @Test("updates once for each part, with pi_old from before the first")
  func severalUpdates() throws {
    var settings = RunSettings.tiny
    settings.algorithm.updatesPerStep = 2
    settings.optimizer.learningRate = 0.5
    let policy = TinyPolicy()
    var step = TrainingStep.tiny(policy, settings: settings)
    let metrics = try step.run(policy.batch(step: 0, version: PolicyVersion(0)), version: PolicyVersion(0))
    #expect(
      policy.log == ["score 2", "score 2", "gradients 2", "weights changed", "gradients 2", "weights changed"])
    #expect(step.policy.optimizer.updateCount == 2)
    #expect(try #require(metrics["ratio_max"]) > 1.01, "the second update is off pi_old")
  }

  @Test("learns: the rewarded token becomes more probable")
  func learns() throws {
    let policy = TinyPolicy()
    var step = TrainingStep.tiny(policy)
    func probability() -> Float {
      exp(
        policy.score([TrainingGroup(promptTokens: [1], completions: [[2]])], temperature: 1)[0][0]
          .logProbabilities[0])
    }
    let before = probability()
    for s in 0..<20 {
      _ = try step.run(policy.batch(step: UInt32(s), version: PolicyVersion(0)), version: PolicyVersion(0))
    }
    #expect(probability() > before + 0.2)
  }

  @Test("lambda 0 gives the weights of no shaping, bit for bit")
  func lambdaZero() throws {
    func run(_ kind: String, lambda: Float) throws -> [UInt32] {
      var settings = RunSettings.tiny
      settings.algorithm.shaping.kind = kind
      settings.algorithm.shaping.lambda = lambda
      let policy = TinyPolicy()
      var step = TrainingStep.tiny(policy, settings: settings)
      for s in 0..<3 {
        _ = try step.run(policy.batch(step: UInt32(s), version: PolicyVersion(0)), version: PolicyVersion(0))
      }
      return policy.parameters.bits
    }
    let plain = try run("none", lambda: 0.5)
    #expect(try run("uadt", lambda: 0) == plain)
    #expect(try run("uadt", lambda: 0.5) != plain)
  }

  @Test("scores the reference only for the KL term")
  func reference() throws {
    for coefficient in [Float(0), 0.1] {
      var settings = RunSettings.tiny
      settings.algorithm.loss.klCoefficient = coefficient
      let policy = TinyPolicy()
      let reference = TinyPolicy()
      for i in 0..<6 { reference.parameters.scalars(0)[2 * i] = Float(i) * 0.3 }
      var step = TrainingStep.tiny(policy, settings: settings, reference: reference)
      let metrics = try step.run(policy.batch(step: 0, version: PolicyVersion(0)), version: PolicyVersion(0))
      #expect(reference.log == (coefficient > 0 ? ["score 4"] : []))
      #expect((metrics["kl"] ?? 0 > 0) == (coefficient > 0))
    }
  }

  @Test("clips the gradient by its global norm, and skips an update whose gradient is not finite")
  func clipping() throws {
    var settings = RunSettings.tiny
    settings.optimizer.gradientClip = 1e-9
    settings.optimizer.epsilon = 1
    let policy = TinyPolicy()
    let before = policy.parameters.bits
    var step = TrainingStep.tiny(policy, settings: settings)
    let batch = policy.batch(step: 0, version: PolicyVersion(0))
    #expect(try #require(step.run(batch, version: PolicyVersion(0))["gradient_norm"]) > 0.01)
    let moved = zip(policy.parameters.values.elements, before).map { abs($0 - Float(bitPattern: $1)) }.max() ?? 1
    #expect(moved < 1e-9)

    policy.parameters.scalars(0)[0] = .nan
    let poisoned = policy.parameters.bits
    #expect(try step.run(batch, version: PolicyVersion(0))["updates_skipped"] == 1)
    #expect(policy.parameters.bits == poisoned)
  }

  @Test("measures how far the sampling policy was, at equal version only")
  func mismatch() throws {
    let policy = TinyPolicy()
    var batch = policy.batch(step: 0, version: PolicyVersion(4))
    batch.groups[1].policyVersion = PolicyVersion(3)
    batch.groups[1].rollouts[0].behaviourLogProbabilities[0] -= 1
    var step = TrainingStep.tiny(policy)
    #expect(try step.run(batch, version: PolicyVersion(4))["logprob_mismatch_max"] == 0)
    batch.groups[2].rollouts[0].behaviourLogProbabilities[0] -= 0.25
    step = TrainingStep.tiny(TinyPolicy())
    let metrics = try step.run(batch, version: PolicyVersion(4))
    #expect(abs(try #require(metrics["logprob_mismatch_max"]) - 0.25) < 1e-6)
    let current = batch.groups.filter { $0.policyVersion == PolicyVersion(4) }
    let count = Double(current.flatMap(\.rollouts).reduce(0) { $0 + $1.tokens.count })
    let mean: Double = try #require(metrics["logprob_mismatch"])
    #expect(abs(mean - 0.25 / count) < 1e-6)
    let divergence: Double = try #require(metrics["logprob_mismatch_kl"])
    #expect(abs(divergence - (exp(0.25) - 1.25) / count) < 1e-6)
    step = TrainingStep.tiny(TinyPolicy())
    #expect(try step.run(batch, version: PolicyVersion(5))["logprob_mismatch_max"] == nil)
  }

  @Test("reports shares that add up")
  func shares() throws {
    let policy = TinyPolicy()
    var step = TrainingStep.tiny(policy)
    let metrics = try step.run(policy.batch(step: 0, version: PolicyVersion(0)), version: PolicyVersion(0))
    let bins = (0..<10).compactMap { metrics["omega_bin_\($0)"] }
    #expect(bins.count == 10)
    #expect(abs(bins.reduce(0, +) - 1) < 1e-9)
    let quadrants = ["uncertain_positive", "uncertain_negative", "certain_positive", "certain_negative"]
    #expect(try quadrants.map { try #require(metrics[$0]) }.reduce(0, +) <= 1)
    #expect(metrics["tau"] == metrics["entropy"], "the first threshold is the first mean")
    let entropies = try ["min", "p10", "p25", "p50", "p75", "p90", "max"].map { try #require(metrics["entropy_\($0)"]) }
    #expect(entropies == entropies.sorted())
    let mean: Double = try #require(metrics["entropy"])
    #expect(entropies[0] <= mean + 1e-6)
    #expect(mean <= entropies[6] + 1e-6)
    #expect(metrics["learning_rate"] == 0.05)
    #expect(metrics["ratio"] == 1)
  }

  /// A change that makes a batch senseless, and the place that the error names.
  struct Fault: Sendable, CustomTestStringConvertible {
    var place: String
    var change: @Sendable (inout TrainBatch) -> Void
    var testDescription: String { place }

    init(_ place: String, _ change: @escaping @Sendable (inout TrainBatch) -> Void) {
      self.place = place
      self.change = change
    }
  }

  @Test(
    "refuses a batch that makes no sense by name, and changes nothing",
    arguments: [
      Fault("groups") { $0.groups = [] },
      Fault("prompt 1") { $0.groups[1].promptTokens = [] },
      Fault("prompt 1") { $0.groups[1].promptTokens[0] = 6 },
      Fault("prompt 1") { $0.groups[1].rollouts = [] },
      Fault("prompt 1") { $0.groups[1].policyVersion = PolicyVersion(1) },
      Fault("prompt 1, sample 2") { $0.groups[1].rollouts[2].tokens = [] },
      Fault("prompt 1, sample 2") { $0.groups[1].rollouts[2].tokens[0] = -1 },
      Fault("prompt 1, sample 2") { $0.groups[1].rollouts[2].behaviourLogProbabilities = [] },
      Fault("prompt 1, sample 2") { $0.groups[1].rollouts[2].logTruncatedMasses.append(0) },
      Fault("prompt 1, sample 2") { $0.groups[1].rollouts[2].reward = .nan },
      Fault("prompt 1, sample 2") {
        $0.groups[1].rollouts[2] = rollout(
          Array(repeating: 1, count: 31), logProbabilities: Array(repeating: -1, count: 31), reward: 0)
      },
    ])
  func refuses(_ fault: Fault) throws {
    let policy = TinyPolicy()
    var step = TrainingStep.tiny(policy)
    var batch = policy.batch(step: 0, version: PolicyVersion(0))
    fault.change(&batch)
    let error = #expect(throws: InputError.self) { try step.run(batch, version: PolicyVersion(0)) }
    #expect(error?.place == "step 1, \(fault.place)")
    #expect(policy.log.isEmpty)
    #expect(step.threshold.value == nil)
  }
}

@Suite("A batch is cut")
struct MicroBatchTests {
  @Test(
    "into whole groups in order, a group above the limit by itself",
    arguments: [
      ([5, 5, 5], 1, 10, [[0..<2, 2..<3]]), ([5, 5, 5], 1, 100, [[0..<3]]), ([20, 5, 5], 1, 10, [[0..<1, 1..<3]]),
      ([5, 20, 5], 1, 10, [[0..<1, 1..<2, 2..<3]]), ([5, 5, 5, 5, 5], 2, 10, [[0..<2], [2..<4, 4..<5]]),
      ([5, 5], 4, 10, [[0..<1], [1..<2]]),
    ] as [([Int], Int, Int, [[Range<Int>]])])
  func cut(_ counts: [Int], _ updates: Int, _ tokensMax: Int, _ expected: [[Range<Int>]]) {
    #expect(MicroBatches.cut(counts, updateCount: updates, tokensMax: tokensMax) == expected)
  }
}
