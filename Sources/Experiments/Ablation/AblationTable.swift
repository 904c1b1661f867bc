import Evaluation

/// The results of an ablation: for each variant and measure the spread over seeds, its gain over the model that all
/// runs start from, and its difference from the first variant, seed by seed.
///
/// Runs of one seed see the same prompts in the same order, so the difference within a seed has less noise than the
/// difference of two means; its interval is the one that shows whether two variants differ.
public struct AblationTable: Sendable {
  /// The results of a variant: the figures of its finished runs, by seed.
  public struct Variant: Sendable {
    public var name: String
    public var runs: [UInt64: [Figure]]

    public init(_ name: String, runs: [UInt64: [Figure]]) {
      self.name = name
      self.runs = runs
    }
  }

  public struct Row: Equatable, Sendable {
    public var measure: String
    /// The value of the model that all runs start from; only in the first section.
    public var start: Double?
    /// One a variant; nil where nothing is known.
    public var spreads: [Spread?]
  }

  public struct Section: Sendable {
    public var title: String
    /// Whether the values are differences, and have a sign.
    public var isDifference: Bool
    public var rows: [Row]
  }

  public let variants: [Variant]
  public let start: [Figure]
  public let sections: [Section]

  /// - Parameter variants: at least one; the others are compared with the first.
  public init(_ variants: [Variant], start: [Figure]) {
    self.variants = variants
    self.start = start
    var measures: [String] = []
    for figures in [start] + variants.flatMap({ $0.runs.sorted { $0.key < $1.key }.map(\.value) }) {
      for figure in figures where !measures.contains(figure.name) { measures.append(figure.name) }
    }
    let base = variants[0].runs
    func values(_ variant: Variant, _ value: (_ seed: UInt64, _ figures: [Figure]) -> Double?) -> Spread? {
      Spread(variant.runs.sorted { $0.key < $1.key }.compactMap { value($0.key, $0.value) })
    }
    let means = measures.map { measure in
      Row(
        measure: measure, start: start.value(measure),
        spreads: variants.map { values($0) { _, figures in figures.value(measure) } })
    }
    let gains = measures.filter { $0.hasPrefix(Figure.accuracy) }.map { measure in
      Row(
        measure: measure,
        spreads: variants.map { variant in
          values(variant) { _, figures in figures.value(measure, minus: start) }
        })
    }
    let differences = measures.map { measure in
      Row(
        measure: measure,
        spreads: variants.enumerated().map { index, variant in
          index == 0 ? nil : values(variant) { seed, figures in figures.value(measure, minus: base[seed] ?? []) }
        })
    }
    sections = [
      Section(title: "mean over seeds", isDifference: false, rows: means),
      Section(title: "gain over the start", isDifference: true, rows: gains),
      Section(title: "minus \(variants[0].name), seed by seed", isDifference: true, rows: differences),
    ].filter { $0.rows.contains { $0.start != nil || $0.spreads.contains { $0 != nil } } }
  }
}

extension [Figure] {
  fileprivate func value(_ name: String) -> Double? { first { $0.name == name }?.value }

  fileprivate func value(_ name: String, minus others: [Figure]) -> Double? {
    value(name).flatMap { mine in others.value(name).map { mine - $0 } }
  }
}
