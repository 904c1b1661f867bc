import Reinforcement
import Support
import Testing

@Suite struct GroupAdvantageTests {
  @Test("Equal rewards give exactly zero for every group size") func equalRewardsGiveExactlyZeroForEveryGroupSize() {
    for count in 2...33 {
      for baseline in AdvantageSettings.Baseline.allCases {
        for normalize in AdvantageSettings.Normalization.allCases {
          var settings = AdvantageSettings()
          settings.baseline = baseline
          settings.normalize = normalize
          let advantages = groupAdvantages(rewards: [Float](repeating: 0.1, count: count), settings: settings)
          #expect(advantages == [Float](repeating: 0, count: count))
        }
      }
    }
    #expect(hasZeroVariance(rewards: [0.1, 0.1, 0.1]))
    #expect(!hasZeroVariance(rewards: [0.1, 0.1, 0.2]))
  }

  @Test("A group of one has nothing to compare with") func aGroupOfOneHasNothingToCompareWith() {
    #expect(groupAdvantages(rewards: [3], settings: AdvantageSettings()) == [0])
    #expect(groupAdvantages(rewards: [], settings: AdvantageSettings()) == [])
  }
}

@Suite struct UncertaintyTests {
  @Test("The threshold starts at the first batch and follows the batches")
  func theThresholdStartsAtTheFirstBatchAndFollows() {
    var threshold = UncertaintyThreshold(gamma: 0.75)
    #expect(threshold.update(meanEntropy: 2) == 2)
    #expect(threshold.update(meanEntropy: 1) == 1.75)
    #expect(threshold.value == 1.75)
    var resumed = UncertaintyThreshold(gamma: 0.75, value: 1.75)
    #expect(resumed.update(meanEntropy: 1) == threshold.update(meanEntropy: 1))
  }

  @Test("Shaping never flips a sign") func shapingNeverFlipsASign() {
    var random = RandomStream(seed: 1, purpose: .test)
    for _ in 0..<2000 {
      let advantage = random.uniform() * 4 - 2
      let (uncertainty, threshold) = (random.uniform() * 10, random.uniform() * 2)
      var settings = ShapingSettings()
      (settings.lambda, settings.sensitivity) = (1, random.uniform() * 5)
      let weight = UADT(settings).weight(uncertainty: uncertainty, threshold: threshold)
      #expect(abs(weight) <= 1)
      let uadt = UADT(settings).shaped(advantage: advantage, weight: weight)
      #expect(uadt * advantage >= 0)
      let bonus = EntropyBonus(settings).shaped(advantage: advantage, entropy: random.uniform() * 10)
      #expect(bonus * advantage >= 0)
    }
  }

  @Test(
    "The sign table is as documented",
    arguments: [
      // uncertain and right, uncertain and wrong, certain and right, certain and wrong
      (Float(1), Float(1), Float(1.5)), (-1, 1, -0.5), (1, -1, 0.5), (-1, -1, -1.5),
    ])
  func theSignTableIsAsDocumented(_ advantage: Float, _ weight: Float, _ shaped: Float) {
    #expect(UADT(ShapingSettings()).shaped(advantage: advantage, weight: weight) == shaped)
  }

  @Test("A threshold of zero is harmless") func aThresholdOfZeroIsHarmless() {
    #expect(UADT(ShapingSettings()).weight(uncertainty: 0, threshold: 0) == 0)
    #expect(UADT(ShapingSettings()).weight(uncertainty: 5, threshold: 0) == 1)
  }
}

@Suite struct PolicyLossTests {
  /// A random sequence of `count` tokens whose ratios reach beyond both sides of the clip.
  static func randomTokens(_ count: Int, seed: UInt64) -> PolicyLoss.Tokens {
    var random = RandomStream(seed: seed, purpose: .test)
    func around(_ centre: [Float], _ width: Float) -> [Float] { centre.map { $0 + (random.uniform() - 0.5) * width } }
    let old = (0..<count).map { _ in -random.uniform() * 3 }
    return PolicyLoss.Tokens(
      logProbabilities: around(old, 1.2), oldLogProbabilities: old, behaviourLogProbabilities: around(old, 0.8),
      logTruncatedMasses: (0..<count).map { _ in -random.uniform() * 0.2 }, referenceLogProbabilities: around(old, 1),
      advantages: (0..<count).map { _ in random.uniform() * 4 - 2 })
  }

  @Test(
    "Gradients agree with finite differences", arguments: LossSettings.Ratio.allCases, LossSettings.Aggregation.allCases
  )
  func gradientsAgreeWithFiniteDifferences(_ ratio: LossSettings.Ratio, _ aggregation: LossSettings.Aggregation) {
    var settings = LossSettings()
    settings.ratio = ratio
    settings.aggregation = aggregation
    settings.klCoefficient = 0.05
    settings.importanceCap = 1.1
    if ratio == .sequence { (settings.clipLow, settings.clipHigh) = (0.05, 0.05) }
    let policyLoss = PolicyLoss(settings: settings, sequenceCount: 3, tokenCount: 40)
    var clipped = 0
    for seed in UInt64(0)..<20 {
      let tokens = Self.randomTokens(12, seed: seed)
      let result = policyLoss(tokens)
      clipped += result.statistics.clippedLowCount + result.statistics.clippedHighCount
      for t in tokens.logProbabilities.indices {
        let step: Float = 1e-3
        var (up, down) = (tokens, tokens)
        up.logProbabilities[t] += step
        down.logProbabilities[t] -= step
        let (above, below) = (policyLoss(up), policyLoss(down))
        // A kink of the clip between the two points has no derivative to compare with.
        guard above.statistics.clippedLowCount == below.statistics.clippedLowCount,
          above.statistics.clippedHighCount == below.statistics.clippedHighCount
        else { continue }
        let width = Double(up.logProbabilities[t]) - Double(down.logProbabilities[t])
        let difference = (above.loss - below.loss) / width
        #expect(abs(difference - Double(result.gradients[t])) < 2e-6)
      }
    }
    #expect(clipped > 0)
  }

  @Test("A lambda of 0 is the unshaped algorithm bit for bit", arguments: Preset.all)
  func lambdaZeroIsTheUnshapedAlgorithmBitForBit(_ preset: Preset) {
    var uadt = ShapingSettings()
    uadt.lambda = 0
    var plain = ShapingSettings()
    plain.kind = "none"
    var random = RandomStream(seed: 7, purpose: .test)
    let rewards = (0..<8).map { _ in (0..<8).map { _ in Float(random.integer(below: 12)) / 10 } }
    let entropies = rewards.map { $0.map { _ in (0..<10).map { _ in random.uniform() * 3 } } }
    func run(_ shaping: ShapingSettings) -> [(loss: Double, gradients: [Float])] {
      var threshold = UncertaintyThreshold(gamma: 0.9)
      let advantages = batchAdvantages(
        rewards: rewards, entropies: entropies, threshold: &threshold, advantage: preset.advantage, shaping: shaping)
      let policyLoss = PolicyLoss(settings: preset.loss, sequenceCount: 64, tokenCount: 640)
      return advantages.tokens.flatMap { $0 }.enumerated().map { index, advantages in
        var tokens = Self.randomTokens(10, seed: UInt64(index))
        tokens.advantages = advantages
        let result = policyLoss(tokens)
        return (result.loss, result.gradients)
      }
    }
    let (shaped, unshaped) = (run(uadt), run(plain))
    #expect(shaped.contains { $0.gradients.contains { $0 != 0 } })
    #expect(shaped.map(\.loss.bitPattern) == unshaped.map(\.loss.bitPattern))
    #expect(shaped.map { $0.gradients.map(\.bitPattern) } == unshaped.map { $0.gradients.map(\.bitPattern) })
    uadt.lambda = 0.5
    #expect(run(uadt).map(\.loss.bitPattern) != unshaped.map(\.loss.bitPattern))
  }

  @Test("On-policy the importance weight changes nothing") func onPolicyTheImportanceWeightChangesNothing() {
    var tokens = Self.randomTokens(6, seed: 3)
    tokens.behaviourLogProbabilities = tokens.oldLogProbabilities
    tokens.logTruncatedMasses = [Float](repeating: 0, count: 6)
    tokens.referenceLogProbabilities = nil
    var capped = LossSettings()
    capped.importanceCap = 2
    let with = PolicyLoss(settings: capped, sequenceCount: 1, tokenCount: 6)(tokens)
    let without = PolicyLoss(settings: LossSettings(), sequenceCount: 1, tokenCount: 6)(tokens)
    #expect(with.loss.bitPattern == without.loss.bitPattern)
    #expect(with.gradients == without.gradients)
    #expect(with.statistics.importanceWeightMean == 1)
  }

  @Test("Absurd log-probabilities give a finite loss") func absurdLogProbabilitiesGiveAFiniteLoss() {
    for extreme: Float in [-1e30, -200, 0] {
      for ratio in LossSettings.Ratio.allCases {
        var settings = LossSettings()
        settings.ratio = ratio
        settings.klCoefficient = 0.1
        settings.importanceCap = 2
        let result = PolicyLoss(settings: settings, sequenceCount: 1, tokenCount: 2)(
          PolicyLoss.Tokens(
            logProbabilities: [0, extreme], oldLogProbabilities: [extreme, 0], behaviourLogProbabilities: [0, extreme],
            referenceLogProbabilities: [extreme, 0], advantages: [-1, 1]))
        #expect(result.loss.isFinite)
        #expect(result.gradients.allSatisfy { $0.isFinite })
      }
    }
  }

  @Test("A sequence without tokens adds nothing") func aSequenceWithoutTokensAddsNothing() {
    for aggregation in LossSettings.Aggregation.allCases {
      var settings = LossSettings()
      settings.aggregation = aggregation
      settings.ratio = .sequence
      let result = PolicyLoss(settings: settings, sequenceCount: 2, tokenCount: 0)(
        PolicyLoss.Tokens(logProbabilities: [], oldLogProbabilities: [], advantages: []))
      #expect(result.loss == 0)
      #expect(result.gradients.isEmpty)
      #expect(result.statistics.ratioMean == 0)
    }
  }

  /// The worked example of docs/ALGORITHM.md.
  @Test("The worked example of the documentation is right") func theWorkedExampleOfTheDocumentation() {
    var threshold = UncertaintyThreshold(gamma: 0.9, value: 1)
    var advantage = AdvantageSettings()
    advantage.normalize = .std
    let batch = batchAdvantages(
      rewards: [[1.1, 0.1]], entropies: [[[1.5, 1.5], [0.5]]], threshold: &threshold, advantage: advantage,
      shaping: ShapingSettings())
    func isNear(_ a: Float, _ b: Float) -> Bool { abs(a - b) < 5e-5 }
    #expect(isNear(batch.meanEntropy, 1))
    #expect(isNear(batch.threshold, 1))
    #expect(isNear(batch.samples[0][0], 0.7070))
    #expect(isNear(batch.samples[0][1], -0.7070))
    #expect(isNear(batch.weights[0][0], 0.4621))
    #expect(isNear(batch.weights[0][1], -0.4621))
    #expect(isNear(batch.tokens[0][0][0], 0.8704))
    #expect(isNear(batch.tokens[0][1][0], -0.8704))

    let policyLoss = PolicyLoss(settings: LossSettings(), sequenceCount: 2, tokenCount: 3)
    let right = policyLoss(
      PolicyLoss.Tokens(
        logProbabilities: [-1, -0.7], oldLogProbabilities: [-1.1, -1], advantages: batch.tokens[0][0]))
    let wrong = policyLoss(
      PolicyLoss.Tokens(logProbabilities: [-2.1], oldLogProbabilities: [-2], advantages: batch.tokens[0][1]))
    // Token 1: rho = exp(0.1) = 1.1052; token 2: rho = exp(0.3) = 1.3499, clipped to 1.2; each with share 1/4.
    #expect(isNear(Float(right.loss), -(1.1052 + 1.2) * 0.8704 / 4))
    #expect(isNear(right.gradients[0], -1.1052 * 0.8704 / 4))
    #expect(right.gradients[1] == 0)
    #expect(right.statistics.clippedHighCount == 1)
    // rho = exp(-0.1) = 0.9048, share 1/2.
    #expect(isNear(Float(wrong.loss), 0.9048 * 0.8704 / 2))
    #expect(isNear(wrong.gradients[0], 0.9048 * 0.8704 / 2))
    #expect(isNear(Float(right.loss + wrong.loss), -0.1078))
  }
}
