import Console
import Evaluation
import Experiments
import ModelFiles
import Settings
import Tasks

/// `fovea ablate`: variants of the algorithm over seeds, on equal terms, and the table of their results.
enum AblateCommand: Command {
  static let specification = CommandSpecification(
    "ablate", "Trains variants of the algorithm over seeds, with an equal budget, and compares them.",
    options: [
      .option("config", "FILE", "Settings in YAML, for all runs.", required: true),
      TrainPlan.from,
      .list(
        "variant", "NAME:KEY=VALUE",
        "A variant and the settings that it changes, separated by spaces. May be given several times; the others are "
          + "compared with the first. Default: grpo, uadt and entropy_bonus, by algorithm.shaping.kind."),
      .option("seeds", "N", "Seeds of each variant, from run.seed on. Default: 5."),
      .option("run-directory", "FOLDER", "Holds every run and the table. Default: RUNS/NAME-ablation."),
      .option(
        "prompts", "N", "Held-out prompts that each run answers at the end. Default: the settings' evaluation.prompts."),
      .flag("report", "Prints the table of the runs that have ended, and starts nothing."),
      .flag("dry-run", "Prints the runs and where each stands, and starts nothing."),
    ],
    operands: .many(name: "KEY=VALUE", summary: "Settings that win over the file, in all runs."),
    notes: [
      """
      fovea ablate --config configs/fundus.yaml --from runs/fundus-sft --run-directory runs/ablation
      fovea ablate --config configs/arithmetic.yaml --seeds 3 run.steps=20 \\
        --variant mild:algorithm.shaping.lambda=0.25 --variant "strong:algorithm.shaping.lambda=1"
      """,
      """
      The same command resumes the ablation: runs that have ended are skipped, the others resumed. Ctrl-C or
      SIGTERM: the open step ends and a checkpoint is made. A second one ends at once.
      """,
    ])

  static func run(_ arguments: ParsedArguments, host: ProcessHost) async throws -> ExitCode {
    let plan = try AblationPlan(
      config: arguments.required("config"), overrides: arguments.operands, variants: arguments.all("variant"),
      seedCount: try arguments.integer("seeds", in: 1...1000) ?? 5)
    let settings = plan.variants[0].settings
    // The checkpoint itself, so that it is verified once.
    let start = try arguments["from"].map(TrainPlan.model(of:))
    let dataset = try makeDataset(settings.task, seed: settings.run.seed)
    let evaluationSet = EvaluationSet(
      dataset, prompts: try arguments.integer("prompts", in: 1...Int.max) ?? settings.evaluation.prompts,
      settings: settings)
    let folder = try AblationFolder(
      arguments["run-directory"] ?? "\(settings.run.directory)/\(settings.run.name)-ablation", plan: plan, start: start,
      promptCount: evaluationSet.count)
    _ = try ModelLoader.describe(path: folder.start)
    let trainer = AblationTrainer(
      config: arguments.required("config"), start: start, settings: settings, evaluationSet: evaluationSet, host: host)
    if arguments.has("dry-run") {
      trainer.show(folder.described)
    } else if arguments.has("report") {
      trainer.show(try folder.report())
    } else {
      let code = try await AblationRunner(folder, host: trainer).run()
      if folder.runs.contains(where: { folder.figures(of: $0) == nil }) { trainer.show(["to resume: \(command)"]) }
      return ExitCode(rawValue: code) ?? .input
    }
    return .success
  }

  /// The words that started this process, as a shell takes them.
  private static var command: String {
    CommandLine.arguments.map { word in
      word.contains(#/[^A-Za-z0-9_.\/:=,+@-]/#) || word.isEmpty ? "'\(word.replacing("'", with: #"'\''"#))'" : word
    }.joined(separator: " ")
  }
}
