import Architecture
import Foundation
import Layers
import Learner
import ModelFiles
import Reinforcement
import Settings
import Tensor
import Testing
import Training

/// What PyTorch computed: Tests/Fixtures/model/supervised, made by make.py there.
private struct SupervisedOracle: Decodable {
  struct Example: Decodable {
    var prompt: [Int32]
    var completion: [Int32]
  }
  struct Settings: Decodable {
    var learningRate, beta1, beta2, epsilon, weightDecay, gradientClip: Double
  }
  var examples: [Example]
  var loss: Double
  var gradientNorm: Double
  var adamw: Settings

  static let models = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Fixtures/model").path
  static let config = ModelConfig(
    vocabularySize: 96, hiddenSize: 32, feedForwardSize: 48, layerCount: 2, headCount: 4, keyValueHeadCount: 2,
    headSize: 8, maxPositions: 128)

  static func load() throws -> SupervisedOracle {
    try JSONDecoder().decode(
      SupervisedOracle.self, from: Data(contentsOf: URL(fileURLWithPath: "\(models)/supervised/supervised.json")))
  }

  static func tensors(_ name: String) throws -> ParameterSet {
    let path = "\(models)/\(name).safetensors"
    return try ParameterSet(
      parameters: config.parameters, tensors: SafetensorsFile.tensors(path: path),
      ignoring: { $0 == "lm_head.weight" }, place: path)
  }

  var groups: [TrainingGroup] { examples.map { TrainingGroup(promptTokens: $0.prompt, completions: [$0.completion]) } }
}

@Suite("A supervised step")
struct SupervisedStepTests {
  /// - Parameter change: of the settings.
  private func step(
    _ weights: ParameterSet, threads: Int = 2, change: (inout RunSettings) -> Void = { _ in }
  ) -> (step: SupervisedStep, policy: TrainingModel) {
    var settings = RunSettings()
    settings.sft.learningRate = 0.05
    settings.sft.warmupSteps = 0
    change(&settings)
    let pool = ThreadPool(threads: threads)
    let policy = TrainingModel(
      config: SupervisedOracle.config, parameters: weights, precision: .float32, pool: pool)
    return (
      SupervisedStep(
        settings: settings, stage: settings.sft,
        policy: AdamWTrainer(
          policy, optimizer: AdamW(parameters: weights, pool: pool), settings: settings.optimizer)),
      policy
    )
  }

  private func relativeError(_ a: some Collection<Float>, _ b: some Collection<Float>) -> Double {
    let difference = zip(a, b).reduce(0.0) { $0 + pow(Double($1.0) - Double($1.1), 2) }
    return (difference / b.reduce(0.0) { $0 + Double($1) * Double($1) }).squareRoot()
  }

  @Test("has PyTorch's loss, gradients and updated weights, in one micro-batch and in several", arguments: [4096, 16])
  func oracle(microBatchTokens: Int) throws {
    let oracle = try SupervisedOracle.load()
    let weights = try SupervisedOracle.tensors("tiny/llama_gqa/model")
    let (step, policy) = step(weights) {
      $0.optimizer.microBatchTokens = microBatchTokens
      $0.sft.learningRate = oracle.adamw.learningRate
      $0.sft.decay = .constant
      $0.optimizer.beta1 = oracle.adamw.beta1
      $0.optimizer.beta2 = oracle.adamw.beta2
      $0.optimizer.epsilon = oracle.adamw.epsilon
      $0.optimizer.weightDecay = oracle.adamw.weightDecay
      $0.optimizer.gradientClip = oracle.adamw.gradientClip
    }
    let metrics = step.run(oracle.groups, step: 0)
    #expect(abs(try #require(metrics["loss"]) - oracle.loss) < 1e-5 * oracle.loss)
    #expect(abs(try #require(metrics["gradient_norm"]) - oracle.gradientNorm) < 1e-4 * oracle.gradientNorm)
    let gradients = try SupervisedOracle.tensors("supervised/gradients")
    let updated = try SupervisedOracle.tensors("supervised/updated")
    for (index, parameter) in weights.parameters.enumerated() {
      #expect(relativeError(policy.gradients.scalars(index), gradients.scalars(index)) < 1e-4, "\(parameter.name)")
      #expect(relativeError(weights.scalars(index), updated.scalars(index)) < 1e-4, "\(parameter.name)")
    }
  }

  @Test("moves the loss by what its gradient says")
  func finiteDifferences() throws {
    let groups = try SupervisedOracle.load().groups
    let weights = try SupervisedOracle.tensors("tiny/llama_gqa/model")
    // A rate of 0: the gradient alone.
    let (step, policy) = step(weights) { $0.sft.learningRate = 0 }
    let tokenCount = Double(groups.reduce(0) { $0 + $1.completions[0].count })
    let loss = try #require(step.run(groups, step: 0)["loss"])
    #expect(abs(step.negativeLogLikelihood(groups).sum / tokenCount - loss) < 1e-6)
    #expect(step.negativeLogLikelihood(groups).tokenCount == Int(tokenCount))
    for (index, parameter) in weights.parameters.enumerated() {
      let gradient = policy.gradients.scalars(index).map(Double.init)
      let length = gradient.reduce(0) { $0 + $1 * $1 }.squareRoot()
      let start = Array(weights.scalars(index))
      func moved(by distance: Double) -> Double {
        for k in gradient.indices { weights.scalars(index)[k] = start[k] + Float(distance * gradient[k] / length) }
        policy.weightsChanged()
        return step.negativeLogLikelihood(groups).sum / tokenCount
      }
      let slope = (moved(by: 2e-3) - moved(by: -2e-3)) / 4e-3
      _ = moved(by: 0)
      #expect(abs(slope - length) < 0.01 * length, "\(parameter.name): \(slope), not \(length)")
    }
  }

  @Test("gives the same bits on any number of threads")
  func threads() throws {
    let groups = try SupervisedOracle.load().groups
    let weights = try [1, 2, 3].map { threads in
      let weights = try SupervisedOracle.tensors("tiny/llama_gqa/model")
      let (step, _) = step(weights, threads: threads)
      for index in 0..<2 { _ = step.run(groups, step: index) }
      return weights.bits
    }
    #expect(weights[0] == weights[1])
    #expect(weights[0] == weights[2])
  }

  @Test("repeated, teaches the examples")
  func learns() throws {
    let groups = try SupervisedOracle.load().groups
    let (step, _) = step(try SupervisedOracle.tensors("tiny/llama_gqa/model")) { $0.sft.learningRate = 0.01 }
    let losses = (0..<40).map { step.run(groups, step: $0)["loss"] ?? .nan }
    #expect(losses[39] < 0.1 * losses[0], "\(losses)")
  }
}
