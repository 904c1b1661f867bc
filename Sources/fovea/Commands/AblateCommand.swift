import Console
import Evaluation

/// `fovea ablate`: variants of the algorithm over seeds, on equal terms, and the table of what came of them.
enum AblateCommand: Command {
  static let specification = CommandSpecification(
    "ablate", "Trains variants of the algorithm over seeds, with an equal budget, and compares them.",
    options: [
      .option("config", "FILE", "Settings in YAML, for all runs.", required: true),
      TrainPlan.from,
      .list(
        "variant", "NAME:KEY=VALUE",
        "A variant and the settings that it changes, divided by spaces. May be given several times; the others are "
          + "compared with the first. Default: grpo, uadt and entropy_bonus, by algorithm.shaping.kind."),
      .option("seeds", "N", "Seeds of each variant, from run.seed on. Default: 5."),
      .option("run-directory", "FOLDER", "Holds every run and the table. Default: RUNS/NAME-ablation."),
      .option("prompts", "N", "Held-out prompts of the exam at the end. Default: the settings' evaluation.prompts."),
      .flag("report", "Prints the table of the runs that have ended, and starts nothing."),
      .flag("dry-run", "Prints the runs and what is there of each, and starts nothing."),
    ],
    operands: .many(name: "KEY=VALUE", summary: "Settings that win over the file, in all runs."),
    notes: [
      """
      fovea ablate --config configs/fundus.yaml --from runs/fundus-sft --run-directory runs/ablation
      fovea ablate --config configs/arithmetic.yaml --seeds 3 run.steps=20 \\
        --variant mild:algorithm.shaping.lambda=0.25 --variant "strong:algorithm.shaping.lambda=1"
      """,
      """
      The same command goes on: runs that have ended are passed over, the others resumed. Ctrl-C or SIGTERM: the open step
      ends and a checkpoint is made. A second one ends at once.
      """,
    ])

  static func run(_ arguments: ParsedArguments, host: ProcessHost) async throws -> ExitCode {
    let run = try AblationRun(arguments, host: host)
    if arguments.has("dry-run") {
      for line in run.described { print(line) }
      return .success
    }
    if arguments.has("report") {
      try run.report()
      return .success
    }
    return try await run.run()
  }
}
