import Architecture
import Console
import Learner
import Tensor

/// `fovea sft`: the second stage, everything on question, reasoning and answer. In this process; there is no farm.
enum SftCommand: Command {
  static let options: [OptionSpecification] = [
    .option("config", "FILE", "Settings in YAML. Required, unless --resume is given."),
    TrainPlan.from,
    .option("resume", "RUN", "Resumes a run from its last checkpoint, with the settings of its folder."),
    .option("run-directory", "FOLDER", "The folder to make, instead of the first free RUNS/NAME-STAGE-SEED."),
    .flag("dry-run", "Prints what would run and every setting, and starts nothing."),
  ]

  static func notes(_ name: String) -> [String] {
    [
      """
      fovea \(name) --config configs/fundus.yaml --run-directory runs/\(name)
      fovea \(name) --resume runs/\(name) \(name).steps=200
      """,
      "Ctrl-C or SIGTERM: the step ends and a checkpoint is made. A second one ends at once.",
    ]
  }

  static let specification = CommandSpecification(
    "sft", "Stage 2: trains a model on written reasoning and answers.", options: options,
    operands: .many(name: "KEY=VALUE", summary: "Settings that win over the file, for example sft.steps=10."),
    notes: notes("sft"))

  static func run(_ arguments: ParsedArguments, host: ProcessHost) async throws -> ExitCode {
    try await run(.sft, arguments, host)
  }

  static func run(_ stage: TrainingStage, _ arguments: ParsedArguments, _ host: ProcessHost) async throws -> ExitCode {
    let plan = try TrainPlan(arguments, kind: stage.rawValue)
    if arguments.has("dry-run") {
      for line in try plan.described(stage) { print(line) }
      return .success
    }
    return try await StageRun(stage: stage, plan: plan, host: host).run()
  }
}
