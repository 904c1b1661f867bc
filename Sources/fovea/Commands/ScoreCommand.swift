import Architecture
import Console
import Foundation
import Layers
import ModelFiles
import Support
import Tensor
import Tokenizers
import Training

/// `fovea score`: how probable a model finds a text, token by token.
enum ScoreCommand: Command {
  static let specification = CommandSpecification(
    "score", "Prints the log-probability and the entropy of each token of a text, in nats.",
    options: [
      .option("model", "M", "A Hugging Face folder or a GGUF file.", required: true),
      .option("text", "FILE", "The text to score.", required: true),
      .option("precision", "P", "float32 (default: comparable with other programs) or bfloat16 (as in rollouts)."),
      .option("threads", "N", "Kernel threads. Default: all cores."),
      .flag("json", "Prints JSON: tokens, and for each but the first log_probabilities and entropies."),
    ])

  static func run(_ arguments: ParsedArguments, host: ProcessHost) async throws -> ExitCode {
    let precision = try arguments.precision(default: .float32)
    let pool = ThreadPool(threads: try arguments.threads())
    let text = try Files.read(
      arguments.required("text"), operation: "read text", byteCountMax: 64 << 20, acceptsPipes: true)
    let model = try ModelLoader.load(path: arguments.required("model"))
    let tokens = model.description.tokenizer.encode(bytes: text)
    guard 2...model.description.config.maxPositions ~= tokens.count else {
      throw InputError(
        "score text", at: arguments.required("text"),
        expected: "2 to \(model.description.config.maxPositions) tokens, the model's positions",
        found: "\(tokens.count)")
    }
    let scorer = TrainingModel(
      config: model.description.config, parameters: model.parameters, precision: precision, pool: pool, trainable: false
    )
    let group = TrainingGroup(promptTokens: [tokens[0]], completions: [Array(tokens.dropFirst())])
    let scores = scorer.score([group], temperature: 1)[0][0]
    arguments.has("json")
      ? writeJSON(tokens, scores) : writeTable(tokens, scores, model.description.tokenizer)
    return .success
  }

  private static func writeJSON(_ tokens: [Int32], _ scores: SequenceScores) {
    func numbers(_ values: [Float]) -> JSON { .array(values.map { $0.isFinite ? .number(Double($0)) : .null }) }
    let json = JSON.object([
      "tokens": .array(tokens.map { .integer(Int64($0)) }), "log_probabilities": numbers(scores.logProbabilities),
      "entropies": numbers(scores.entropies),
    ])
    TerminalOutput().write(String(decoding: json.serialized(), as: UTF8.self) + "\n")
  }

  private static func writeTable(_ tokens: [Int32], _ scores: SequenceScores, _ tokenizer: Tokenizer) {
    var text = "   token  log-prob   entropy  text\n"
    for (index, token) in tokens.enumerated() {
      let figures =
        index == 0
        ? "         -         -"
        : String(format: "%10.4f%10.4f", scores.logProbabilities[index - 1], scores.entropies[index - 1])
      text += String(format: "%8d", token) + figures + "  " + StyledLine(tokenizer.decode([token])).text + "\n"
    }
    let sum = scores.logProbabilities.reduce(0.0) { $0 + Double($1) }
    text += String(
      format: "%d tokens, log-probability %.4f, perplexity %.3f\n", tokens.count, sum,
      exp(-sum / Double(scores.logProbabilities.count)))
    TerminalOutput().write(text)
  }
}

extension ParsedArguments {
  /// `--precision`, by the settings' words.
  func precision(default: Precision) throws -> Precision {
    guard let text = self["precision"] else { return `default` }
    guard let precision = Precision(rawValue: text) else {
      throw UsageError(
        "--precision takes \(Precision.allCases.map(\.rawValue).joined(separator: " or ")), not \"\(text)\"")
    }
    return precision
  }

  /// `--threads`; all cores when it is not given.
  func threads() throws -> Int {
    try integer("threads", in: 1...1024) ?? ProcessInfo.processInfo.activeProcessorCount
  }
}
