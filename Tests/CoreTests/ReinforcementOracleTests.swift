import Foundation
import Reinforcement
import Testing

/// The algorithm against an independent PyTorch implementation: Tests/Fixtures/reinforcement/make.py.
@Suite struct ReinforcementOracleTests {
  static let oracle = Oracle.load()

  @Test("Advantages, threshold and shaping agree with PyTorch", arguments: oracle.advantages)
  func advantagesThresholdAndShapingAgreeWithPyTorch(_ expected: Oracle.Advantages) throws {
    let o = Self.oracle
    var shaping = o.shaping(expected.shaping)
    shaping.level = expected.level == "sequence" ? .sequence : .group
    var threshold = UncertaintyThreshold(gamma: o.constants.gamma, value: o.constants.previousTau)
    let batch = batchAdvantages(
      rewards: o.rewards, entropies: o.batch.entropy, threshold: &threshold,
      advantage: try #require(Preset.named(expected.preset)).advantage, shaping: shaping)
    #expect(isClose(batch.meanEntropy, o.meanEntropy))
    #expect(isClose(batch.threshold, o.tau))
    #expect(threshold.value == batch.threshold)
    #expect(batch.zeroVarianceGroupCount == 1)
    expectClose(batch.samples.flatMap { $0 }, expected.samples.flatMap { $0 })
    expectClose(batch.tokens.flatMap { $0.flatMap { $0 } }, expected.tokens.flatMap { $0.flatMap { $0 } })
    if shaping.kind == "uadt" {
      expectClose(batch.weights.flatMap { $0 }, try #require(o.factors[expected.level]).flatMap { $0 })
    }
  }

  @Test("Loss and every gradient agree with autograd", arguments: oracle.losses)
  func lossAndEveryGradientAgreeWithAutograd(_ expected: Oracle.Loss) throws {
    let o = Self.oracle
    let preset = try #require(Preset.named(expected.preset))
    var settings = preset.loss
    let isNative = settings.aggregation.rawValue == expected.aggregation && settings.ratio.rawValue == expected.ratio
    #expect(expected.native == isNative)
    settings.aggregation = try #require(.init(rawValue: expected.aggregation))
    settings.ratio = try #require(.init(rawValue: expected.ratio))
    settings.klCoefficient = expected.kl ? o.constants.beta : 0
    settings.importanceCap = expected.cap ? o.constants.cap : nil
    settings.constantLength = o.constants.length
    var threshold = UncertaintyThreshold(gamma: o.constants.gamma, value: o.constants.previousTau)
    let advantages = batchAdvantages(
      rewards: o.rewards, entropies: o.batch.entropy, threshold: &threshold, advantage: preset.advantage,
      shaping: o.shaping(expected.shaping)
    ).tokens.flatMap { $0 }

    let sequences = o.batch.policy.flatMap { $0 }
    let policyLoss = PolicyLoss(
      settings: settings, sequenceCount: sequences.count, tokenCount: sequences.map(\.count).reduce(0, +))
    var loss = 0.0
    var gradients: [Float] = []
    for i in sequences.indices {
      let result = policyLoss(
        PolicyLoss.Tokens(
          logProbabilities: sequences[i], oldLogProbabilities: o.batch.old.flatMap { $0 }[i],
          behaviourLogProbabilities: o.batch.behaviour.flatMap { $0 }[i],
          logTruncatedMasses: o.batch.kept.flatMap { $0 }[i],
          referenceLogProbabilities: expected.kl ? o.batch.reference.flatMap { $0 }[i] : nil,
          advantages: advantages[i]))
      loss += result.loss
      gradients += result.gradients
    }
    #expect(isClose(Float(loss), Float(expected.loss)))
    expectClose(gradients, expected.gradients)
  }
}

private func isClose(_ a: Float, _ b: Float, tolerance: Float = 1e-5) -> Bool {
  abs(a - b) <= tolerance * abs(b) + 1e-8
}

private func expectClose(_ a: [Float], _ b: [Float], sourceLocation: SourceLocation = #_sourceLocation) {
  guard a.count == b.count else {
    Issue.record("\(a.count) values, \(b.count) expected", sourceLocation: sourceLocation)
    return
  }
  for i in a.indices where !isClose(a[i], b[i]) {
    Issue.record("value \(i) is \(a[i]), expected \(b[i])", sourceLocation: sourceLocation)
    return
  }
}

/// loss.json. Arrays are `[prompt][sample][T]`.
struct Oracle: Decodable, Sendable {
  struct Constants: Decodable, Sendable {
    var gamma, sensitivity, lambda_, alpha, kappa, previousTau, beta, cap, length: Float
  }
  struct Batch: Decodable, Sendable {
    var entropy, old, policy, behaviour, kept, reference: [[[Float]]]
  }
  struct Advantages: Decodable, Sendable, CustomTestStringConvertible {
    var preset, shaping, level: String
    var samples: [[Float]]
    var tokens: [[[Float]]]
    var testDescription: String { "\(preset) \(shaping) \(level)" }
  }
  struct Loss: Decodable, Sendable, CustomTestStringConvertible {
    var preset, shaping, aggregation, ratio: String
    var kl, cap, native: Bool
    var loss: Double
    var gradients: [Float]
    var testDescription: String { "\(preset) \(shaping) \(aggregation) \(ratio) kl \(kl) cap \(cap)" }
  }
  var constants: Constants
  var rewards: [[Float]]
  var batch: Batch
  var meanEntropy, tau: Float
  var factors: [String: [[Float]]]
  var advantages: [Advantages]
  var losses: [Loss]

  static func load() -> Oracle {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../Fixtures/reinforcement/loss.json")
    do {
      return try JSONDecoder().decode(Oracle.self, from: Data(contentsOf: file))
    } catch {
      fatalError("\(file.path): \(error)")
    }
  }

  func shaping(_ name: String) -> ShapingSettings {
    var settings = ShapingSettings()
    settings.kind = name
    settings.lambda = constants.lambda_
    settings.sensitivity = constants.sensitivity
    settings.alpha = constants.alpha
    settings.kappa = constants.kappa
    return settings
  }
}
