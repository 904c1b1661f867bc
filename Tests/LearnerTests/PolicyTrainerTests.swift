import Layers
import Learner
import Settings
import Tensor
import Testing
import Training
import Wire

/// A trainer as another device would bring one: it forwards to a policy here, and counts what it is asked.
private final class CountingTrainer: PolicyTrainer {
  private let inner: AdamWTrainer<TinyPolicy>
  private(set) var calls: [String] = []

  init(_ policy: TinyPolicy, settings: RunSettings) {
    inner = AdamWTrainer(
      policy, optimizer: AdamW(parameters: policy.parameters, pool: ThreadPool(threads: 1)),
      settings: settings.optimizer)
  }

  var parameters: ParameterSet { inner.parameters }
  var optimizer: AdamW { inner.optimizer }

  func clearGradients() {
    calls.append("clear")
    inner.clearGradients()
  }

  func score(_ groups: [TrainingGroup], temperature: Float) -> [[SequenceScores]] {
    calls.append("score")
    return inner.score(groups, temperature: temperature)
  }

  func accumulateGradients(
    _ groups: [TrainingGroup], temperature: Float, coefficients: ([[SequenceScores]]) throws -> [[[Float]]]
  ) rethrows -> [[SequenceScores]] {
    calls.append("gradients")
    return try inner.accumulateGradients(groups, temperature: temperature, coefficients: coefficients)
  }

  func update(learningRate: Double) -> UpdateResult {
    calls.append("update")
    return inner.update(learningRate: learningRate)
  }
}

@Suite("A policy trainer")
struct PolicyTrainerTests {
  @Test("One that somebody else brings trains to the same bits, by the few calls of the protocol")
  func addedTrainer() throws {
    let settings = RunSettings.tiny
    let (policy, reference) = (TinyPolicy(), TinyPolicy())
    let trainer = CountingTrainer(policy, settings: settings)
    var step = TrainingStep(settings: settings, config: TinyPolicy.config, policy: trainer, reference: nil)
    var native = TrainingStep.tiny(reference, settings: settings)
    let batch = reference.batch(step: 0, version: PolicyVersion(0))
    _ = try step.run(batch, version: PolicyVersion(0))
    _ = try native.run(batch, version: PolicyVersion(0))
    #expect(policy.parameters.bits == reference.parameters.bits)
    #expect(policy.parameters.bits != TinyPolicy().parameters.bits)
    #expect(trainer.calls == ["clear", "gradients", "update"])
  }

  @Test("Gradients that are not finite change nothing, and the update says so")
  func skippedUpdate() {
    let policy = TinyPolicy()
    let before = policy.parameters.bits
    let trainer = AdamWTrainer(
      policy, optimizer: AdamW(parameters: policy.parameters, pool: ThreadPool(threads: 1)),
      settings: RunSettings.tiny.optimizer)
    policy.gradients.scalars(0)[0] = .infinity
    let result = trainer.update(learningRate: 0.1)
    #expect(result.isSkipped)
    #expect(!result.norm.isFinite)
    #expect(policy.parameters.bits == before)
    #expect(trainer.optimizer.updateCount == 0)
  }
}
