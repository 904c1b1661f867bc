import Foundation
import Prompts
import Support
import Tasks

extension Scoreboard {
  /// The table as lines of text, columns aligned.
  public var lines: [String] {
    let isSaid: (KeyPath<Part, String?>) -> Bool = { key in rows.contains { !($0.part[keyPath: key] ?? "").isEmpty } }
    var columns: [(head: String, cells: [String])] = []
    if isSaid(\.modality) { columns.append(("modality", rows.map { $0.part.modality.map(Self.said) ?? "all" })) }
    if isSaid(\.domain) { columns.append(("domain", rows.map { $0.part.domain.map(Self.said) ?? "all" })) }
    columns.append(("questions", rows.map { $0.part.type?.rawValue ?? "all" }))
    columns.append(("n", rows.map { "\($0.count)" }))
    columns.append(("measure", rows.map(\.measure.rawValue)))
    for (index, name) in models.enumerated() {
      columns.append((name, rows.map { $0.values[index].map(Self.text) ?? "-" }))
    }
    return AlignedColumns(columns: columns).lines
  }

  private static func said(_ name: String) -> String { name.isEmpty ? "-" : name }

  private static func text(_ value: Value) -> String {
    String(format: "%.3f [%.3f, %.3f]", value.value, value.interval.lowerBound, value.interval.upperBound)
  }

  /// The table for other programs: a list of rows, each with a list of values, one for each model.
  public var json: JSON {
    .object([
      "models": .array(models.map { .string($0) }), "level": .number(bootstrap.level),
      "rows": .array(
        rows.map { row in
          .object([
            "modality": row.part.modality.map { .string($0) } ?? .null,
            "domain": row.part.domain.map { .string($0) } ?? .null,
            "questions": row.part.type.map { .string($0.rawValue) } ?? .null,
            "measure": .string(row.measure.rawValue), "prompts": .integer(Int64(row.count)),
            "values": .array(
              row.values.map { value in
                guard let value else { return .null }
                return .object([
                  "value": .number(value.value), "low": .number(value.interval.lowerBound),
                  "high": .number(value.interval.upperBound),
                ])
              }),
          ])
        }),
    ])
  }
}
