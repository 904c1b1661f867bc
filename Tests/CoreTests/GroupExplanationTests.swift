import Reinforcement
import Testing

/// A batch taken apart: its numbers are those that a person works out from the formulas of docs/ALGORITHM.md.
@Suite struct GroupExplanationTests {
  /// The worked example of the documentation, as the second prompt of a batch of two.
  private static let rewards: [[Float]] = [[1, 1], [1.1, 0.1]]
  private static let entropies: [[[Float]]] = [[[2], [0.5, 0.5, 0.5]], [[1.2, 1.8], [0.5]]]

  private static func explanation(_ shaping: ShapingSettings) -> GroupExplanation {
    var threshold = UncertaintyThreshold(gamma: shaping.gamma, value: 1)
    let batch = batchAdvantages(
      rewards: rewards, entropies: entropies, threshold: &threshold, advantage: AdvantageSettings(), shaping: shaping)
    return GroupExplanation(group: 1, rewards: rewards, entropies: entropies, batch: batch, thresholdBefore: 1)
  }

  private func expect(_ value: Float, _ byHand: Float, _ what: String = "") {
    #expect(abs(value - byHand) < 5e-5, "\(what) \(value), by hand \(byHand)")
  }

  @Test("The numbers of an explanation are those worked out by hand") func itsNumbersAreThoseWorkedOutByHand() {
    let group = Self.explanation(ShapingSettings())
    // H: 2, 0.5, 1.5, 0.5, and their mean 4.5 / 4 = 1.125; tau = 0.9 x 1 + 0.1 x 1.125 = 1.0125.
    expect(group.batchMeanEntropy, 1.125)
    expect(group.threshold, 1.0125)
    #expect(group.thresholdBefore == 1)
    #expect(group.batchGroupCount == 2)
    #expect(group.batchSampleCount == 4)
    let (one, two) = (group.samples[0], group.samples[1])
    expect(one.meanEntropy, 1.5)
    // tanh(0.4875 / 1.0125) = tanh(0.481481) = 0.447429; tanh(-0.5125 / 1.0125) = tanh(-0.506173) = -0.466958
    expect(one.weight, 0.447429)
    expect(two.weight, -0.466958)
    // mean 0.6, deviation 0.707107: 0.5 / 0.707207
    expect(one.advantage, 0.707007)
    expect(two.advantage, -0.707007)
    // 0.707007 x (1 + 0.5 x 0.447429), -0.707007 x (1 + 0.5 x 0.466958)
    expect(one.shapedMean, 0.865175)
    expect(two.shapedMean, -0.872078)
    #expect(one.shaped.count == 2)
    #expect(two.shaped.count == 1)
    #expect(one.quadrant == .uncertainPositive)
    #expect(two.quadrant == .certainNegative)
  }

  @Test("At the level of the group its mean entropy decides") func atTheLevelOfThePromptTheGroupsMeanEntropyDecides() {
    var shaping = ShapingSettings()
    shaping.level = .group
    let group = Self.explanation(shaping)
    // (1.5 + 0.5) / 2 = 1; tanh(-0.0125 / 1.0125) = -0.012345
    for sample in group.samples { expect(sample.weight, -0.012345) }
    expect(group.samples[0].meanEntropy, 1.5)
    #expect(group.samples.map(\.quadrant) == [.certainPositive, .certainNegative])
  }

  @Test("Advantages that are shaped by token have a mean") func whatIsShapedByTokenHasAMean() {
    var shaping = ShapingSettings()
    shaping.kind = "entropy_bonus"
    let group = Self.explanation(shaping)
    // min(0.4 x 1.2, 0.707007 / 2) = 0.353504 for both tokens of the first; min(0.4 x 0.5, ...) = 0.2
    expect(group.samples[0].shapedMean, 1.060511)
    expect(group.samples[1].shapedMean, -0.507007)
    #expect(group.samples.allSatisfy { $0.weight == 0 })
  }

  @Test(
    "Every quadrant has its place",
    arguments: [
      (true, Float(1), Quadrant.uncertainPositive), (true, -1, .uncertainNegative), (false, 1, .certainPositive),
      (false, -1, .certainNegative),
    ])
  func everyQuadrantHasItsPlace(_ isUncertain: Bool, _ advantage: Float, _ quadrant: Quadrant) {
    #expect(Quadrant(isUncertain: isUncertain, advantage: advantage) == quadrant)
    #expect(quadrant.isUncertain == isUncertain)
    #expect(quadrant.isPositive == (advantage > 0))
    #expect(Quadrant(isUncertain: isUncertain, advantage: 0) == nil)
  }
}
