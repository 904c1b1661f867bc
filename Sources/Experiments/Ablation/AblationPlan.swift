import Settings
import Support

/// Which runs an ablation consists of: every variant with every seed, on equal terms.
///
/// A variant is a name and the settings that it changes. Nothing is started before all of them are checked: they must
/// read, and may change neither the evaluation set (the task, the held-out prompts, how an answer is sampled) nor the
/// start nor the budget (steps, samples of a step).
public struct AblationPlan: Sendable {
  public struct Variant: Equatable, Sendable {
    /// Letters, digits, "_", "-", ".".
    public var name: String
    /// KEY=VALUE
    public var overrides: [String]
    /// The settings of its runs, with the first seed.
    public var settings: RunSettings
  }

  public struct Run: Equatable, Sendable {
    /// The index of its variant.
    public var variant: Int
    public var seed: UInt64
    /// VARIANT-seedN, also of its folder.
    public var name: String
    /// Every override of the file of settings.
    public var overrides: [String]
  }

  /// GRPO as it is, and the two shapings, on top of whatever the file says.
  public static let standard = [
    "grpo:algorithm.shaping.kind=none", "uadt:algorithm.shaping.kind=uadt",
    "entropy_bonus:algorithm.shaping.kind=entropy_bonus",
  ]

  public let variants: [Variant]
  public let seeds: [UInt64]
  /// A seed after the other, with all variants: what has been run at any time can be compared.
  public let runs: [Run]

  /// - Parameters:
  ///   - config: a file of settings.
  ///   - overrides: KEY=VALUE, for all runs; `run.seed` is the first seed.
  ///   - variants: "NAME:KEY=VALUE KEY=VALUE ...", each name once; empty is `standard`.
  ///   - seedCount: at least 1.
  /// - Throws: `InputError` for settings that cannot be read, and for variants that are not on equal terms.
  public init(config: String, overrides: [String], variants texts: [String], seedCount: Int) throws {
    let base = try SettingsFile.load(path: config, overrides: overrides)
    var variants: [Variant] = []
    for text in texts.isEmpty ? Self.standard : texts {
      let variant = try Self.variant(text, config, overrides)
      if variants.contains(where: { $0.name == variant.name }) {
        throw Self.refusal(variant.name, expected: "each name once", found: "it again")
      }
      try Self.check(variant, against: base)
      if let first = variants.first { try Self.checkBudget(variant, against: first) }
      variants.append(variant)
    }
    let (last, isOverflown) = base.run.seed.addingReportingOverflow(UInt64(seedCount - 1))
    if isOverflown {
      throw InputError(
        "plan the ablation", at: "run.seed", expected: "\(seedCount) seeds of 64 bits", found: "\(base.run.seed)")
    }
    self.variants = variants
    seeds = Array(base.run.seed...last)
    runs = seeds.flatMap { seed in
      variants.enumerated().map { index, variant in
        Run(
          variant: index, seed: seed, name: "\(variant.name)-seed\(seed)",
          overrides: overrides + variant.overrides + ["run.seed=\(seed)"])
      }
    }
  }

  private static func variant(_ text: String, _ config: String, _ overrides: [String]) throws -> Variant {
    guard let parts = text.wholeMatch(of: #/([A-Za-z0-9_\-][A-Za-z0-9_.\-]*)(?::(.*))?/#) else {
      throw refusal(text, expected: "NAME:KEY=VALUE, for example uadt:algorithm.shaping.kind=uadt", found: "no name")
    }
    let name = String(parts.1)
    let own = (parts.2 ?? "").split(separator: " ").map(String.init)
    do {
      return Variant(
        name: name, overrides: own, settings: try SettingsFile.load(path: config, overrides: overrides + own))
    } catch var error as InputError {
      error.place = "variant \(name), \(error.place)"
      throw error
    }
  }

  /// Whether the key of a path must have the same value in every run.
  private static func isShared(_ path: String) -> Bool {
    let sections = ["run.", "task.", "evaluation."]
    let keys = ["model.path", "model.precision", "rollout.sampling.max_new_tokens", "rollout.stop_strings"]
    return sections.contains { path.hasPrefix($0) } || keys.contains(path)
  }

  private static func check(_ variant: Variant, against base: RunSettings) throws {
    guard let difference = variant.settings.firstDifference(from: base, where: isShared) else { return }
    throw refusal(
      variant.name, difference.path, expected: "\(difference.other), as in all", found: difference.mine)
  }

  private static func checkBudget(_ variant: Variant, against first: Variant) throws {
    let (mine, others) = (variant.settings.rollout, first.settings.rollout)
    if mine.promptsPerStep * mine.groupSize != others.promptsPerStep * others.groupSize {
      throw refusal(
        variant.name,
        expected: "as many samples of a step as \(first.name), \(others.promptsPerStep) x \(others.groupSize)",
        found: "\(mine.promptsPerStep) x \(mine.groupSize)")
    }
  }

  private static func refusal(
    _ variant: String, _ path: String? = nil, expected: String, found: String
  ) -> InputError {
    InputError(
      "plan the ablation", at: "variant \(variant)" + (path.map { ", \($0)" } ?? ""), expected: expected,
      found: found)
  }
}
