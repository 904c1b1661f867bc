import Evaluation
import Foundation
import Support

extension AblationTable {
  /// How a cell is to be read.
  private static let legend =
    "mean ± standard deviation over seeds [95 % interval, Student's t]; what has one seed has neither"

  /// The table as lines of text, columns aligned, a section after the other.
  public var lines: [String] {
    sections.flatMap { section in
      let columns = columns(section)
      return [section.title] + AlignedColumns(columns: columns).lines.map { "  \($0)" } + [""]
    } + [Self.legend]
  }

  /// The table in Markdown.
  public var markdown: String {
    func line(_ cells: [String]) -> String { "| \(cells.joined(separator: " | ")) |" }
    let lines = sections.flatMap { section in
      let columns = columns(section)
      return ["### \(section.title)", "", line(columns.map(\.head)), line(columns.map { _ in "---" })]
        + section.rows.indices.map { row in line(columns.map { $0.cells[row] }) } + [""]
    }
    return (lines + [Self.legend]).joined(separator: "\n") + "\n"
  }

  private func columns(_ section: Section) -> [(head: String, cells: [String])] {
    var columns = [(head: "measure", cells: section.rows.map(\.measure))]
    if section.rows.contains(where: { $0.start != nil }) {
      columns.append(("start", section.rows.map { row in row.start.map { text($0, row, isSigned: false) } ?? "-" }))
    }
    for (index, variant) in variants.enumerated() {
      let count = section.rows.compactMap { $0.spreads[index]?.count }.max() ?? 0
      guard count > 0 || !section.isDifference else { continue }
      columns.append(
        (
          "\(variant.name), \(count) seed\(count == 1 ? "" : "s")",
          section.rows.map { row in row.spreads[index].map { text($0, row, section) } ?? "-" }
        ))
    }
    return columns
  }

  private func text(_ spread: Spread, _ row: Row, _ section: Section) -> String {
    func number(_ value: Double) -> String { text(value, row, isSigned: section.isDifference) }
    guard let deviation = spread.deviation, let interval = spread.interval else { return number(spread.mean) }
    return "\(number(spread.mean)) ± \(text(deviation, row, isSigned: false)) "
      + "[\(number(interval.lowerBound)), \(number(interval.upperBound))]"
  }

  /// A value with the decimals of its measure, which follow from the measure's largest mean.
  private func text(_ value: Double, _ row: Row, isSigned: Bool) -> String {
    let measured = sections[0].rows.first { $0.measure == row.measure } ?? row
    let size = (measured.spreads.compactMap { $0?.mean } + [measured.start ?? 0]).map(abs).max() ?? 0
    let decimals = size < 0.1 ? 4 : size < 10 ? 3 : size < 100 ? 2 : 1
    return String(format: isSigned ? "%+.\(decimals)f" : "%.\(decimals)f", value)
  }

  /// The table for other programs, and every run's figures.
  public var json: JSON {
    func object(_ figures: [Figure]) -> JSON {
      .object(Dictionary(figures.map { ($0.name, JSON.number($0.value)) }) { first, _ in first })
    }
    return .object([
      "level": .number(Spread.level), "start": object(start),
      "variants": .array(
        variants.map { variant in
          .object([
            "name": .string(variant.name),
            "runs": .array(
              variant.runs.sorted { $0.key < $1.key }.map { seed, figures in
                .object(["seed": .integer(Int64(clamping: seed)), "figures": object(figures)])
              }),
          ])
        }),
      "sections": .array(
        sections.map { section in
          .object(["title": .string(section.title), "rows": .array(section.rows.map(Self.json))])
        }),
    ])
  }

  private static func json(_ row: Row) -> JSON {
    .object([
      "measure": .string(row.measure),
      "values": .array(
        row.spreads.map { spread in
          guard let spread else { return .null }
          return .object([
            "seeds": .integer(Int64(spread.count)), "mean": .number(spread.mean),
            "deviation": spread.deviation.map { .number($0) } ?? .null,
            "low": spread.interval.map { .number($0.lowerBound) } ?? .null,
            "high": spread.interval.map { .number($0.upperBound) } ?? .null,
          ])
        }),
    ])
  }
}
