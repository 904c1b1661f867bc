import Foundation
import Prompts
import Support

/// MM-Retinal-Reason as a task: `mm_retinal_reason`.
///
/// At the start every row is read once and checked; after that only the rows' places are held, and a row and its images are read
/// when it is drawn. Without a held-out file a share is held out by hash of what the row is about, its case of PubMed Central or
/// its first image, so that no image is asked about on both sides.
///
/// A row that can no longer be read when it is drawn (the file or an image has changed since the start) becomes a question that
/// every answer is wrong to: its group has no variance and moves no weight. A line on standard error tells it.
struct ReasoningDataset: PromptDataset {
  private struct Row: Sendable {
    let place: ReasoningFile.Place
    /// Of what the row is about.
    let subject: UInt64
  }

  private let trainingFile: ReasoningFile
  private let heldOutFile: ReasoningFile
  private let training: [Row]
  private let heldOut: [Row]
  private let shuffle: EpochShuffle
  private let templates: ImageQuestionTemplates
  private let warn: @Sendable (String) -> Void

  init(_ settings: TaskSettings, seed: UInt64, warn: @escaping @Sendable (String) -> Void = ReasoningDataset.complain)
    throws
  {
    guard !settings.trainFile.isEmpty else {
      throw InputError("make dataset", at: "task.train_file", expected: "a JSON file", found: "nothing")
    }
    let selection = try RowSelection(settings)
    let trainingFile = try ReasoningFile(path: settings.trainFile)
    var training = try Self.rows(of: trainingFile, selection, warn)
    if settings.heldOutFile.isEmpty {
      let share = HeldOutShare(share: settings.heldOutShare)
      heldOut = training.filter { share.contains(hash: $0.subject) }
      training.removeAll { share.contains(hash: $0.subject) }
      heldOutFile = trainingFile
    } else {
      heldOutFile = try ReasoningFile(path: settings.heldOutFile)
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
    of file: ReasoningFile, _ selection: RowSelection, _ warn: (String) -> Void
  ) throws -> [Row] {
    var rows: [Row] = []
    var statistics = ReasoningStatistics()
    try file.forEachRow(check: .headers) { place, row in
      statistics.add(row)
      guard case .success((let row, _)) = row, selection.contains(row) else { return }
      rows.append(Row(place: place, subject: subject(of: row)))
    }
    guard statistics.badRowCount > 0 else { return rows }
    let summary = "\(statistics.badRowCount) bad of \(statistics.rowCount) rows"
    guard selection.skipsBadRows, let first = statistics.errors.first else {
      throw InputError(
        "make dataset", at: file.path, expected: "sound rows (task.skip_bad_rows leaves others out)",
        found: "\(summary); the first: \(statistics.errors.first.map { "\($0)" } ?? "")")
    }
    warn("\(file.path): \(summary) are left out; the first: \(first)")
    return rows
  }

  private static func subject(of row: ReasoningRow) -> UInt64 {
    switch (row.pmcid, row.images.first) {
    case (let pmcid?, _): textHash(pmcid)
    case (nil, .path(let path)?): textHash(path)
    case (nil, .encoded(let bytes)?): ContentAddress(of: bytes).low
    case (nil, nil): textHash(row.question)
    }
  }

  private func prompt(id: UInt64, _ row: Row, of file: ReasoningFile) -> Prompt {
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

  static func complain(_ text: String) { FileHandle.standardError.write(Data("fovea: \(text)\n".utf8)) }
}

/// The rows that the settings ask for.
struct RowSelection: Sendable {
  let skipsBadRows: Bool
  private let modalities: Set<Modality>
  private let domains: Set<Domain>
  private let types: Set<QuestionType>

  init(_ settings: TaskSettings) throws {
    skipsBadRows = settings.skipBadRows
    modalities = try Self.cases(settings.modalities, "task.modalities")
    domains = try Self.cases(settings.domains, "task.domains")
    types = try Self.cases(settings.questionTypes, "task.question_types")
  }

  /// An empty list asks for all.
  func contains(_ row: ReasoningRow) -> Bool {
    modalities.contains(row.modality) && domains.contains(row.domain) && types.contains(row.type)
  }

  static func cases<Value: RawRepresentable<String> & CaseIterable & Hashable>(
    _ names: [String], _ key: String
  ) throws -> Set<Value> {
    if names.isEmpty { return Set(Value.allCases) }
    return Set(
      try names.map { name in
        guard let value = Value.allCases.first(where: { $0.rawValue.lowercased() == name.lowercased() }) else {
          throw InputError(
            "make dataset", at: key, expected: Value.allCases.map(\.rawValue).joined(separator: ", "), found: name)
        }
        return value
      })
  }
}

extension ReasoningRow {
  var scorerOptions: [String: String] {
    var options: [String: String] = [:]
    if optionCount > 0 { options[Scorer.Option.optionCount] = "\(optionCount)" }
    let names = aliases.filter { !$0.contains("\n") }
    if !names.isEmpty { options[Scorer.Option.aliases] = names.joined(separator: "\n") }
    return options
  }
}
