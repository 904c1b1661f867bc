import Console
import Settings

/// `fovea coordinator`: the coordinator alone; learner and workers connect from anywhere.
enum CoordinatorCommand: Command {
  static let specification = CommandSpecification(
    "coordinator", "Runs the coordinator alone; a learner and workers connect to it.",
    options: [
      .option(
        "config", "FILE", "Settings in YAML; farm.listen says where it listens. Required, unless --resume is given."),
      .option(
        "resume", "RUN", "Resumes a run; its learner must be started with the same --run-directory as before."),
      .option("run-directory", "FOLDER", "The folder to make for the run, instead of the first free RUNS/NAME-SEED."),
      .option("attach", "RUN", "Serves a run that `fovea train` has open; for the processes that it starts."),
    ] + Security.options,
    operands: .many(name: "KEY=VALUE", summary: "Settings that win over the file."),
    notes: ["fovea coordinator --config configs/arithmetic.yaml farm.listen=tcp://0.0.0.0:5555"])

  static func run(_ arguments: ParsedArguments, host: ProcessHost) async throws -> ExitCode {
    try await CoordinatorRun(plan: TrainPlan(arguments), host: host).run()
  }
}
