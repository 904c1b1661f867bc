import Architecture
import Console
import Foundation
import Learner
import ModelFiles
import Runs
import Settings
import Support

/// The checked request of a call of `fovea train`, `fovea align` or `fovea sft`, before anything is made or started.
struct TrainPlan {
  /// The option that chains the stages.
  static let from = OptionSpecification.option(
    "from", "RUN",
    "Starts from a run of another stage: its best checkpoint, else its last; or from a model. Wins over model.path.")

  /// The command, which a run's folder remembers.
  let kind: String
  var settings: RunSettings
  /// The folder of the run to resume.
  var resumes: String?
  /// A warning about the run that this one starts from, for people.
  private(set) var startNote: String?
  /// The run is open already, in the process that started this one.
  var isAttached = false
  /// The folder to make.
  var runDirectory: String?

  init(_ arguments: ParsedArguments, kind: String = RunDirectory.trainingKind) throws {
    self.kind = kind
    resumes = arguments["resume"]
    runDirectory = arguments["run-directory"]
    var path = arguments["config"]
    if let run = arguments["attach"] {
      if resumes != nil { throw UsageError("--attach and --resume exclude each other") }
      (resumes, isAttached) = (run, true)
    }
    if let run = resumes {
      if path != nil || runDirectory != nil || arguments["from"] != nil {
        throw UsageError(
          "--resume takes the settings and the folder of its run: neither --config nor --run-directory nor --from")
      }
      path = RunDirectory.at(run).settingsPath
    } else if path == nil {
      throw UsageError(
        "fovea \(kind) needs --config FILE or --resume RUN", hint: "fovea help \(kind) shows how it is used")
    }
    settings = try SettingsFile.load(path: path, overrides: arguments.operands)
    if let run = arguments["from"] {
      settings.model.path = try Self.model(of: run)
      startNote = Self.unfinished(run)
    }
    Security.apply(arguments, to: &settings)
  }

  /// The checkpoint of a run to start from; anything that is no run is a model.
  static func model(of run: String) throws -> String {
    let checkpoints = RunDirectory.at(run).checkpoints
    guard Files.exists(checkpoints.path) else { return run }
    guard let path = checkpoints.bestOrNewestValid else {
      throw InputError("start from a run", at: checkpoints.path, expected: "a valid checkpoint", found: "none")
    }
    return path
  }

  /// Whether a run has steps left, in words: a person who starts from it may have meant to wait.
  private static func unfinished(_ run: String) -> String? {
    let directory = RunDirectory.at(run)
    guard let kind = RunDirectory.kind(of: run), let settings = try? SettingsFile.load(path: directory.settingsPath),
      let done = directory.checkpoints.steps.last,
      case let wanted = TrainingStage(rawValue: kind)?.settings(of: settings).steps ?? settings.run.steps, done < wanted
    else { return nil }
    return "\(run) has done \(done) of its \(wanted) steps; this run starts from what it has now"
  }

  /// Where the run's model lies and what it is: of a run that is resumed, its own newest checkpoint that can be
  /// read, so that the model it once started from may be gone. Whether the weights are whole is checked when they are
  /// loaded.
  func model() throws -> (path: String, description: ModelDescription) {
    if let run = resumes {
      let checkpoints = RunDirectory.at(run).checkpoints
      for path in checkpoints.steps.reversed().map(checkpoints.path(step:)) {
        if let model = try? ModelLoader.describe(path: path) { return (path, model) }
      }
    }
    return (settings.model.path, try ModelLoader.describe(path: settings.model.path))
  }

  var name: String {
    "\(settings.run.name)\(kind == RunDirectory.trainingKind ? "" : "-\(kind)")-\(settings.run.seed)"
  }

  /// Kernel threads of each worker and of the learner.
  var threads: (worker: Int, learner: Int) {
    let cores = ProcessInfo.processInfo.activeProcessorCount
    let farm = settings.farm
    return (
      worker: farm.workerThreads > 0 ? farm.workerThreads : max(1, cores / max(1, farm.workers)),
      learner: farm.learnerThreads > 0 ? farm.learnerThreads : cores
    )
  }

  /// Makes the run's folder, or opens the one to resume.
  func openDirectory() throws -> RunDirectory {
    if let resumes {
      let directory = try RunDirectory.resume(
        resumes, kind: kind, version: Program.version, command: CommandLine.arguments, resumed: TimeOfDay.now())
      try directory.write(settings: settings.described())
      return directory
    }
    return try RunDirectory.create(
      name: name, under: settings.run.directory, at: runDirectory, kind: kind,
      settings: settings.described(), version: Program.version, command: CommandLine.arguments,
      started: TimeOfDay.now())
  }
}
