import Foundation
import Layers
import Reinforcement
import Tensor
import Testing
import Training

/// One whole training step of a tiny Llama against PyTorch's autograd: scores, advantages, loss, every gradient, AdamW.
@Suite struct ModelOracleStepTests {
  static let step = ModelOracle.trainingStep

  static var groups: [TrainingGroup] {
    step.groups.map { TrainingGroup(promptTokens: $0.prompt, completions: $0.completions) }
  }

  static func model(threads: Int = 2) throws -> TrainingModel {
    TrainingModel(
      config: TinyModel.llamaGQA.config, parameters: try TinyModel.llamaGQA.parameters(), precision: .float32,
      pool: ThreadPool(threads: threads))
  }

  @Test("Log-probabilities and entropies of completion tokens agree", arguments: step.cases)
  func logProbabilitiesAndEntropiesOfCompletionTokensAgree(_ expected: ModelOracle.TrainingStep.Case) throws {
    let scores = try Self.model().score(Self.groups, temperature: expected.temperature)
    for (g, group) in scores.enumerated() {
      for (i, sequence) in group.enumerated() {
        #expect(relativeError(sequence.logProbabilities, expected.logProbabilities[g][i]) < 1e-5)
        #expect(relativeError(sequence.entropies, expected.entropies[g][i]) < 1e-5)
      }
    }
  }

  @Test("Loss and the gradient of every parameter agree with autograd", arguments: step.cases)
  func lossAndTheGradientOfEveryParameterAgreeWithAutograd(_ expected: ModelOracle.TrainingStep.Case) throws {
    let model = try Self.model()
    let loss = StepLoss(step: Self.step, expected: expected)
    var results = StepLoss.Results()
    model.accumulateGradients(Self.groups, temperature: expected.temperature) { scores in
      loss.coefficients(scores, &results)
    }

    #expect(abs(results.loss - expected.loss) < 1e-5 * max(1, abs(expected.loss)))
    #expect(abs(results.threshold - expected.tau) < 1e-5)
    #expect(abs(results.meanEntropy - expected.meanEntropy) < 1e-5)
    #expect(relativeError(results.advantages, expected.advantages.flatMap { $0.flatMap { $0 } }) < 1e-5)
    #expect(results.statistics.clippedLowCount == expected.clippedLow)
    #expect(results.statistics.clippedHighCount == expected.clippedHigh)
    #expect(results.statistics.importanceCappedCount == expected.importanceCapped)

    let gradients = try TensorFixture("step/\(expected.name).safetensors")
    var worst = 0.0
    for (index, parameter) in model.gradients.parameters.enumerated() {
      let error = relativeError(model.gradients.scalars(index), try gradients.floats(parameter.name))
      #expect(error < 1e-4, "\(parameter.name): relative error \(error)")
      worst = max(worst, error)
    }
    print("gradients of \(expected.name): worst relative error of a tensor \(worst)")
  }

  @Test("Gradients add up over calls and do not depend on threads")
  func gradientsAddUpOverCallsAndDoNotDependOnThreads() throws {
    let expected = Self.step.cases[0]
    let loss = StepLoss(step: Self.step, expected: expected)
    func gradients(threads: Int, calls: Int) throws -> [Float] {
      let model = try Self.model(threads: threads)
      for _ in 0..<calls {
        var results = StepLoss.Results()
        model.accumulateGradients(Self.groups, temperature: 1) { loss.coefficients($0, &results) }
      }
      return Array(model.gradients.values.elements)
    }
    let once = try gradients(threads: 1, calls: 1)
    #expect(try gradients(threads: 3, calls: 1) == once)
    #expect(relativeError(try gradients(threads: 2, calls: 2), once.map { 2 * $0 }) < 1e-5)
  }

  /// L = sum of c_t log pi_t with fixed c: along each tensor's own gradient, L must change by the gradient's length.
  @Test("Finite differences along every tensor's gradient agree", arguments: TinyModel.allCases)
  func finiteDifferencesAlongEveryTensorsGradientAgree(_ tiny: TinyModel) throws {
    let parameters = try tiny.parameters()
    let model = TrainingModel(
      config: tiny.config, parameters: parameters, precision: .float32, pool: ThreadPool(threads: 2))
    let temperature: Float = 0.8
    func coefficient(_ g: Int, _ i: Int, _ t: Int) -> Float { Float((g * 7 + i * 3 + t * 5) % 11 - 5) / 8 }
    func value() -> Double {
      model.weightsChanged()
      var sum = 0.0
      for (g, group) in model.score(Self.groups, temperature: temperature).enumerated() {
        for (i, sequence) in group.enumerated() {
          for (t, logP) in sequence.logProbabilities.enumerated() {
            sum += Double(coefficient(g, i, t)) * Double(logP)
          }
        }
      }
      return sum
    }
    model.accumulateGradients(Self.groups, temperature: temperature) { scores in
      scores.enumerated().map { g, group in
        group.enumerated().map { i, sequence in
          sequence.logProbabilities.indices.map { coefficient(g, i, $0) }
        }
      }
    }

    for (index, parameter) in parameters.parameters.enumerated() {
      let gradient = model.gradients.scalars(index).map(Double.init)
      let length = gradient.reduce(0) { $0 + $1 * $1 }.squareRoot()
      let scalars = parameters.scalars(index)
      let start = Array(scalars)
      func moved(by distance: Double) -> Double {
        for k in scalars.indices { scalars[k] = start[k] + Float(distance * gradient[k] / length) }
        return value()
      }
      let distance = 4e-3
      let slope = (moved(by: distance) - moved(by: -distance)) / (2 * distance)
      _ = scalars.update(fromContentsOf: start)
      #expect(abs(slope - length) < 0.01 * length, "\(parameter.name): \(slope) by differences, \(length) by backward")
    }
  }

  /// The fast path's gradients, rounded at every product, still point where the exact ones point.
  @Test("Gradients in bf16 point where the exact ones point", arguments: TinyModel.allCases)
  func gradientsInBfloat16PointWhereTheExactOnesPoint(_ tiny: TinyModel) throws {
    func gradients(_ precision: Precision) throws -> [Double] {
      let model = TrainingModel(
        config: tiny.config, parameters: try tiny.parameters(), precision: precision, pool: ThreadPool(threads: 2))
      model.accumulateGradients(Self.groups, temperature: 1) { scores in
        scores.map { $0.map { $0.logProbabilities.indices.map { $0 % 3 == 0 ? 0.5 : -0.25 } } }
      }
      return model.gradients.values.elements.map(Double.init)
    }
    let exact = try gradients(.float32)
    let fast = try gradients(.bfloat16)
    func product(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
    let cosine = product(exact, fast) / (product(exact, exact) * product(fast, fast)).squareRoot()
    #expect(cosine > 0.995, "cosine \(cosine)")
    let ratio = (product(fast, fast) / product(exact, exact)).squareRoot()
    #expect(abs(ratio - 1) < 0.05, "ratio of lengths \(ratio)")
  }

  @Test("Two updates of AdamW with clipped gradients agree") func twoUpdatesOfAdamWWithClippedGradientsAgree() throws {
    let settings = Self.step.adamw
    let config = TinyModel.llamaGQA.config
    let parameters = try TinyModel.llamaGQA.parameters()
    let start = Array(parameters.values.elements)
    let optimizer = AdamW(parameters: parameters, pool: ThreadPool(threads: 2))
    for expected in Self.step.cases.prefix(2) {
      let gradients = try TensorFixture("step/\(expected.name).safetensors").parameters(of: config)
      let norm = optimizer.globalNorm(gradients)
      #expect(abs(norm - expected.gradientNorm) < 1e-6 * expected.gradientNorm)
      optimizer.step(
        parameters: parameters, gradients: gradients,
        gradientScale: Float(min(1, Double(settings.gradientClip) / norm)), learningRate: settings.learningRate,
        beta1: settings.beta1, beta2: settings.beta2, epsilon: settings.epsilon, weightDecay: settings.weightDecay)
    }
    #expect(optimizer.updateCount == 2)
    let expected = try TensorFixture("step/adamw.safetensors").parameters(of: config)
    // What the updates added, not the weights: a missing term would hide behind them.
    let added = zip(parameters.values.elements, start).map { $0 - $1 }
    let expectedAdded = zip(expected.values.elements, start).map { $0 - $1 }
    #expect(relativeError(added, expectedAdded) < 1e-4)
  }
}

/// The algorithm of the fixture's case, by the functions that the learner uses.
struct StepLoss {
  struct Results {
    var loss = 0.0
    var threshold: Float = 0
    var meanEntropy: Float = 0
    var advantages: [Float] = []
    var statistics = LossStatistics()
  }

  var step: ModelOracle.TrainingStep
  var expected: ModelOracle.TrainingStep.Case

  var settings: (advantage: AdvantageSettings, shaping: ShapingSettings, loss: LossSettings) {
    let c = step.constants
    var advantage = AdvantageSettings()
    advantage.normalize = named(expected.normalize)
    var shaping = ShapingSettings()
    (shaping.kind, shaping.level) = (expected.shaping, expected.level == "sequence" ? .sequence : .group)
    (shaping.lambda, shaping.gamma, shaping.sensitivity) = (c.uadtLambda, c.gamma, c.sensitivity)
    (shaping.alpha, shaping.kappa) = (c.alpha, c.kappa)
    var loss = LossSettings()
    (loss.aggregation, loss.ratio) = (named(expected.aggregation), named(expected.ratio))
    (loss.clipLow, loss.clipHigh, loss.klCoefficient) = (c.clipLow, c.clipHigh, c.klCoefficient)
    (loss.importanceCap, loss.constantLength) = (c.importanceCap, c.constantLength)
    return (advantage, shaping, loss)
  }

  /// d loss / d log pi of every completion token. `[group][sample][T]`
  func coefficients(_ scores: [[SequenceScores]], _ results: inout Results) -> [[[Float]]] {
    let (advantage, shaping, loss) = settings
    var threshold = UncertaintyThreshold(gamma: shaping.gamma, value: step.constants.previousTau)
    let batch = batchAdvantages(
      rewards: step.groups.map(\.rewards), entropies: scores.map { $0.map(\.entropies) }, threshold: &threshold,
      advantage: advantage, shaping: shaping)
    results.threshold = batch.threshold
    results.meanEntropy = batch.meanEntropy
    results.advantages = batch.tokens.flatMap { $0.flatMap { $0 } }
    let lengths = step.groups.flatMap { $0.completions.map(\.count) }
    let policyLoss = PolicyLoss(settings: loss, sequenceCount: lengths.count, tokenCount: lengths.reduce(0, +))
    return scores.indices.map { g in
      scores[g].indices.map { i in
        let result = policyLoss(
          PolicyLoss.Tokens(
            logProbabilities: scores[g][i].logProbabilities, oldLogProbabilities: expected.old[g][i],
            behaviourLogProbabilities: expected.behaviour[g][i], referenceLogProbabilities: expected.reference[g][i],
            advantages: batch.tokens[g][i]))
        results.loss += result.loss
        results.statistics.add(result.statistics)
        return result.gradients
      }
    }
  }

  private func named<Choice: RawRepresentable>(_ name: String) -> Choice where Choice.RawValue == String {
    guard let choice = Choice(rawValue: name) else { fatalError("fixture names \(name)") }
    return choice
  }
}
