import Foundation
import Reinforcement

/// How one group of completions came to its advantages, as a person reads it: the completions with the entropies of
/// their tokens as colours, the numbers of each, and the formulas with the step's own numbers in them.
///
/// This file holds the words and the terminal's lines; `ExplanationDrawing` draws the same as an image.
public struct ExplanationPage: Sendable {
  /// One line: which run, step and prompt.
  public var title: String
  public var question: String
  /// The right answer.
  public var reference: String
  /// PNG or JPEG.
  public var images: [[UInt8]]
  /// A notice about the data.
  public var notice: String?
  /// The text of each token. `[sample][T]`
  public var tokenTexts: [[String]]
  public var group: GroupExplanation
  public var advantage: AdvantageSettings
  public var shaping: ShapingSettings

  public init(
    title: String, question: String, reference: String, images: [[UInt8]] = [], notice: String? = nil,
    tokenTexts: [[String]], group: GroupExplanation, advantage: AdvantageSettings, shaping: ShapingSettings
  ) {
    precondition(tokenTexts.map(\.count) == group.samples.map(\.entropies.count), "texts of other completions")
    self.title = title
    self.question = question
    self.reference = reference
    self.images = images
    self.notice = notice
    self.tokenTexts = tokenTexts
    self.group = group
    self.advantage = advantage
    self.shaping = shaping
  }

  // MARK: Words

  /// The formulas, from entropies to the advantage that enters the loss.
  var formulas: [String] {
    [
      "H: mean entropy of a completion's tokens. Hbar = \(number(group.batchMeanEntropy)): mean of H over the step's "
        + "\(group.batchSampleCount) completions (\(group.batchGroupCount) prompts).",
      threshold, "A = \(plainAdvantage)", shapedAdvantage,
    ]
  }

  private var threshold: String {
    guard let before = group.thresholdBefore else {
      return "tau = Hbar = \(number(group.threshold)): the run's first step."
    }
    let memory = "\(short(Double(shaping.gamma))) x \(number(before)) + \(short(1 - Double(shaping.gamma)))"
    return
      "tau = \(memory) x \(number(group.batchMeanEntropy)) = \(number(group.threshold)): the threshold follows Hbar."
  }

  private var plainAdvantage: String {
    let spread = RewardSpread(group.samples.map(\.reward))
    let mean = number(Float(spread.mean))
    let baseline =
      switch advantage.baseline {
      case .mean: "r - \(mean)"
      case .leaveOneOut: "(r - \(mean)) x \(group.samples.count) / \(group.samples.count - 1)"
      }
    switch advantage.normalize {
    case .none: return "\(baseline): reward r against the mean of the group."
    case .std:
      return
        "(\(baseline)) / (\(number(Float(spread.deviation))) + \(advantageEpsilon)): reward r against mean and "
        + "standard deviation of the group."
    }
  }

  private var shapedAdvantage: String { shaping.shaping.formula }

  /// The quadrant of a completion, and what shaping does to it.
  func verdict(_ sample: GroupExplanation.Sample) -> String {
    guard let quadrant = sample.quadrant else { return "no better or worse than the group" }
    let place = "\(quadrant.isUncertain ? "uncertain" : "certain"), \(quadrant.isPositive ? "better" : "worse")"
    return shaping.shaping.effect(on: quadrant, weight: sample.weight).map { "\(place): \($0)" } ?? place
  }

  func number(_ value: Float, digits: Int = 4) -> String { String(format: "%.\(digits)f", Double(value)) }

  /// A setting: six significant digits at most.
  private func short(_ value: Double) -> String { String(format: "%.6g", value) }

  /// A number with its sign.
  func signed(_ value: Float) -> String { (value < 0 ? "" : "+") + number(value) }

  // MARK: Lines

  /// The lines for a terminal of this width, in columns.
  public func lines(width: Int) -> [StyledLine] {
    let width = max(40, width)
    var lines = [StyledLine(title, .title)]
    if let notice { lines.append(StyledLine(notice, .warning)) }
    lines += wrapped(question, width: width).map { StyledLine($0, .faint) }
    lines += [StyledLine("right: \(reference)", .faint), StyledLine(), legend]
    for (index, sample) in group.samples.enumerated() {
      var line = StyledLine("\(index + 1)  ", .title)
      line.add(
        "H \(number(sample.meanEntropy))  omega \(signed(sample.weight))  r \(number(sample.reward, digits: 2))")
      line.add("  A \(signed(sample.advantage)) -> \(signed(sample.shapedMean))", .accent)
      line.add("  \(verdict(sample))", .faint)
      lines += [StyledLine(), line]
      for parts in ShadedText(tokenTexts[index], entropies: sample.entropies, width: width - 2).lines {
        var line = StyledLine("  ")
        for part in parts { line.add(part.text, .shade(EntropyScale.level(part.entropy))) }
        lines.append(line)
      }
    }
    return lines + [StyledLine()] + formulas.flatMap { wrapped($0, width: width).map { StyledLine($0, .plain) } }
  }

  private var legend: StyledLine {
    var line = StyledLine("entropy of a token, nats  ")
    for level in 0..<EntropyScale.levelCount { line.add(" \(EntropyScale.label(level)) ", .shade(level)) }
    return line
  }

  /// The lines of a text, broken at spaces where they would be longer.
  func wrapped(_ text: String, width: Int) -> [String] {
    var lines: [String] = []
    for part in text.split(separator: "\n", omittingEmptySubsequences: false) {
      var line = ""
      for word in part.split(separator: " ").map({ String($0) }) {
        if line.isEmpty {
          line = word
        } else if line.columns + 1 + word.columns <= width {
          line += " " + word
        } else {
          lines.append(line)
          line = word
        }
      }
      lines.append(line)
    }
    return lines
  }
}
