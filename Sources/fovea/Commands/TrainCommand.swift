import Architecture
import Console
import ModelFiles
import Support
import Tensor

/// `fovea train`: a whole farm on this machine, from one file of settings.
enum TrainCommand: Command {
  static let specification = CommandSpecification(
    "train", "Trains a model: a coordinator, a learner and workers on this machine, with a live view.",
    options: [
      .option("config", "FILE", "Settings in YAML. Required, unless --resume is given."),
      TrainPlan.from,
      .option("resume", "RUN", "Resumes a run from its last checkpoint, with the settings of its folder."),
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
