import Architecture
import Engine
import Layers
import Model
import Prompts
import Support
import Tensor
import Training

/// `fovea verify`: the claims of exactness, proven on this machine and this model, a line each.
///
/// Every claim compares bits that two different ways of computing gave: alone and in company, prefill and decode,
/// worker and learner, one thread and three, each instruction set that the processor has. Nothing is compared with
/// itself.
public struct Verification {
  /// A claim and whether it held.
  public struct Line: Sendable {
    public var claim: String
    public var holds: Bool
    /// The comparison, in words.
    public var detail: String
  }

  private let config: ModelConfig
  private let parameters: ParameterSet
  private let precision: Precision

  public init(config: ModelConfig, parameters: ParameterSet, precision: Precision) {
    self.config = config
    self.parameters = parameters
    self.precision = precision
  }

  /// Runs every proof; `report` gets each line as it is known.
  public func run(report: (Line) -> Void) throws {
    let one = decoder(threads: 1)
    let alone = try sample(one, slots: 1, company: 0)
    report(
      Line(
        claim: "a sample is the same alone and next to 6 others",
        holds: try sample(one, slots: 7, company: 6) == alone, detail: detail(alone)))
    report(
      Line(
        claim: "a sample is the same alone and next to 63 others that join and leave",
        holds: try sample(one, slots: 64, company: 63) == alone, detail: detail(alone)))
    report(
      Line(
        claim: "a prompt prefilled at once and token by token gives the same log-probabilities",
        holds: prefilled(one) == stepwise(one), detail: "\(prompt.count) tokens"))
    for threads in [2, 3] {
      report(
        Line(
          claim: "a sample is the same with 1 and with \(threads) threads",
          holds: try sample(decoder(threads: threads), slots: 7, company: 6) == alone, detail: detail(alone)))
    }
    for threads in [1, 2, 3] {
      report(
        Line(
          claim: "the learner gives the worker's log-probabilities and entropies, with \(threads) threads",
          holds: learned(alone, threads: threads) == worked(alone), detail: detail(alone)))
    }
    try verifyInstructionSets(expected: alone, report: report)
    try verifyQuantized(report: report)
  }

  private func verifyInstructionSets(expected: [Completion], report: (Line) -> Void) throws {
    let best = InstructionSet.active
    defer { best.force() }
    for set in InstructionSet.allCases where set != best {
      guard set.force() else {
        report(Line(claim: "\(set) gives the bits of \(best)", holds: true, detail: "this processor does not have it"))
        continue
      }
      // portable C is some fifty times slower: fewer tokens
      let tokens = set == .portable ? 2 : 8
      let short = try sample(decoder(threads: 2), slots: 2, company: 0, tokens: tokens)
      report(
        Line(claim: "\(set) gives the bits of \(best)", holds: starts(expected, with: short), detail: detail(short)))
    }
  }

  /// Whether the samples begin as shorter ones do.
  private func starts(_ samples: [Completion], with short: [Completion]) -> Bool {
    samples.count == short.count
      && zip(short, samples).allSatisfy { a, b in
        b.tokens.starts(with: a.tokens) && b.logProbabilities.starts(with: a.logProbabilities)
          && b.entropies.starts(with: a.entropies)
      }
  }

  /// The inexact path: it does not have the learner's bits, but every way of computing it has the same.
  private func verifyQuantized(report: (Line) -> Void) throws {
    let best = InstructionSet.active
    defer { best.force() }
    let decoder = decoder(threads: 1, .int8)
    let alone = try sample(decoder, slots: 1, company: 0)
    var holds = try sample(decoder, slots: 64, company: 63) == alone
    for threads in [2, 3] {
      holds = try holds && sample(self.decoder(threads: threads, .int8), slots: 7, company: 6) == alone
    }
    report(
      Line(
        claim: "an int8 sample is the same alone and next to 63 others, with 1, 2 and 3 threads", holds: holds,
        detail: detail(alone)))
    for set in InstructionSet.allCases where set != best && set.force() {
      let short = try sample(self.decoder(threads: 2, .int8), slots: 2, company: 0, tokens: set == .portable ? 2 : 8)
      report(
        Line(claim: "int8: \(set) gives the bits of \(best)", holds: starts(alone, with: short), detail: detail(short)))
    }
    best.force()
    let differences = zip(learned(alone, threads: 2), worked(alone)).map { abs($0 - $1) }
    let mean = differences.reduce(0) { $0 + Double($1) } / Double(differences.count)
    report(
      Line(
        claim: "int8 log-probabilities and entropies are near the learner's",
        holds: differences.allSatisfy(\.isFinite) && differences.contains { $0 > 0 },
        detail: "mean difference \(Float(mean)), largest \(differences.max() ?? 0) nats"))
  }

  // MARK: Ways of computing

  private let tokenCount = 24

  private var prompt: [Int32] { tokens(21, stream: 0) }

  private func tokens(_ count: Int, stream: UInt32) -> [Int32] {
    var random = RandomStream(seed: 3, purpose: .test, stream)
    return (0..<count).map { _ in Int32(random.integer(below: UInt64(config.vocabularySize))) }
  }

  private func decoder(threads: Int, _ rollout: RolloutPrecision = .exact) -> Decoder {
    let decoder = Decoder(
      config: config, precision: precision, rollout: rollout, pool: ThreadPool(threads: threads))
    decoder.load(parameters)
    return decoder
  }

  /// Two samples of the prompt, while `company` other requests of other lengths come and go.
  private func sample(
    _ decoder: Decoder, slots: Int, company: Int, tokens count: Int? = nil
  ) throws -> [Completion] {
    let engine = GenerationEngine(decoder: decoder, slotCount: slots, positions: 128, bytesOfToken: { _ in [] })
    func submit(_ id: UInt64, _ prompt: [Int32], _ samples: Int, _ length: Int) throws {
      try engine.submit(
        GenerationRequest(
          id: id, promptTokens: prompt, key: SampleKey(seed: 3, step: 1, prompt: id, sample: 0), sampleCount: samples,
          sampling: SamplingSettings(maxNewTokens: length), stopTokens: []))
    }
    var done: [Completion] = []
    for other in 0..<company {
      if other == company / 2 { try submit(0, prompt, 2, count ?? tokenCount) }
      try submit(UInt64(other + 1), tokens(1 + other * 7 % 60, stream: UInt32(other + 1)), 1, 1 + other * 5 % 40)
      if other % 8 == 7 { done += engine.step() }
    }
    if company == 0 { try submit(0, prompt, 2, count ?? tokenCount) }
    while !engine.isIdle { done += engine.step() }
    return done.filter { $0.request == 0 }.sorted { $0.sample < $1.sample }
  }

  /// Log-probabilities of the prompt's own tokens, from one forward pass.
  private func prefilled(_ decoder: Decoder) -> [Float] {
    scores(decoder, TrainingGroup(promptTokens: [prompt[0]], completions: [Array(prompt.dropFirst())]))
  }

  /// The same from one forward pass a token, over a cache that grows.
  private func stepwise(_ decoder: Decoder) -> [Float] {
    let blocks = KeyValueCache.blocks(for: prompt.count)
    let cache = KeyValueCache(
      config: config, precision: precision, layerCount: config.layerCount, blockCount: blocks)
    let table = (0..<blocks).map { _ in cache.take()! }
    var head = VocabularyLoss(decoder: decoder)
    return zip(prompt, prompt.dropFirst()).enumerated().flatMap { position, pair in
      var rows = RowBatch()
      let start = rows.addTable(table)
      rows.outputs.append(rows.addRow(token: pair.0, position: position, table: start))
      let states = decoder.forward(rows, cache: cache)
      return head.score(states, targets: [pair.1], temperature: 1).logProbabilities
    }
  }

  private func scores(_ decoder: Decoder, _ group: TrainingGroup) -> [Float] {
    let packed = PackedGroups([group], config: config)
    let cache = KeyValueCache(config: config, precision: precision, layerCount: 1, blockCount: packed.blockCount)
    var head = VocabularyLoss(decoder: decoder)
    return head.score(decoder.forward(packed.rows, cache: cache), targets: packed.targets, temperature: 1)
      .logProbabilities
  }

  private func learned(_ completions: [Completion], threads: Int) -> [Float] {
    let learner = TrainingModel(
      config: config, parameters: parameters, precision: precision, pool: ThreadPool(threads: threads),
      trainable: false)
    let group = TrainingGroup(promptTokens: prompt, completions: completions.map(\.tokens))
    let other = TrainingGroup(promptTokens: tokens(35, stream: 99), completions: [tokens(9, stream: 98)])
    return learner.score([other, group], temperature: 1)[1].flatMap { $0.logProbabilities + $0.entropies }
  }

  private func worked(_ completions: [Completion]) -> [Float] {
    completions.flatMap { $0.logProbabilities + $0.entropies }
  }

  private func detail(_ completions: [Completion]) -> String {
    "\(completions.count) samples, \(completions.reduce(0) { $0 + $1.tokens.count }) tokens"
  }
}
