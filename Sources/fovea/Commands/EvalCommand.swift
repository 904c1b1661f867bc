import Console
import Core
import Foundation
import Imaging
import Settings
import Tasks
import Wire

/// `fovea eval`: accuracy on the held-out split of a task, with the same prompts, sampling and scoring as a run's own
/// evaluations.
enum EvalCommand: Command {
  static let specification = CommandSpecification(
    "eval", "Measures accuracy on the held-out split of a task, greedily.",
    options: [
      .option("config", "FILE", "Settings: the task, its data, and how long an answer may be.", required: true),
      .option(
        "model", "M", "A Hugging Face folder (a checkpoint is one) or a GGUF file. Default: the settings' model."),
      .option("prompts", "N", "Held-out prompts to ask. Default: the settings' evaluation.prompts."),
      .option("output", "FILE", "Writes a JSON line for each prompt: completion, reference, accuracy, format."),
      .option("slots", "N", "Samples decoded at once. Default: the settings' rollout.slots."),
      .option("threads", "N", "Kernel threads. Default: all cores."),
      .flag("json", "Prints JSON instead of a sentence."),
    ],
    operands: .many(name: "KEY=VALUE", summary: "Settings that win over the file."))

  static func run(_ arguments: ParsedArguments, host: ProcessHost) async throws -> ExitCode {
    let settings = try SettingsFile.load(path: arguments.required("config"), overrides: arguments.operands)
    let dataset = try makeDataset(settings.task, seed: settings.run.seed)
    let wanted = try arguments.integer("prompts", in: 1...Int.max) ?? settings.evaluation.prompts
    let count = min(wanted, dataset.heldOutCount)
    let slots = try arguments.integer("slots", in: 1...4096) ?? settings.rollout.slots
    let pool = ThreadPool(threads: try arguments.threads())
    let output = try arguments["output"].map(OutputFile.init(path:))
    let model = try ModelLoader.load(path: arguments["model"] ?? settings.model.path)
    let processor = try PromptProcessor(model.description, place: arguments["model"] ?? settings.model.path)
    let decoder = Decoder(config: model.description.config, precision: settings.model.precision, pool: pool)
    decoder.load(model.parameters)
    let engine = GenerationEngine(
      decoder: decoder, slotCount: slots, bytesOfToken: { model.description.tokenizer.bytes(of: $0) })

    let started = MonotonicClock.now()
    var sums = (accuracy: 0.0, format: 0.0)
    var (submitted, done) = (0, 0)
    var lines: [UInt64: JSON] = [:]
    let terminal = TerminalOutput()
    while done < count {
      while submitted < count, engine.freeSlotCount > 0 {
        let prompt = dataset.heldOutPrompt(at: submitted)
        try engine.submit(request(submitted, prompt, settings, model.description, processor))
        submitted += 1
      }
      for completion in engine.step() {
        let prompt = dataset.heldOutPrompt(at: Int(completion.request))
        let text = model.description.tokenizer.decode(completion.tokens, skipSpecial: true)
        let score = Scorer.score(text: text, prompt.reward)
        sums.accuracy += Double(score.accuracy)
        sums.format += Double(score.format)
        done += 1
        if output != nil { lines[completion.request] = line(completion, text, prompt, score.accuracy, score.format) }
        if terminal.isTerminal, !arguments.has("json") { terminal.write("\r\(done)/\(count) prompts\u{1B}[K") }
      }
    }
    for (_, line) in lines.sorted(by: { $0.key < $1.key }) { try output?.write(line) }
    let seconds = Double(MonotonicClock.now() - started) / 1000
    let (accuracy, format) = (sums.accuracy / Double(count), sums.format / Double(count))
    if arguments.has("json") {
      let json = JSON.object([
        "heldout_accuracy": .number(accuracy), "heldout_format": .number(format),
        "heldout_prompts": .integer(Int64(count)), "heldout_seconds": .number(seconds),
      ])
      terminal.write(String(decoding: json.serialized(), as: UTF8.self) + "\n")
    } else {
      terminal.write(
        (terminal.isTerminal ? "\r\u{1B}[K" : "")
          + String(
            format: "accuracy %.4f, format %.4f on %d held-out prompts of %@ (%.1f s)\n", accuracy, format, count,
            settings.task.name, seconds))
    }
    return .success
  }

  private static func request(
    _ index: Int, _ prompt: Prompt, _ settings: RunSettings, _ model: ModelDescription, _ processor: PromptProcessor
  ) throws -> GenerationRequest {
    let encoded = try processor.encode(prompt.messages, images: prompt.images, place: "held-out prompt \(prompt.id)")
    return GenerationRequest(
      id: UInt64(index), promptTokens: encoded.tokens,
      key: SampleKey(seed: settings.run.seed, step: 0, prompt: prompt.id, sample: 0), sampleCount: 1,
      sampling: SamplingSettings(temperature: 0, maxNewTokens: settings.rollout.sampling.maxNewTokens),
      stopTokens: model.stopTokens, stopStrings: settings.rollout.stopStrings, images: encoded.images)
  }

  private static func line(
    _ completion: Completion, _ text: String, _ prompt: Prompt, _ accuracy: Float, _ format: Float
  ) -> JSON {
    .object([
      "prompt": .integer(Int64(clamping: prompt.id)),
      "question": .string(prompt.messages.last?.content ?? ""), "completion": .string(text),
      "reference": .string(prompt.reward.reference), "accuracy": .number(Double(accuracy)),
      "format": .number(Double(format)), "tokens": .integer(Int64(completion.tokens.count)),
      "finish": .string(completion.finish == .stop ? "stop" : "length"),
    ])
  }
}
