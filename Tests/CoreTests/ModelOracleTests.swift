import Architecture
import Engine
import Foundation
import Layers
import Model
import ModelFiles
import Prompts
import Support
import Tensor
import Testing
import Tokenizers

/// Forward passes in fp32 against PyTorch.
@Suite(.serialized) struct ModelOracleTests {
  @Test("Every family's logits agree at every position", arguments: TinyModel.allCases)
  func everyFamilysLogitsAgreeAtEveryPosition(_ tiny: TinyModel) throws {
    let decoder = Decoder(config: tiny.config, precision: .float32, pool: ThreadPool(threads: 2))
    decoder.load(try tiny.parameters())
    for (tokens, logits) in try tiny.expected() {
      let error = relativeError(decoder.logitsOfEveryPosition(tokens), logits)
      #expect(error < 1e-4, "\(tokens.count) tokens: relative error \(error)")
    }
  }

  @Test("Logits in bf16 stay near the exact ones", arguments: TinyModel.allCases)
  func bfloat16StaysNearTheExactLogits(_ tiny: TinyModel) throws {
    let decoder = Decoder(config: tiny.config, precision: .bfloat16, pool: ThreadPool(threads: 2))
    decoder.load(try tiny.parameters())
    for (tokens, logits) in try tiny.expected() {
      let error = relativeError(decoder.logitsOfEveryPosition(tokens), logits)
      #expect(error < 0.05, "\(tokens.count) tokens: relative error \(error)")
    }
  }

  /// Measured in fp32: logits within 8.4e-5.
  @Test(
    "The default model's logits, log-probabilities and entropies agree",
    .enabled(if: ModelOracle.defaultModelPath != nil, ModelOracle.needsDefaultModel))
  func theDefaultModelsLogitsLogProbabilitiesAndEntropiesAgree() throws {
    let differences = try DifferencesFromPyTorch(.float32)
    print("default model in fp32, 20 prompts: \(differences)")
    #expect(differences.logits.largest < 2e-3)
    #expect(differences.logProbabilities.largest < 2e-3)
    #expect(differences.entropies.largest < 2e-3)
  }

  @Test(
    "The default model's logits in bf16 stay near the exact ones",
    .enabled(if: ModelOracle.defaultModelPath != nil, ModelOracle.needsDefaultModel))
  func theDefaultModelInBfloat16StaysNear() throws {
    let differences = try DifferencesFromPyTorch(.bfloat16)
    print("default model in bf16, 20 prompts: \(differences)")
    #expect(differences.logProbabilities.mean < 0.05)
    #expect(differences.entropies.mean < 0.05)
  }

  @Test(
    "The default model's token ids agree",
    .enabled(if: ModelOracle.defaultModelPath != nil, ModelOracle.needsDefaultModel))
  func theDefaultModelsTokenIdsAgree() throws {
    let tokenizer = try ModelLoader.describe(path: try #require(ModelOracle.defaultModelPath)).tokenizer
    for expected in ModelOracle.defaultModel.cases {
      #expect(tokenizer.encode(expected.text) == expected.tokens)
      #expect(tokenizer.decode(expected.tokens) == expected.text)
    }
  }

  @Test(
    "Sixty-four greedy tokens are identical except at near ties",
    .enabled(if: ModelOracle.defaultModelPath != nil, ModelOracle.needsDefaultModel))
  func sixtyFourGreedyTokensAreIdenticalExceptAtNearTies() throws {
    let loaded = try ModelLoader.load(path: try #require(ModelOracle.defaultModelPath))
    let decoder = Decoder(config: loaded.description.config, precision: .float32, pool: ThreadPool(threads: 2))
    decoder.load(loaded.parameters)
    let cases = ModelOracle.defaultModel.cases
    let engine = GenerationEngine(decoder: decoder, slotCount: cases.count) { _ in [] }
    for (index, expected) in cases.enumerated() {
      try engine.submit(
        GenerationRequest(
          id: UInt64(index), promptTokens: expected.tokens,
          key: SampleKey(seed: 1, step: 0, prompt: UInt64(index), sample: 0), sampleCount: 1,
          sampling: SamplingSettings(temperature: 0, maxNewTokens: expected.greedyTokens.count), stopTokens: []))
    }
    var completions: [Completion] = []
    while !engine.isIdle { completions += engine.step() }
    #expect(completions.count == cases.count)
    var identical = 0
    for completion in completions {
      let expected = cases[Int(completion.request)]
      let pairs = zip(completion.tokens, expected.greedyTokens)
      guard let first = Array(pairs).firstIndex(where: { $0.0 != $0.1 }) else {
        identical += completion.tokens.count == expected.greedyTokens.count ? 1 : 0
        continue
      }
      #expect(expected.greedyMargins[first] < 2e-3, "\(expected.testDescription) differs at token \(first)")
    }
    print("default model in fp32: 64 greedy tokens identical to PyTorch's for \(identical) of \(cases.count) prompts")
    #expect(identical >= 18)
  }
}

/// How far the default model's figures lie from PyTorch's over the twenty prompts.
private struct DifferencesFromPyTorch: CustomStringConvertible {
  struct Differences {
    var largest = 0.0
    var sum = 0.0
    var count = 0
    var mean: Double { sum / Double(max(count, 1)) }

    mutating func add(_ actual: some Sequence<Double>, _ expected: [Float]) {
      for (a, b) in zip(actual, expected) {
        let difference = abs(a - Double(b))
        largest = max(largest, difference)
        sum += difference
        count += 1
      }
    }
  }
  /// At the last position of each prompt: strided, and the largest 32.
  var logits = Differences()
  /// Of the prompt's own tokens, nats.
  var logProbabilities = Differences()
  /// nats
  var entropies = Differences()

  init(_ precision: Precision) throws {
    let loaded = try ModelLoader.load(path: try #require(ModelOracle.defaultModelPath))
    let decoder = Decoder(config: loaded.description.config, precision: precision, pool: ThreadPool(threads: 2))
    decoder.load(loaded.parameters)
    let vocabulary = loaded.description.config.vocabularySize
    for expected in ModelOracle.defaultModel.cases {
      let all = decoder.logitsOfEveryPosition(expected.tokens)
      let rows = expected.tokens.indices.map { all[$0 * vocabulary..<($0 + 1) * vocabulary] }
      let last = Array(rows[rows.count - 1])
      let strided = stride(from: 0, to: vocabulary, by: ModelOracle.defaultModel.logitStride)
      logits.add(strided.map { Double(last[$0]) }, expected.stridedLogits)
      logits.add(expected.topTokens.map { Double(last[$0]) }, expected.topLogits)

      let distributions = rows.map(Self.distribution)
      entropies.add(distributions.map(\.entropy), expected.entropies)
      let ownTokens = zip(zip(rows, distributions), expected.tokens.dropFirst())
      logProbabilities.add(
        ownTokens.map { Double($0.0[$0.0.startIndex + Int($1)]) - $0.1.logSum }, expected.logProbabilities)
    }
    try #require(logits.count == 20 * (strideCount(vocabulary) + 32))
  }

  private func strideCount(_ vocabulary: Int) -> Int {
    (vocabulary + ModelOracle.defaultModel.logitStride - 1) / ModelOracle.defaultModel.logitStride
  }

  /// The logarithm of the sum of exponentials, and the entropy in nats, in double precision.
  private static func distribution(_ logits: ArraySlice<Float>) -> (logSum: Double, entropy: Double) {
    let largest = Double(logits.max() ?? 0)
    var sum = 0.0
    var weighted = 0.0
    for logit in logits {
      let shifted = Double(logit) - largest
      let power = exp(shifted)
      sum += power
      weighted += power * shifted
    }
    return (largest + log(sum), log(sum) - weighted / sum)
  }

  var description: String {
    let parts = [("logits", logits), ("log-probabilities", logProbabilities), ("entropies", entropies)]
    return parts.map { name, d in String(format: "\(name) differ by %.2g on average, %.2g at most", d.mean, d.largest) }
      .joined(separator: "; ")
  }
}

extension Decoder {
  /// Logits `[T, V]` of one sequence, prefilled alone.
  func logitsOfEveryPosition(_ tokens: [Int32]) -> [Float] {
    let cache = KeyValueCache(
      config: config, precision: precision, layerCount: config.layerCount,
      blockCount: KeyValueCache.blocks(for: tokens.count))
    var batch = RowBatch()
    let table = batch.addTable((0..<cache.blockCount).compactMap { _ in cache.take() })
    for (position, token) in tokens.enumerated() {
      batch.outputs.append(batch.addRow(token: token, position: position, table: table))
    }
    let states = forward(batch, cache: cache)
    let count = tokens.count * config.vocabularySize
    return [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      logits(states.words(at: 0), count: tokens.count, into: buffer.baseAddress!)
      initialized = count
    }
  }
}
