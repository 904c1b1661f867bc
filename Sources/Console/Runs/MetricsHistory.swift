import Wire

/// The curves of a run, for sparklines and for the time left.
///
/// Invariant: steps increase within each kind; a row for a step that is there already cuts it and what came after, as in
/// the file. Bounded: of more than `rowCountMax` rows of a kind every second one goes.
public struct MetricsHistory: Equatable, Sendable {
  private static let rowCountMax = 4096
  private var steps: [MetricsRow] = []
  private var evaluations: [MetricsRow] = []

  public init() {}

  public mutating func append(_ row: MetricsRow) {
    evaluations.removeAll { $0.step >= row.step }
    switch row.kind {
    case .step:
      steps.removeAll { $0.step >= row.step }
      Self.append(row, to: &steps)
    case .evaluation: Self.append(row, to: &evaluations)
    }
  }

  private static func append(_ row: MetricsRow, to rows: inout [MetricsRow]) {
    rows.append(row)
    if rows.count > rowCountMax { rows = stride(from: 0, to: rows.count, by: 2).map { rows[$0] } }
  }

  /// The values of a metric of steps, oldest first.
  public func series(_ name: String) -> [Double] { steps.compactMap { $0.values[name] } }

  /// The newest value of a metric, of whichever kind of row.
  public func newest(_ name: String) -> Double? {
    steps.last { $0.values[name] != nil }?.values[name] ?? evaluations.last { $0.values[name] != nil }?.values[name]
  }

  public var firstEvaluation: MetricsRow? { evaluations.first }
  public var lastEvaluation: MetricsRow? { evaluations.last }
  public var lastStep: MetricsRow? { steps.last }

  /// Mean seconds of the newest steps, evaluations and waits between them included.
  public func secondsPerStep(newest count: Int = 16) -> Double? {
    // In files of earlier versions a resumed process starts its clock again: only rows since the clock last went back count.
    var rows: [(step: UInt32, seconds: Double)] = []
    for row in steps.suffix(count).reversed() {
      guard let seconds = row.values["seconds_elapsed"], rows.last.map({ seconds <= $0.seconds }) ?? true else { break }
      rows.append((row.step, seconds))
    }
    guard let newest = rows.first, let oldest = rows.last else { return nil }
    if rows.count == 1 { return newest.seconds > 0 ? steps.last?.values["step_seconds"] : nil }
    return (newest.seconds - oldest.seconds) / Double(newest.step - oldest.step)
  }
}
