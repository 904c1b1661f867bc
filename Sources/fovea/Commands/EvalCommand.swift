import Console
import Evaluation
import Foundation
import Layers
import ModelFiles
import Prompts
import Settings
import Support
import Tasks
import Wire

/// `fovea eval`: any number of models and servers on the held-out split of a task, with the same prompts, greedy
/// sampling and scoring as a run's own evaluations, in one table.
enum EvalCommand: Command {
  static let specification = CommandSpecification(
    "eval", "Evaluates models or servers on the held-out split of a task, greedily, and compares their scores.",
    options: [
      .option("config", "FILE", "Settings: the task, its data, and how long an answer may be.", required: true),
      .list(
        "model", "M",
        "A run (its best checkpoint, else its last), a Hugging Face folder or a GGUF file. May be given several times. "
          + "Default: the settings' model."),
      .list(
        "endpoint", "URL",
        "A server that speaks OpenAI's chat completions: http://HOST:PORT/v1, or http://HOST:PORT/v1#MODEL. May be given "
          + "several times. FOVEA_API_KEY in the environment goes to it."),
      .option("prompts", "N", "Held-out prompts to ask. Default: the settings' evaluation.prompts."),
      .option("output", "FILE", "Writes a JSON line for each answer: model, prompt, completion, reference, scores."),
      .option("slots", "N", "Prompts answered at once. Default: the settings' rollout.slots; 8 for a server."),
      .option("replicates", "N", "Bootstrap replicates of the 95 % intervals. Default: 1000."),
      .option("threads", "N", "Kernel threads. Default: all cores."),
      .flag("json", "Prints JSON instead of a table."),
    ],
    operands: .many(name: "KEY=VALUE", summary: "Settings that win over the file."),
    notes: [
      """
      fovea eval --config configs/fundus.yaml --model runs/sft --model runs/train --output answers.jsonl
      fovea eval --config configs/fundus.yaml --model runs/train --endpoint http://127.0.0.1:8000/v1
      """,
      "The answers are the greedy ones, so the table is the same whenever it is made again.",
    ])

  static func run(_ arguments: ParsedArguments, host: ProcessHost) async throws -> ExitCode {
    let settings = try SettingsFile.load(path: arguments.required("config"), overrides: arguments.operands)
    let dataset = try makeDataset(settings.task, seed: settings.run.seed)
    let wanted = try arguments.integer("prompts", in: 1...Int.max) ?? settings.evaluation.prompts
    let evaluationSet = EvaluationSet(dataset, prompts: wanted, settings: settings)
    let bootstrap = Bootstrap(
      seed: settings.run.seed, replicateCount: try arguments.integer("replicates", in: 1...1_000_000) ?? 1000)
    let candidates = try candidates(arguments, settings)
    let output = try arguments["output"].map(OutputFile.init(path:))
    let terminal = TerminalOutput()
    let line = ProgressLine(isQuiet: arguments.has("json"))

    var results: [(name: String, answers: [Answer])] = []
    for candidate in candidates {
      let answers = try candidate.open().answers(evaluationSet) {
        line.show("\(candidate.name): \($0)/\(evaluationSet.count) prompts")
      }
      for answer in answers { try output?.write(json(candidate.name, answer)) }
      results.append((candidate.name, answers))
    }
    line.clear()
    let scoreboard = Scoreboard(results, bootstrap: bootstrap)
    if arguments.has("json") {
      terminal.write(String(decoding: json(scoreboard, results).serialized(), as: UTF8.self) + "\n")
    } else {
      terminal.write(scoreboard.lines.joined(separator: "\n") + "\n")
    }
    return .success
  }

  /// A model to evaluate, opened when its turn comes, so that one is in memory at a time.
  private struct Candidate {
    var name: String
    var open: () throws -> any EvaluatedModel
  }

  private static func candidates(_ arguments: ParsedArguments, _ settings: RunSettings) throws -> [Candidate] {
    let pool = ThreadPool(threads: try arguments.threads())
    let slots = try arguments.integer("slots", in: 1...4096)
    let endpoints = try arguments.all("endpoint").map { url in
      let endpoint = try ChatEndpoint(
        url, key: ProcessInfo.processInfo.environment["FOVEA_API_KEY"], parallel: slots ?? 8)
      return Candidate(name: endpoint.model) { endpoint }
    }
    var paths = arguments.all("model")
    if paths.isEmpty, endpoints.isEmpty { paths = [settings.model.path] }
    let models = try paths.map { path in
      let found = try TrainPlan.model(of: path)
      _ = try ModelLoader.describe(path: found)
      return Candidate(name: path) {
        try LocalModel(
          path: found, precision: settings.model.precision, pool: pool, slots: slots ?? settings.rollout.slots)
      }
    }
    return models + endpoints
  }

  private static func json(_ scoreboard: Scoreboard, _ results: [(name: String, answers: [Answer])]) -> JSON {
    .object([
      "metrics": .array(results.map { .object($0.answers.metrics.mapValues { .number($0) }) }),
      "scoreboard": scoreboard.json,
    ])
  }

  private static func json(_ name: String, _ answer: Answer) -> JSON {
    .object([
      "model": .string(name), "prompt": .integer(Int64(clamping: answer.prompt.id)),
      "modality": answer.prompt.annotation.modality.map { .string($0) } ?? .null,
      "domain": answer.prompt.annotation.domain.map { .string($0) } ?? .null,
      "questions": .string(answer.prompt.reward.kind),
      "question": .string(answer.prompt.messages.last?.content ?? ""), "completion": .string(answer.text),
      "reference": .string(answer.prompt.reward.reference), "accuracy": .number(Double(answer.accuracy)),
      "format": .number(Double(answer.format)), "tokens": answer.tokenCount.map { .integer(Int64($0)) } ?? .null,
      "finish": .string(answer.finish == .stop ? "stop" : "length"),
    ])
  }
}
