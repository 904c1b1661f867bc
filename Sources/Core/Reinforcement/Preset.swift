/// The named algorithms, as data: a preset fills settings and nothing asks for its name afterwards. Shaping goes on top
/// of any of them.
public struct Preset: Equatable, Sendable {
  public var name: String
  public var advantage: AdvantageSettings
  public var loss: LossSettings
  public var dynamicSampling: Bool
  /// Where it comes from and what sets it apart, one line.
  public var summary: String

  /// Every preset, `grpo` first.
  public static let all: [Preset] = [
    Preset("grpo", "arXiv 2402.03300: group mean and deviation, mean per sequence; KL off") { _ in },
    Preset("dr_grpo", "arXiv 2503.20783: no division by deviation or by length") {
      $0.advantage.normalize = .none
      $0.loss.aggregation = .constant
    },
    Preset("dapo", "arXiv 2503.14476: mean over tokens, higher upper clip, dynamic sampling, no KL") {
      $0.loss.aggregation = .token
      $0.loss.clipHigh = 0.28
      $0.dynamicSampling = true
    },
    Preset("gspo", "arXiv 2507.18071: length-normalised ratio of the sequence and its narrow clip") {
      $0.loss.ratio = .sequence
      $0.loss.clipLow = 3e-4
      $0.loss.clipHigh = 4e-4
    },
    Preset("rloo", "arXiv 2402.14740: mean of the other samples as baseline, whole sequences, no division") {
      $0.advantage.baseline = .leaveOneOut
      $0.advantage.normalize = .none
      $0.loss.aggregation = .constant
    },
  ]

  /// The preset of that name, or nil.
  public static func named(_ name: String) -> Preset? { all.first { $0.name == name } }

  private init(_ name: String, _ summary: String, _ change: (inout Preset) -> Void) {
    self.name = name
    self.summary = summary
    advantage = AdvantageSettings()
    loss = LossSettings()
    dynamicSampling = false
    change(&self)
  }
}
