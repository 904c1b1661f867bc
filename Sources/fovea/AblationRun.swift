import Console
import Core
import Evaluation
import Foundation
import Glibc
import Learner
import Settings
import Tasks
import Wire

/// The runs of an ablation, one after the other, each a run of `fovea train` in a folder of its own that can be watched,
/// resumed and looked into like any other:
///
///     VARIANT-seedN/            the run; its exam.json is what its last checkpoint got in the exam
///     start.json                what the model that all start from got
///     table.md, table.json      the table, written anew after every run
///
/// Nothing else is kept: what there is to do follows from the folders. A run whose settings are not those that it would get
/// now refuses the whole ablation, before anything is started.
struct AblationRun {
  private let plan: AblationPlan
  private let runs: [PlannedRun]
  private let folder: String
  private let exam: Exam
  private let host: ProcessHost

  /// A run and where it stands.
  private struct PlannedRun {
    var run: AblationPlan.Run
    var train: TrainPlan
    var path: String

    var isBegun: Bool { FileManager.default.fileExists(atPath: path) }

    /// Where its last checkpoint is, when it has ended.
    var lastCheckpoint: String? {
      let store = CheckpointStore(folder: "\(path)/checkpoints", keep: 1)
      let last = UInt32(clamping: train.settings.run.steps)
      return store.steps.contains(last) ? store.path(step: last) : nil
    }
  }

  /// Plans and checks; makes nothing.
  init(_ arguments: ParsedArguments, host: ProcessHost) throws {
    let config = arguments.required("config")
    let plan = try AblationPlan(
      config: config, overrides: arguments.operands, variants: arguments.all("variant"),
      seedCount: try arguments.integer("seeds", in: 1...1000) ?? 5)
    let shared = plan.variants[0].settings
    let folder = arguments["run-directory"] ?? "\(shared.run.directory)/\(shared.run.name)-ablation"
    // The checkpoint itself, so that it is verified once.
    let from = try arguments["from"].map { ["--from", try TrainPlan.model(of: $0)] } ?? []
    let runs = try plan.runs.map { run in
      let path = "\(folder)/\(run.name)"
      let words = ["--config", config, "--run-directory", path] + from + run.overrides
      let train = try TrainPlan(ParsedArguments(words, for: TrainCommand.specification))
      return PlannedRun(run: run, train: train, path: path)
    }
    let settings = runs[0].train.settings
    let dataset = try makeDataset(settings.task, seed: settings.run.seed)
    _ = try ModelLoader.describe(path: settings.model.path)
    for run in runs { try Self.checkSettings(run) }
    self.plan = plan
    self.folder = folder
    self.runs = runs
    self.host = host
    exam = Exam(
      dataset, prompts: try arguments.integer("prompts", in: 1...Int.max) ?? settings.evaluation.prompts,
      settings: settings)
  }

  /// A run that is there must have been told what it would be told now.
  private static func checkSettings(_ run: PlannedRun) throws {
    let path = "\(run.path)/settings.yaml"
    guard FileManager.default.fileExists(atPath: path) else { return }
    let found = try SettingsFile.load(path: path)
    guard let difference = found.firstDifference(from: run.train.settings) else { return }
    throw InputError(
      "go on with the ablation", at: "\(path): \(difference.path)", expected: difference.other, found: difference.mine)
  }

  // MARK: Runs

  func run() async throws -> ExitCode {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    _ = try examine(runs[0].train.settings.model.path, "start", keptAt: startPath)
    var (failure, isReported) = (ExitCode.success, false)
    for (index, run) in runs.enumerated() where !host.isInterrupted && figures(run) == nil {
      tell("\n\(index + 1)/\(runs.count) \(run.run.name)")
      do {
        let code = try await train(run)
        if code != .success {
          CommandLineTool.complain("\(run.run.name) failed; the others go on")
          failure = code
        }
      } catch {
        CommandLineTool.complain("\(run.run.name): \(error)")
        failure = .input
      }
      isReported = figures(run) != nil
      if isReported { try report() }
    }
    if !isReported { try report() }
    if runs.contains(where: { figures($0) == nil }) { tell("to go on: \(Self.command)") }
    return failure
  }

  /// Does what is left of a run: training, and its exam.
  private func train(_ run: PlannedRun) async throws -> ExitCode {
    if run.lastCheckpoint == nil {
      let plan =
        run.isBegun
        ? try TrainPlan(ParsedArguments(["--resume", run.path], for: TrainCommand.specification)) : run.train
      let code = try await TrainRun(plan: plan, host: host).run()
      // What it printed comes before what is told here.
      fflush(nil)
      if code != .success { return code }
    }
    if let checkpoint = run.lastCheckpoint { _ = try examine(checkpoint, run.run.name, keptAt: examPath(run)) }
    return .success
  }

  private func tell(_ lines: String...) { TerminalOutput().write(lines.joined(separator: "\n") + "\n") }

  /// The words that started this process.
  private static var command: String {
    CommandLine.arguments.map { word in
      word.contains(#/[^A-Za-z0-9_.\/:=,+@-]/#) || word.isEmpty ? "'\(word.replacing("'", with: #"'\''"#))'" : word
    }.joined(separator: " ")
  }

  // MARK: Exams

  private var startPath: String { "\(folder)/start.json" }
  private func examPath(_ run: PlannedRun) -> String { "\(run.path)/exam.json" }

  private func examine(_ model: String, _ name: String, keptAt path: String) throws -> [Figure] {
    if let figures = kept(model, at: path) { return figures }
    let settings = runs[0].train.settings
    let terminal = TerminalOutput()
    let pool = ThreadPool(threads: ProcessInfo.processInfo.activeProcessorCount)
    let examinee = try LocalModel(
      path: model, precision: settings.model.precision, pool: pool, slots: settings.rollout.slots)
    let answers = try examinee.answers(exam) { done in
      if terminal.isTerminal { terminal.write("\r\(name): \(done)/\(exam.count) prompts of the exam\u{1B}[K") }
    }
    if terminal.isTerminal { terminal.write("\r\u{1B}[K") }
    let record = ExamRecord(model: model, prompts: exam.count, figures: answers.figures)
    try writeFile(record.json.serialized(pretty: true) + [UInt8(ascii: "\n")], to: path)
    return record.figures
  }

  /// What a model got in this very exam, if that is known.
  private func kept(_ model: String, at path: String) -> [Figure]? {
    guard let bytes = try? readFile(path, operation: "read exam"),
      let record = (try? JSON.parse(bytes, place: path)).flatMap(ExamRecord.init),
      record.model == model, record.prompts == exam.count
    else { return nil }
    return record.figures
  }

  /// What is known of a run that has ended and was examined.
  private func figures(_ run: PlannedRun) -> [Figure]? {
    guard let checkpoint = run.lastCheckpoint, let exam = kept(checkpoint, at: examPath(run)),
      let rows = try? MetricsFile.read("\(run.path)/metrics.jsonl")
    else { return nil }
    let steps = rows.filter { $0.kind == .step }
    let last = steps.suffix(max(1, steps.count / 10)).compactMap { $0.values["entropy"] }
    return exam + [
      Figure("entropy at the end, nats", last.reduce(0, +) / Double(max(1, last.count))),
      Figure("wall time, s", steps.reduce(0) { $0 + ($1.values["step_seconds"] ?? 0) }),
    ]
  }

  // MARK: Table

  private var table: AblationTable {
    AblationTable(
      plan.variants.enumerated().map { index, variant in
        let mine = runs.filter { $0.run.variant == index }
        let known = mine.compactMap { run in figures(run).map { (run.run.seed, $0) } }
        return AblationTable.Variant(variant.name, runs: Dictionary(uniqueKeysWithValues: known))
      }, start: kept(runs[0].train.settings.model.path, at: startPath) ?? [])
  }

  /// Writes and prints the table of what there is.
  func report() throws {
    let table = table
    let missing = runs.filter { figures($0) == nil }.map(\.run.name)
    if missing.count < runs.count {
      try writeFile(Array(table.markdown.utf8), to: "\(folder)/table.md")
      try writeFile(table.json.serialized(pretty: true) + [UInt8(ascii: "\n")], to: "\(folder)/table.json")
    }
    tell("", table.lines.joined(separator: "\n"), "")
    tell("\(runs.count - missing.count) of \(runs.count) runs, \(exam.count) held-out prompts: \(folder)/table.md")
    if !missing.isEmpty { tell("missing: \(missing.joined(separator: ", "))") }
  }

  /// What `--dry-run` prints.
  var described: [String] {
    let shared = plan.variants[0].settings
    return [
      "dry run: nothing is started", "",
      "budget  \(shared.run.steps) steps of \(shared.rollout.promptsPerStep * shared.rollout.groupSize) samples, a run",
      "exam    \(exam.count) held-out prompts",
      "start   \(runs[0].train.settings.model.path)", "",
    ]
      + runs.map { run in
        let state =
          run.lastCheckpoint != nil
          ? figures(run) == nil ? "to be examined" : "ended" : run.isBegun ? "to be resumed" : "to be started"
        let changes = plan.variants[run.run.variant].overrides.joined(separator: " ")
        return "\(run.path): \(state)\(changes.isEmpty ? "" : ", \(changes)")"
      }
  }
}
