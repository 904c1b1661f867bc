import Foundation
import Prompts
import SettingKeys
import Support

/// MM-Retinal-Reason as a task: `mm_retinal_reason`.
///
/// At the start every row is read once and checked; after that only the places of rows are held, and a row and its
/// images are read when it is asked. Without a held-out file a share is held out by hash of what the row is about, its
/// case of PubMed Central or its first image, so that no image is asked about on both sides.
///
/// A row that can no longer be read when it is asked (the file or an image has changed since the start) becomes a
/// question that every answer is wrong to: its group has no variance and moves no weight. A line on standard error says
/// so.
struct MMRetinalReasonDataset: PromptDataset {
  static let definition = TaskDefinition(
    "mm_retinal_reason", "all types of question about fundus photographs, angiograms, OCT and cases",
    trainFile: "a JSON file",
    shared: [
      .trainFile, .heldOutFile, .heldOutShare, .modalities, .domains, .questionTypes, .partialCredit, .fuzzy,
    ],
    own: [
      .flag(
        "skip_bad_rows", \.skipBadRows,
        "Bad rows are counted and left out. Off, because a file with bad rows is seldom what was meant.")
    ],
    make: { try MMRetinalReasonDataset($0, $1, seed: $2) })

  private struct Row: Sendable {
    let place: MMRetinalReasonFile.Place
    /// The hash of what the row is about.
    let subject: UInt64
  }

  private let trainingFile: MMRetinalReasonFile
  private let heldOutFile: MMRetinalReasonFile
  private let training: [Row]
  private let heldOut: [Row]
  private let shuffle: EpochShuffle
  private let templates: ImageQuestionTemplates
  private let warn: @Sendable (String) -> Void

  init(
    _ settings: TaskSettings, _ options: MMRetinalReasonOptions, seed: UInt64,
    warn: @escaping @Sendable (String) -> Void = MMRetinalReasonDataset.writeToStandardError
  ) throws {
    let selection = try RowSelection(settings, options)
    let trainingFile = try MMRetinalReasonFile(path: settings.trainFile)
    var training = try Self.rows(of: trainingFile, selection, warn)
    if settings.heldOutFile.isEmpty {
      let share = HeldOutShare(share: settings.heldOutShare)
      heldOut = training.filter { share.contains(hash: $0.subject) }
      training.removeAll { share.contains(hash: $0.subject) }
      heldOutFile = trainingFile
    } else {
      heldOutFile = try MMRetinalReasonFile(path: settings.heldOutFile)
      heldOut = try Self.rows(of: heldOutFile, selection, warn)
      let subjects = Set(heldOut.map(\.subject))
      training.removeAll { subjects.contains($0.subject) }
    }
    guard !training.isEmpty, !heldOut.isEmpty else {
      throw InputError(
        "make dataset", at: settings.trainFile, expected: "rows to train on and to hold out",
        found: "\(training.count) to train on, \(heldOut.count) held out")
    }
    self.trainingFile = trainingFile
    self.training = training
    self.warn = warn
    shuffle = EpochShuffle(count: training.count, seed: seed)
    templates = ImageQuestionTemplates(settings)
  }

  var heldOutCount: Int { heldOut.count }

  func heldOutPrompt(at index: Int) -> Prompt { prompt(id: UInt64(index), heldOut[index], of: heldOutFile) }

  func trainingPrompt(at cursor: UInt64) -> Prompt {
    prompt(id: cursor, training[shuffle.row(at: cursor)], of: trainingFile)
  }

  private static func rows(
    of file: MMRetinalReasonFile, _ selection: RowSelection, _ warn: (String) -> Void
  ) throws -> [Row] {
    var rows: [Row] = []
    var statistics = MMRetinalReasonStatistics()
    try file.forEachRow(check: .headers) { place, row in
      statistics.add(row)
      guard case .success((let row, _)) = row, selection.contains(row) else { return }
      rows.append(Row(place: place, subject: subject(of: row)))
    }
    guard statistics.badRowCount > 0 else { return rows }
    let summary = "\(statistics.badRowCount) bad of \(statistics.rowCount) rows"
    guard selection.skipsBadRows, let first = statistics.errors.first else {
      throw InputError(
        "make dataset", at: file.path, expected: "good rows (task.skip_bad_rows leaves bad ones out)",
        found: "\(summary); the first: \(statistics.errors.first.map { "\($0)" } ?? "")")
    }
    warn("\(file.path): \(summary) are left out; the first: \(first)")
    return rows
  }

  private static func subject(of row: MMRetinalReasonRow) -> UInt64 {
    switch (row.pmcid, row.images.first) {
    case (let pmcid?, _): textHash(pmcid)
    case (nil, .path(let path)?): textHash(path)
    case (nil, .encoded(let bytes)?): ContentAddress(of: bytes).low
    case (nil, nil): textHash(row.question)
    }
  }

  private func prompt(id: UInt64, _ row: Row, of file: MMRetinalReasonFile) -> Prompt {
    do {
      let content = try file.row(at: row.place)
      return templates.prompt(
        id: id,
        Question(
          text: content.question, reasoning: content.reason, answer: content.answer, type: content.type,
          options: content.scorerOptions, images: try file.images(of: content), modality: content.modality.rawValue,
          domain: content.domain.rawValue, caption: content.caption ?? content.title))
    } catch {
      warn("row \(row.place.index) cannot be read any more: \(error)")
      return Prompt(
        id: id, messages: [ChatMessage(role: "user", content: "?")],
        reward: RewardSpecification(kind: "", reference: ""))
    }
  }

  static func writeToStandardError(_ text: String) { FileHandle.standardError.write(Data("fovea: \(text)\n".utf8)) }
}

/// How `mm_retinal_reason` handles bad rows.
package struct MMRetinalReasonOptions: TaskOptions {
  /// Bad rows are counted and left out, instead of refusing the file.
  package var skipBadRows = false

  package init() {}
}

/// The rows that the settings ask for.
private struct RowSelection {
  let skipsBadRows: Bool
  private let modalities: Set<Modality>
  private let domains: Set<Domain>
  private let types: Set<QuestionType>

  init(_ settings: TaskSettings, _ options: MMRetinalReasonOptions) throws {
    skipsBadRows = options.skipBadRows
    modalities = try namedCases(settings.modalities, "task.modalities")
    domains = try namedCases(settings.domains, "task.domains")
    types = try namedCases(settings.questionTypes, "task.question_types")
  }

  func contains(_ row: MMRetinalReasonRow) -> Bool {
    modalities.contains(row.modality) && domains.contains(row.domain) && types.contains(row.type)
  }
}

extension MMRetinalReasonRow {
  var scorerOptions: [String: String] {
    var options: [String: String] = [:]
    if optionCount > 0 { options[Scorer.Option.optionCount] = "\(optionCount)" }
    let names = aliases.filter { !$0.contains("\n") }
    if !names.isEmpty { options[Scorer.Option.aliases] = names.joined(separator: "\n") }
    return options
  }
}
