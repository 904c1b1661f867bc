import Console
import Experiments
import Layers
import Learner
import Prompts
import Reinforcement
import Runs
import Settings
import Support
import Tasks
import Wire

/// `fovea explain`: the next step of a run, one prompt of it in full: completions, token entropies as colours, tau,
/// omega, advantages before and after.
enum ExplainCommand: Command {
  static let specification = CommandSpecification(
    "explain",
    "Shows how one group's advantages come about: token entropies as colours, tau, omega, A before and after.",
    options: [
      .option(
        "model", "M",
        "A run (its best checkpoint, else its last), one checkpoint of it, a Hugging Face folder or a GGUF file. Default: "
          + "the settings' model."),
      .option("config", "FILE", "Settings. Default: those of the run that --model is or lies in."),
      .option(
        "prompt", "N",
        "Which prompt of the step, from 1. Default: the first whose completions lie in the most quadrants of certainty and "
          + "reward."),
      .option("svg", "FILE", "Writes an image too."),
      .option("slots", "N", "Samples decoded at once. Default: the settings' rollout.slots."),
      .option("threads", "N", "Kernel threads. Default: all cores."),
      .flag("json", "Prints JSON instead."),
    ],
    operands: .many(name: "KEY=VALUE", summary: "Settings that win over the file."),
    notes: [
      """
      fovea explain --model runs/arithmetic-1
      fovea explain --model runs/arithmetic-1/checkpoints/step-000020 --prompt 3 --svg step.svg
      fovea explain --config configs/arithmetic.yaml rollout.prompts_per_step=4
      """,
      "For a checkpoint of fovea train it is the run's next step, with its tau and the very batch that the run trains on. Any "
        + "other model is taken as the beginning of a run. Nothing is trained, and the same call shows the same.",
    ])

  static func run(_ arguments: ParsedArguments, host: ProcessHost) async throws -> ExitCode {
    let settings = try SettingsFile.load(path: settingsPath(arguments), overrides: arguments.operands)
    let model = try arguments["model"].map(TrainPlan.model(of:)) ?? settings.model.path
    let start = try start(model)
    let wanted = try arguments.integer("prompt", in: 1...Int.max)
    let slots = try arguments.integer("slots", in: 1...4096) ?? settings.rollout.slots
    let pool = ThreadPool(threads: try arguments.threads())
    let terminal = TerminalOutput()
    let progress = ProgressLine(terminal, isQuiet: arguments.has("json"))
    let step = try DryRunStep(
      settings: settings, model: model, start: start, slots: slots, pool: pool, progress: progress.show)
    progress.clear()
    let count = step.batch.groups.count
    let group = wanted.map { $0 - 1 } ?? step.mostInstructiveGroup
    guard group < count else {
      throw InputError("explain a step", at: "--prompt", expected: "1 to \(count)", found: "\(group + 1)")
    }
    let page = page(step, group: group, settings: settings)
    if let path = arguments["svg"] { try Files.write(Array(ExplanationDrawing.svg(page).utf8), to: path) }
    if arguments.has("json") {
      let json = json(step, group: group, page: page)
      terminal.write(String(decoding: json.serialized(pretty: true), as: UTF8.self) + "\n")
    } else {
      let width = min(terminal.size.columns, 120)
      for line in page.lines(width: width) { terminal.write(line.rendered(colour: terminal.colour) + "\n") }
    }
    return .success
  }

  /// The settings of the run that the model is, or lies in, where none are named.
  private static func settingsPath(_ arguments: ParsedArguments) throws -> String {
    if let path = arguments["config"] { return path }
    guard let model = arguments["model"] else {
      throw UsageError(
        "fovea explain needs --model RUN or --config FILE", hint: "fovea help explain shows how it is used")
    }
    let candidates = [model, "\(model)/../.."].map { RunDirectory.at($0).settingsPath }
    guard let path = candidates.first(where: { Files.exists($0) }) else {
      throw UsageError("\(model) is no run and no checkpoint of one: fovea explain needs --config FILE")
    }
    return path
  }

  /// The state of the run that a checkpoint belongs to; a run's beginning for any other model, and for what the stages
  /// before reinforcement learning have trained.
  private static func start(_ model: String) throws -> TrainerState {
    let state = try CheckpointStore.stateIfCheckpoint(model)
    return state.flatMap { $0.threshold == nil ? nil : $0 } ?? TrainerState()
  }

  private static func page(_ step: DryRunStep, group: Int, settings: RunSettings) -> ExplanationPage {
    let members = step.batch.groups[group]
    let prompt = step.prompts[members.prompt]
    let count = step.batch.groups.count
    return ExplanationPage(
      title: "\(settings.run.name), step \(step.batch.step + 1), prompt \(group + 1) of \(count)",
      question: (prompt?.messages.last?.content ?? "").replacing(PromptImage.placeholder, with: ""),
      reference: prompt?.reward.reference ?? "", images: members.images.map { Array($0.bytes) },
      notice: TaskDefinition.named(settings.task.name)?.notice,
      tokenTexts: members.rollouts.map(step.tokenTexts),
      group: step.plan.explanation(of: group, in: step.batch.groups, thresholdBefore: step.thresholdBefore),
      advantage: settings.algorithm.advantage, shaping: settings.algorithm.shaping)
  }

  private static func json(_ step: DryRunStep, group: Int, page: ExplanationPage) -> JSON {
    func number(_ value: Float) -> JSON { .number(Double(value)) }
    let samples = page.group.samples.enumerated().map { index, sample in
      JSON.object([
        "text": .string(step.batch.groups[group].rollouts[index].text),
        "tokens": .array(page.tokenTexts[index].map { .string($0) }),
        "entropies": .array(sample.entropies.map(number)), "entropy": number(sample.meanEntropy),
        "omega": number(sample.weight), "quadrant": sample.quadrant.map { .string($0.rawValue) } ?? .null,
        "reward": number(sample.reward), "advantage": number(sample.advantage),
        "shaped": .array(sample.shaped.map(number)),
      ])
    }
    return .object([
      "step": .integer(Int64(step.batch.step) + 1), "prompt": .integer(Int64(group + 1)),
      "prompts": .integer(Int64(page.group.batchGroupCount)), "samples": .integer(Int64(page.group.batchSampleCount)),
      "question": .string(page.question), "reference": .string(page.reference),
      "entropy": number(page.group.batchMeanEntropy), "tau_before": page.group.thresholdBefore.map(number) ?? .null,
      "tau": number(page.group.threshold), "completions": .array(samples),
    ])
  }
}
