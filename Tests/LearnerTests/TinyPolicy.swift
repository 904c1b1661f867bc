import Architecture
import Foundation
import Layers
import Learner
import Prompts
import Settings
import Support
import Tensor
import Testing
import Training
import Wire

/// A policy small enough to follow by hand: token v has the logit of the first scalar of its row of the embedding, at
/// every position. Its gradients are exact, so training it learns.
final class TinyPolicy: DifferentiablePolicy {
  static let config = ModelConfig(
    vocabularySize: 6, hiddenSize: 2, feedForwardSize: 2, layerCount: 1, headCount: 1, keyValueHeadCount: 1,
    maxPositions: 32)

  let parameters: ParameterSet
  let gradients = ParameterSet(config: TinyPolicy.config)
  private(set) var log: [String] = []

  init(parameters: ParameterSet = TinyPolicy.initialWeights()) { self.parameters = parameters }

  static func initialWeights() -> ParameterSet {
    let set = ParameterSet(config: config)
    var random = RandomStream(seed: 3, purpose: .test)
    for index in set.parameters.indices {
      for i in set.scalars(index).indices { set.scalars(index)[i] = random.uniform() - 0.5 }
    }
    return set
  }

  private func probabilities(_ temperature: Float) -> [Double] {
    let logits = (0..<Self.config.vocabularySize).map { Double(parameters.scalars(0)[2 * $0] / temperature) }
    let exponentials = logits.map { exp($0 - logits.max()!) }
    return exponentials.map { $0 / exponentials.reduce(0, +) }
  }

  private func scores(_ groups: [TrainingGroup], _ temperature: Float) -> [[SequenceScores]] {
    let p = probabilities(temperature)
    let entropy = -p.reduce(0) { $0 + $1 * Foundation.log($1) }
    return groups.map { group in
      group.completions.map { tokens in
        SequenceScores(
          logProbabilities: tokens.map { Float(Foundation.log(p[Int($0)])) },
          // Differs between samples, so that omega does.
          entropies: tokens.map { Float(entropy * (1 + 0.1 * Double($0))) })
      }
    }
  }

  func score(_ groups: [TrainingGroup], temperature: Float) -> [[SequenceScores]] {
    log.append("score \(groups.count)")
    return scores(groups, temperature)
  }

  func accumulateGradients(
    _ groups: [TrainingGroup], temperature: Float, coefficients: ([[SequenceScores]]) throws -> [[[Float]]]
  ) rethrows -> [[SequenceScores]] {
    log.append("gradients \(groups.count)")
    let p = probabilities(temperature)
    let scores = scores(groups, temperature)
    for (group, perSample) in zip(groups, try coefficients(scores)) {
      for (tokens, perToken) in zip(group.completions, perSample) {
        for (token, coefficient) in zip(tokens, perToken) {
          for v in p.indices {
            let slope = ((Int(token) == v ? 1 : 0) - p[v]) / Double(temperature)
            gradients.scalars(0)[2 * v] += Float(Double(coefficient) * slope)
          }
        }
      }
    }
    return scores
  }

  func weightsChanged() { log.append("weights changed") }

  /// Samples a group as a worker would, rewarding token 2.
  func group(_ prompt: UInt64, step: UInt32, version: PolicyVersion, size: Int = 4) -> RolloutGroup {
    let p = probabilities(1)
    let rollouts = (0..<size).map { sample in
      let key = SampleKey(seed: 9, step: step, prompt: prompt, sample: UInt32(sample))
      let tokens = (0..<1 + (sample + Int(prompt)) % 3).map { t in
        var u = Double(key.uniform(token: t))
        return Int32(
          p.firstIndex { probability in
            u -= probability; return u < 0
          } ?? p.count - 1)
      }
      let reward = Float(tokens.count { $0 == 2 }) / Float(tokens.count)
      return rollout(tokens, logProbabilities: tokens.map { Float(Foundation.log(p[Int($0)])) }, reward: reward)
    }
    return RolloutGroup(step: step, prompt: prompt, policyVersion: version, promptTokens: [1, 2], rollouts: rollouts)
  }

  func batch(step: UInt32, version: PolicyVersion, prompts: Int = 4) -> TrainBatch {
    TrainBatch(
      step: step, cursor: UInt64(step + 1) * UInt64(prompts),
      groups: (0..<prompts).map { group(UInt64(step) * UInt64(prompts) + UInt64($0), step: step, version: version) })
  }
}

func rollout(_ tokens: [Int32], logProbabilities: [Float], reward: Float) -> Rollout {
  Rollout(
    tokens: tokens, behaviourLogProbabilities: logProbabilities, logTruncatedMasses: tokens.map { _ in 0 },
    entropies: tokens.map { _ in 1 }, finish: .stop, reward: reward,
    scores: [NamedScore("accuracy", reward), NamedScore("format", 0)], text: "")
}

extension RunSettings {
  /// A fast optimizer for a tiny policy.
  static var tiny: RunSettings {
    var settings = RunSettings()
    settings.optimizer.learningRate = 0.05
    settings.optimizer.warmupSteps = 0
    return settings
  }
}

extension TrainingStep {
  static func tiny(_ policy: TinyPolicy, settings: RunSettings = .tiny, reference: TinyPolicy? = nil) -> TrainingStep {
    TrainingStep(
      settings: settings, config: TinyPolicy.config,
      policy: AdamWTrainer(
        policy, optimizer: AdamW(parameters: policy.parameters, pool: ThreadPool(threads: 1)),
        settings: settings.optimizer),
      reference: reference)
  }
}

extension ParameterSet {
  var bits: [UInt32] { values.elements.map(\.bitPattern) }
}

/// A folder that is removed with its owner.
final class TemporaryFolder: Sendable {
  let path: String

  init() {
    path = NSTemporaryDirectory() + "/fovea-learner-\(UUID().uuidString)"
    try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// The files of a checkpoint, but for the descriptions of the model, are the same bytes in two folders.
func expectEqualCheckpoints(
  _ one: TemporaryFolder, _ other: TemporaryFolder, name: String, sourceLocation: SourceLocation = #_sourceLocation
) {
  for file in [
    "model.safetensors", "master_weights.safetensors", "adamw_first_moments.safetensors",
    "adamw_second_moments.safetensors", "trainer_state.json", "MANIFEST.json",
  ] {
    let expected = FileManager.default.contents(atPath: "\(one.path)/\(name)/\(file)")
    let found = FileManager.default.contents(atPath: "\(other.path)/\(name)/\(file)")
    #expect(expected != nil, "\(file)", sourceLocation: sourceLocation)
    #expect(expected == found, "\(file)", sourceLocation: sourceLocation)
  }
}
