import Evaluation
import Runs
import Settings
import Support
import Wire

/// The folder of an ablation:
///
///     VARIANT-seedN/            a run of `fovea train`, to be watched and resumed like any other
///       evaluation.json         the figures of its last checkpoint on the evaluation set
///     start.json                the figures of the model that all runs start from
///     table.md, table.json      the table, written anew after every run
///
/// Nothing else is kept: what is left to do follows from the folder. A run whose settings are not those that it would
/// get now refuses the whole ablation, before anything is started.
public struct AblationFolder: Sendable {
  /// A run of the plan, with its folder.
  public struct Run: Sendable {
    public var plan: AblationPlan.Run
    public var settings: RunSettings
    /// The run's folder, which may not exist yet.
    public var path: String

    public var name: String { plan.name }
    fileprivate var evaluationPath: String { "\(path)/evaluation.json" }
    /// Written by earlier versions.
    fileprivate var formerEvaluationPath: String { "\(path)/exam.json" }
  }

  /// The progress of a run.
  public enum State: Equatable, Sendable {
    case new
    /// The run's folder exists; it has steps left.
    case begun
    /// The run's last step is done.
    case trained(checkpoint: String)
    /// The run's last checkpoint has been evaluated.
    case ended([Figure])

    /// In words, for a list of runs.
    public var described: String {
      switch self {
      case .new: "to be started"
      case .begun: "to be resumed"
      case .trained: "to be evaluated"
      case .ended: "ended"
      }
    }
  }

  public let path: String
  public let plan: AblationPlan
  public let runs: [Run]
  /// The model that all runs start from.
  public let start: String
  /// The number of held-out prompts in the evaluation set.
  public let promptCount: Int

  /// Checks the runs that are there; makes nothing.
  /// - Parameters:
  ///   - start: the model that all runs start from; nil takes the settings' own.
  ///   - promptCount: of the evaluation set. Figures over another number of prompts count as missing.
  /// - Throws: `InputError` for a run that has other settings than it would get now.
  public init(_ path: String, plan: AblationPlan, start: String? = nil, promptCount: Int) throws {
    self.path = path
    self.plan = plan
    self.promptCount = promptCount
    let start = start ?? plan.variants[0].settings.model.path
    self.start = start
    runs = plan.runs.map { run in
      var settings = plan.variants[run.variant].settings
      settings.run.seed = run.seed
      settings.model.path = start
      return Run(plan: run, settings: settings, path: "\(path)/\(run.name)")
    }
    for run in runs { try Self.checkSettings(of: run) }
  }

  private static func checkSettings(of run: Run) throws {
    let path = RunDirectory.at(run.path).settingsPath
    guard Files.exists(path) else { return }
    let found = try SettingsFile.load(path: path)
    guard let difference = found.firstDifference(from: run.settings) else { return }
    throw InputError(
      "resume the ablation", at: "\(path): \(difference.path)", expected: difference.other, found: difference.mine)
  }

  // MARK: Runs

  /// The progress of a run.
  public func state(of run: Run) -> State {
    guard Files.exists(run.path) else { return .new }
    let directory = RunDirectory.at(run.path)
    let last = UInt32(clamping: run.settings.run.steps)
    guard directory.checkpoints.steps.contains(last) else { return .begun }
    let checkpoint = directory.checkpoints.path(step: last)
    return figures(of: directory, checkpoint, run).map(State.ended) ?? .trained(checkpoint: checkpoint)
  }

  /// The figures of a run that has ended and was evaluated.
  public func figures(of run: Run) -> [Figure]? {
    if case .ended(let figures) = state(of: run) { figures } else { nil }
  }

  private func figures(of directory: RunDirectory, _ checkpoint: String, _ run: Run) -> [Figure]? {
    guard
      let evaluation = record(of: checkpoint, at: run.evaluationPath)
        ?? record(of: checkpoint, at: run.formerEvaluationPath),
      let rows = try? MetricsFile.read(directory.metricsPath)
    else { return nil }
    let steps = rows.filter { $0.kind == .step }
    let last = steps.suffix(max(1, steps.count / 10)).compactMap { $0.values["entropy"] }
    return evaluation + [
      Figure("entropy at the end, nats", last.reduce(0, +) / Double(max(1, last.count))),
      Figure("wall time, s", steps.reduce(0) { $0 + ($1.values["step_seconds"] ?? 0) }),
    ]
  }

  // MARK: Evaluations

  /// The figures of the model that all runs start from, where they are known.
  public var startFigures: [Figure]? { record(of: start, at: "\(path)/start.json") }

  /// Keeps the figures of the model that all runs start from.
  public func keep(start figures: [Figure]) throws { try keep(figures, of: start, at: "\(path)/start.json") }

  /// Keeps the figures of a run's last checkpoint.
  public func keep(_ figures: [Figure], of run: Run, checkpoint: String) throws {
    try keep(figures, of: checkpoint, at: run.evaluationPath)
  }

  /// The result of a model on this evaluation set, if it is known.
  private func record(of model: String, at path: String) -> [Figure]? {
    guard let bytes = try? Files.read(path, operation: "read evaluation", byteCountMax: 1 << 20),
      let record = (try? JSON.parse(bytes, place: path)).flatMap(EvaluationRecord.init),
      record.model == model, record.prompts == promptCount
    else { return nil }
    return record.figures
  }

  private func keep(_ figures: [Figure], of model: String, at path: String) throws {
    try write(EvaluationRecord(model: model, prompts: promptCount, figures: figures).json, to: path)
  }

  private func write(_ json: JSON, to path: String) throws {
    try Files.write(json.serialized(pretty: true) + [UInt8(ascii: "\n")], to: path)
  }

  // MARK: Table

  /// The table of the runs that have ended.
  public var table: AblationTable {
    AblationTable(
      plan.variants.enumerated().map { index, variant in
        let known = runs.filter { $0.plan.variant == index }
          .compactMap { run in figures(of: run).map { (run.plan.seed, $0) } }
        return AblationTable.Variant(variant.name, runs: Dictionary(uniqueKeysWithValues: known))
      }, start: startFigures ?? [])
  }

  /// Writes the table, once a run has ended.
  /// - Returns: the table and what is missing from it, as lines for people.
  public func report() throws -> [String] {
    let table = table
    let missing = runs.filter { figures(of: $0) == nil }.map(\.name)
    if missing.count < runs.count {
      try Files.write(Array(table.markdown.utf8), to: "\(path)/table.md")
      try write(table.json, to: "\(path)/table.json")
    }
    let count = "\(runs.count - missing.count) of \(runs.count) runs"
    return [""] + table.lines + ["", "\(count), \(promptCount) held-out prompts: \(path)/table.md"]
      + (missing.isEmpty ? [] : ["missing: \(missing.joined(separator: ", "))"])
  }

  /// The runs that would be done, for `--dry-run`.
  public var described: [String] {
    let shared = plan.variants[0].settings
    return [
      "dry run: nothing is started", "",
      "budget      \(shared.run.steps) steps of \(shared.rollout.promptsPerStep * shared.rollout.groupSize) samples, "
        + "for each run",
      "evaluation  \(promptCount) held-out prompts",
      "start       \(start)", "",
    ]
      + runs.map { run in
        let changes = plan.variants[run.plan.variant].overrides.joined(separator: " ")
        return "\(run.path): \(state(of: run).described)\(changes.isEmpty ? "" : ", \(changes)")"
      }
  }
}
