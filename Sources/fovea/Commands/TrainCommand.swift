import Console
import Core
import Foundation
import Learner
import Settings

/// `fovea train`: a whole farm on this machine, from one file of settings.
enum TrainCommand: Command {
  static let specification = CommandSpecification(
    "train", "Trains a model: a coordinator, a learner and workers on this machine, with a live view.",
    options: [
      .option("config", "FILE", "Settings in YAML. Required, unless --resume is given."),
      TrainPlan.from,
      .option("resume", "RUN", "Goes on with a run from its last checkpoint, with the settings of its folder."),
      .option("run-directory", "FOLDER", "The folder to make for the run, instead of the first free RUNS/NAME-SEED."),
      .flag("dry-run", "Prints what would run and every setting, and starts nothing."),
    ] + Security.options,
    operands: .many(name: "KEY=VALUE", summary: "Settings that win over the file, for example run.steps=10."),
    notes: [
      """
      fovea train --config configs/arithmetic.yaml
      fovea train --config configs/arithmetic.yaml run.steps=10 farm.workers=4 --dry-run
      fovea train --resume runs/arithmetic-1 run.steps=200
      """,
      "Ctrl-C or SIGTERM drains: the open step ends, the learner makes a checkpoint. A second one ends at once.",
    ])

  static func run(_ arguments: ParsedArguments, host: ProcessHost) async throws -> ExitCode {
    let plan = try TrainPlan(arguments)
    if arguments.has("dry-run") {
      for line in try plan.described() { print(line) }
      return .success
    }
    return try await TrainRun(plan: plan, host: host).run()
  }
}

/// What a call of `fovea train`, `fovea align` or `fovea sft` asks for, checked, before anything is made or started.
struct TrainPlan {
  /// What makes the stages chain.
  static let from = OptionSpecification.option(
    "from", "RUN",
    "Starts from a run of another stage: its best checkpoint, else its last; or from a model. Wins over model.path.")

  /// The command, which a run's folder remembers.
  let kind: String
  var settings: RunSettings
  /// The folder of the run to go on with.
  var resumes: String?
  /// What a person should know of the run that this one starts from.
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
      path = run + "/settings.yaml"
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

  /// A run's checkpoint to start from; anything that is no run is a model.
  static func model(of run: String) throws -> String {
    let folder = "\(run)/checkpoints"
    guard FileManager.default.fileExists(atPath: folder) else { return run }
    guard let path = CheckpointStore(folder: folder, keep: 1).bestOrNewestValid else {
      throw InputError("start from a run", at: folder, expected: "a valid checkpoint", found: "none")
    }
    return path
  }

  /// That a run has steps left to do: whoever starts from it may have meant to wait.
  private static func unfinished(_ run: String) -> String? {
    guard let kind = RunDirectory.kind(of: run), let settings = try? SettingsFile.load(path: run + "/settings.yaml"),
      let done = CheckpointStore(folder: run + "/checkpoints", keep: 1).steps.last,
      case let wanted = TrainingStage(rawValue: kind)?.settings(of: settings).steps ?? settings.run.steps, done < wanted
    else { return nil }
    return "\(run) has done \(done) of its \(wanted) steps; this run starts from what it has now"
  }

  /// Where the run's model lies and what shape it has: of a run that is resumed, its own newest checkpoint that can be read, so
  /// that what it once started from may be gone. Whether the weights are whole is for the one that loads them.
  func model() throws -> (path: String, config: ModelConfig) {
    if let run = resumes {
      let store = CheckpointStore(folder: run + "/checkpoints", keep: 1)
      for path in store.steps.reversed().map(store.path) {
        if let model = try? ModelLoader.describe(path: path) { return (path, model.config) }
      }
    }
    return (settings.model.path, try ModelLoader.describe(path: settings.model.path).config)
  }

  var name: String {
    "\(settings.run.name)\(kind == RunDirectory.trainingKind ? "" : "-\(kind)")-\(settings.run.seed)"
  }

  /// The run's folder, in words, before it is made.
  var folder: String {
    resumes.map { "\($0) (resumed)" } ?? runDirectory ?? "\(settings.run.directory)/\(name) or the next free name"
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

  private var security: String {
    if !settings.farm.keys.isEmpty { return "encrypted, only with the keys of \(settings.farm.keys)" }
    return settings.farm.insecure ? "in the clear, open to every network" : "in the clear, on this machine only"
  }

  /// What `--dry-run` prints. Reads the model's description, so that a wrong path shows now.
  func described() throws -> [String] {
    let (path, config) = try model()
    let adapter = try TrainedModel.check(
      settings.model, training: settings.model.train, of: config, key: "model.train")
    let memory = MemoryEstimate(
      config: config, settings: settings, training: settings.model.train, adapter: adapter)
    let scalars = config.parameters.reduce(0) { $0 + $1.count }
    let samples = settings.rollout.promptsPerStep * settings.rollout.groupSize
    return [
      "dry run: nothing is started", "",
      "model          \(path), \(scalars / 1_000_000)M parameters, of which \(memory.trainedCount) are trained",
      "run directory  \(folder)",
      "steps          \(settings.run.steps), each of \(settings.rollout.promptsPerStep) prompts with "
        + "\(settings.rollout.groupSize) samples: \(samples * settings.run.steps) samples in all",
      "coordinator    1 process, listening on \(settings.farm.listen)",
      "connections    \(security)",
      "learner        1 process, \(threads.learner) threads, about \(MemoryEstimate.text(memory.learner))",
      "workers        \(settings.farm.workers) processes, \(threads.worker) threads and \(settings.rollout.slots) slots each, "
        + "about \(MemoryEstimate.text(memory.worker)) each",
    ] + settings.unusedTaskKeys.map { "unused         \($0), which the task does not read" } + [
      "", "settings:",
    ] + settings.described().split(separator: "\n").map { "  \($0)" }
  }
}
