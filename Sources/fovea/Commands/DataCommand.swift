import Console
import Foundation
import Imaging
import Prompts
import Support
import Tasks

/// `fovea data`: what a file of questions about images holds, before a run depends on it.
enum DataCommand: Command {
  static let specification = CommandSpecification(
    "data", "Checks, counts or shows the rows of MM-Retinal-Reason (JSON) or RetinaMNIST (npz).",
    options: [
      .flag("pixels", "check: decodes every image instead of reading its header."),
      .option("row", "N", "show: the row, from 0. Default 0."),
      .flag("json", "Prints JSON."),
    ],
    operands: .many(name: "check|stats|show FILE", summary: "What to do, and the file."))

  private enum Action: String, CaseIterable { case check, stats, show }

  static func run(_ arguments: ParsedArguments, host: ProcessHost) async throws -> ExitCode {
    guard arguments.operands.count == 2, let action = Action(rawValue: arguments.operands[0]) else {
      throw UsageError("fovea data takes an action and a file", hint: "fovea data check|stats|show FILE")
    }
    let path = arguments.operands[1]
    let row = try arguments.integer("row", in: 0...Int.max) ?? 0
    let json = arguments.has("json")
    if path.hasSuffix(".npz") {
      let splits = try ["train", "val", "test"].map {
        ($0, try RetinaMNISTSplit($0, of: NPZFile(path: path), path: path))
      }
      switch action {
      case .check, .stats: print(grades(splits, json: json))
      case .show:
        let count = splits[0].1.count
        guard row < count else {
          throw InputError("read a row", at: path, expected: "a row below \(count)", found: "\(row)")
        }
        print("train row \(row): grade \(splits[0].1.grades[row]), \(size(splits[0].1.image(row)))")
      }
      return .success
    }
    let file = try MMRetinalReasonFile(path: path)
    switch action {
    case .show:
      print(try shown(row, of: file, json: json))
      return .success
    case .check, .stats:
      let statistics = try count(file, check: arguments.has("pixels") ? .pixels : .headers)
      if json {
        print(text(summary(statistics)))
      } else {
        for error in statistics.errors { print(error) }
        let more = statistics.badRowCount - statistics.errors.count
        if more > 0 { print("and \(more) more bad rows") }
        if action == .stats { print(table(statistics)) }
        print("\(statistics.rowCount) rows, \(statistics.badRowCount) bad")
      }
      return statistics.badRowCount == 0 ? .success : .input
    }
  }

  // MARK: MM-Retinal-Reason

  /// Counts the rows, with progress on a terminal.
  private static func count(_ file: MMRetinalReasonFile, check: MMRetinalReasonFile.ImageCheck) throws
    -> MMRetinalReasonStatistics
  {
    var statistics = MMRetinalReasonStatistics()
    let terminal = TerminalOutput()
    try file.forEachRow(check: check) { _, row in
      statistics.add(row)
      if terminal.isTerminal, statistics.rowCount % 200 == 0 { terminal.write("\r\(statistics.rowCount) rows\u{1B}[K") }
    }
    if terminal.isTerminal { terminal.write("\r\u{1B}[K") }
    return statistics
  }

  private static func table(_ statistics: MMRetinalReasonStatistics) -> String {
    func padded(_ columns: [String]) -> String {
      zip(columns, [10, 15, 17, 8]).map { $0.padding(toLength: $1, withPad: " ", startingAt: 0) }.joined()
    }
    func line(_ name: String, _ spread: MMRetinalReasonStatistics.Spread, _ unit: String) -> String {
      "\(name): \(spread.smallest) to \(spread.largest) \(unit), mean \(Int(spread.mean.rounded())), of \(spread.count)"
    }
    let rows = statistics.cells.sorted { $0.key < $1.key }.map { cell, count in
      padded([cell.modality.rawValue, cell.domain.rawValue, cell.type.rawValue, "\(count)"])
    }
    let images = statistics.imagesPerRow.enumerated().filter { $0.element > 0 }
      .map { "\($0.element) rows with \($0.offset)" }
    let formats = statistics.formats.sorted { $0.key.rawValue < $1.key.rawValue }
      .map { "\($0.value) \($0.key.rawValue)" }
    return
      ([padded(["modality", "domain", "type", "rows"])] + rows + [
        "images: \((images + formats).joined(separator: ", "))", line("widths", statistics.widths, "pixels"),
        line("heights", statistics.heights, "pixels"), line("questions", statistics.questions, "characters"),
        line("answers", statistics.answers, "characters"), line("reasoning", statistics.reasons, "characters"),
        "complex cases: \(statistics.complexCount)",
      ]).joined(separator: "\n")
  }

  private static func summary(_ statistics: MMRetinalReasonStatistics) -> JSON {
    .object([
      "rows": .integer(Int64(statistics.rowCount)), "bad": .integer(Int64(statistics.badRowCount)),
      "errors": .array(statistics.errors.map { .string("\($0)") }),
      "cells": .array(
        statistics.cells.sorted { $0.key < $1.key }.map { cell, count in
          .object([
            "modality": .string(cell.modality.rawValue), "domain": .string(cell.domain.rawValue),
            "type": .string(cell.type.rawValue), "rows": .integer(Int64(count)),
          ])
        }),
      "images_per_row": .array(statistics.imagesPerRow.map { .integer(Int64($0)) }),
    ])
  }

  private static func shown(_ wanted: Int, of file: MMRetinalReasonFile, json: Bool) throws -> String {
    let row = try file.row(wanted)
    let images = try file.images(of: row).enumerated().map { index, image in
      size(try ImageFile.decode(image.bytes, place: "\(file.path), row \(wanted): image[\(index)]"))
    }
    let fields: [(String, String?)] = [
      ("modality", row.modality.rawValue), ("domain", row.domain.rawValue), ("type", row.type.rawValue),
      ("images", images.joined(separator: ", ")), ("question", row.question), ("answer", row.answer),
      ("reason", row.reason), ("pmcid", row.pmcid), ("title", row.title), ("caption", row.caption),
    ]
    let present = fields.compactMap { name, value in value.map { (name, $0) } }
    return json
      ? text(.object(Dictionary(uniqueKeysWithValues: present.map { ($0, JSON.string($1)) })))
      : present.map { "\($0): \($1)" }.joined(separator: "\n")
  }

  // MARK: RetinaMNIST

  private static func grades(_ splits: [(name: String, split: RetinaMNISTSplit)], json: Bool) -> String {
    let counts = splits.map { split in (0...4).map { grade in split.split.grades.count { $0 == grade } } }
    if json {
      return text(
        .object(
          Dictionary(
            uniqueKeysWithValues: zip(splits, counts).map {
              ($0.name, JSON.array($1.map { .integer(Int64($0)) }))
            })))
    }
    return zip(splits, counts).map { split, counts in
      "\(split.name): \(split.split.count) photographs of grades 0 to 4: "
        + "\(counts.map(String.init).joined(separator: ", "))"
    }.joined(separator: "\n")
  }

  // MARK: Both

  private static func size(_ image: Image) -> String { "\(image.width) x \(image.height)" }

  private static func text(_ json: JSON) -> String { String(decoding: json.serialized(pretty: true), as: UTF8.self) }
}
