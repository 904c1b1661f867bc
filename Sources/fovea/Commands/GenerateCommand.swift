import Architecture
import Console
import Engine
import Foundation
import Layers
import Model
import ModelFiles
import Processors
import Prompts
import Support
import Tensor
import Tokenizers

/// `fovea generate`: completions of a prompt, as they are sampled.
enum GenerateCommand: Command {
  static let specification = CommandSpecification(
    "generate", "Completes a prompt; one sample is shown as it grows.",
    options: [
      .option("model", "M", "A Hugging Face folder or a GGUF file.", required: true),
      .option("prompt", "TEXT", "What the model is asked.", required: true),
      .option("system", "TEXT", "A system prompt."),
      .option(
        "image", "FILE,...",
        "Images, JPEG or PNG, up to six, in the order of <image> in the prompt, or in front of it."),
      .option("samples", "N", "The number of samples. Default 1."),
      .option("temperature", "T", "0 takes the most probable token. Default 1."),
      .option("top-k", "K", "Keeps the K most probable tokens. Default: all."),
      .option("top-p", "P", "Keeps the most probable tokens of this mass. Default 1."),
      .option("min-p", "P", "Keeps tokens of at least this share of the most probable one. Default 0."),
      .option("max-tokens", "N", "The largest number of tokens of a sample. Default 256."),
      .option("seed", "N", "The same seed gives the same samples. Default 1."),
      .option("precision", "P", "bfloat16 (default) or float32."),
      .option("threads", "N", "Kernel threads. Default: all cores."),
      .flag("raw", "Takes the prompt as it is, without the chat template."),
      .flag("json", "Prints a JSON object for each completion."),
    ])

  static func run(_ arguments: ParsedArguments, host: ProcessHost) async throws -> ExitCode {
    let count = try arguments.integer("samples", in: 1...4096) ?? 1
    let sampling = try sampling(arguments)
    let seed = UInt64(try arguments.integer("seed", in: 0...Int.max) ?? 1)
    let pool = ThreadPool(threads: try arguments.threads())
    let precision = try arguments.precision(default: .bfloat16)
    let model = try ModelLoader.load(path: arguments.required("model"))
    let description = model.description
    let prompt = try prompt(arguments, description)
    guard 1..<description.config.maxPositions ~= prompt.tokens.count else {
      throw InputError(
        "generate", at: "--prompt", expected: "1 to \(description.config.maxPositions - 1) tokens",
        found: "\(prompt.tokens.count)")
    }
    let decoder = Decoder(config: description.config, precision: precision, pool: pool)
    decoder.load(model.parameters)
    let engine = GenerationEngine(
      decoder: decoder, slotCount: min(count, 64), positions: prompt.tokens.count + sampling.maxNewTokens,
      bytesOfToken: { description.tokenizer.bytes(of: $0) })
    try engine.submit(
      GenerationRequest(
        id: 0, promptTokens: prompt.tokens, key: SampleKey(seed: seed, step: 0, prompt: 0, sample: 0),
        sampleCount: count,
        sampling: sampling, stopTokens: description.stopTokens, images: prompt.images))
    let writer = CompletionWriter(
      tokenizer: description.tokenizer, streams: count == 1 && !arguments.has("json"), json: arguments.has("json"),
      showsNumbers: count > 1)
    while !engine.isIdle {
      let finished = engine.step()
      writer.show(partial: engine.tokens(of: 0, sample: 0))
      for completion in finished { writer.show(completion) }
    }
    return .success
  }

  private static func sampling(_ arguments: ParsedArguments) throws -> SamplingSettings {
    SamplingSettings(
      temperature: Float(try arguments.number("temperature", in: 0...100) ?? 1),
      topK: try arguments.integer("top-k", in: 0...Int(Int32.max)) ?? 0,
      topP: Float(try arguments.number("top-p", in: 0...1) ?? 1),
      minP: Float(try arguments.number("min-p", in: 0...1) ?? 0),
      maxNewTokens: try arguments.integer("max-tokens", in: 1...1_000_000) ?? 256)
  }

  private static func prompt(_ arguments: ParsedArguments, _ description: ModelDescription) throws -> EncodedPrompt {
    var text = arguments.required("prompt")
    let paths = arguments["image"].map { $0.split(separator: ",").map(String.init) } ?? []
    if arguments.has("raw") {
      guard paths.isEmpty else {
        throw InputError("generate", at: "--image", expected: "no images with --raw", found: "\(paths.count)")
      }
      return EncodedPrompt(tokens: description.tokenizer.encode(text, addSpecialTokens: true))
    }
    guard paths.count <= PromptImage.countMax else {
      throw InputError(
        "generate", at: "--image", expected: "at most \(PromptImage.countMax) images", found: "\(paths.count)")
    }
    let images = try paths.map {
      PromptImage(bytes: try Files.read($0, operation: "read image", byteCountMax: PromptImage.byteCountMax))
    }
    if PromptImage.placeholderCount(in: text) == 0 {
      text = String(repeating: PromptImage.placeholder, count: images.count) + text
    }
    var messages = [ChatMessage(role: "user", content: text)]
    if let system = arguments["system"] { messages.insert(ChatMessage(role: "system", content: system), at: 0) }
    return try PromptProcessor(description, place: arguments.required("model"))
      .encode(messages, images: images, place: "--image")
  }
}

/// Writes completions: one as it grows, or several each when it is done.
private final class CompletionWriter {
  private let tokenizer: Tokenizer
  private let streams: Bool
  private let json: Bool
  private let showsNumbers: Bool
  private let output = TerminalOutput()
  private var decoder: TokenStreamDecoder
  private var shown = 0

  init(tokenizer: Tokenizer, streams: Bool, json: Bool, showsNumbers: Bool) {
    self.tokenizer = tokenizer
    self.streams = streams
    self.json = json
    self.showsNumbers = showsNumbers
    decoder = TokenStreamDecoder(tokenizer, skipSpecial: true)
  }

  func show(partial tokens: [Int32]) {
    guard streams, tokens.count > shown else { return }
    output.write(decoder.push(tokens[shown...]))
    shown = tokens.count
  }

  func show(_ completion: Completion) {
    let text = tokenizer.decode(completion.tokens, skipSpecial: true)
    if streams {
      show(partial: completion.tokens)
      output.write(decoder.finish() + "\n")
    } else if json {
      let mean = completion.entropies.reduce(0, +) / Float(max(1, completion.entropies.count))
      let object = JSON.object([
        "sample": .integer(Int64(completion.sample)), "text": .string(text),
        "tokens": .array(completion.tokens.map { .integer(Int64($0)) }),
        "log_probabilities": .array(completion.logProbabilities.map { .number(Double($0)) }),
        "entropy": .number(Double(mean)), "finish": .string(completion.finish == .stop ? "stop" : "length"),
      ])
      output.write(String(decoding: object.serialized(), as: UTF8.self) + "\n")
    } else {
      output.write("\(showsNumbers ? "--- sample \(completion.sample)\n" : "")\(text)\n")
    }
  }
}
