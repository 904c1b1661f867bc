import Core
import Foundation
import Testing

/// Forward passes in fp32 against PyTorch.
@Suite(.serialized) struct ModelOracleTests {
  @Test(arguments: TinyModel.allCases)
  func everyFamilysLogitsAgreeAtEveryPosition(_ tiny: TinyModel) throws {
    let decoder = Decoder(config: tiny.config, precision: .float32, pool: ThreadPool(threads: 2))
    decoder.load(try tiny.parameters())
    for (tokens, logits) in try tiny.expected() {
      let error = relativeError(decoder.logitsOfEveryPosition(tokens), logits)
      #expect(error < 1e-4, "\(tokens.count) tokens: relative error \(error)")
    }
  }

  @Test(arguments: TinyModel.allCases)
  func bfloat16StaysNearTheExactLogits(_ tiny: TinyModel) throws {
    let decoder = Decoder(config: tiny.config, precision: .bfloat16, pool: ThreadPool(threads: 2))
    decoder.load(try tiny.parameters())
    for (tokens, logits) in try tiny.expected() {
      let error = relativeError(decoder.logitsOfEveryPosition(tokens), logits)
      #expect(error < 0.05, "\(tokens.count) tokens: relative error \(error)")
    }
  }

  @Test(.enabled(if: ModelOracle.defaultModelPath != nil, ModelOracle.needsDefaultModel))
  func theDefaultModelsLogitsLogProbabilitiesAndEntropiesAgree() throws {
    let loaded = try ModelLoader.load(path: try #require(ModelOracle.defaultModelPath))
    let decoder = Decoder(config: loaded.description.config, precision: .float32, pool: ThreadPool(threads: 2))
    decoder.load(loaded.parameters)
    let vocabulary = loaded.description.config.vocabularySize
    var worst = (logit: Float(0), logProbability: Float(0), entropy: Float(0))
    for expected in ModelOracle.defaultModel.cases {
      let logits = decoder.logitsOfEveryPosition(expected.tokens)
      let last = logits.suffix(vocabulary)
      let strided = stride(from: 0, to: vocabulary, by: ModelOracle.defaultModel.logitStride).map {
        last[last.startIndex + $0]
      }
      let top = expected.topTokens.map { last[last.startIndex + $0] }
      worst.logit = max(
        worst.logit, largestDifference(strided, expected.stridedLogits), largestDifference(top, expected.topLogits))

      let rows = expected.tokens.indices.map { distribution(logits[$0 * vocabulary..<($0 + 1) * vocabulary]) }
      let logProbabilities = zip(rows.dropLast(), expected.tokens.dropFirst()).map { row, token in
        Float(Double(logits[row.start + Int(token)]) - row.logSum)
      }
      worst.logProbability = max(
        worst.logProbability, largestDifference(logProbabilities, expected.logProbabilities))
      worst.entropy = max(worst.entropy, largestDifference(rows.map { Float($0.entropy) }, expected.entropies))
    }
    print("default model in fp32, 20 prompts: largest differences from PyTorch: \(worst)")
    #expect(worst.logit < 2e-3)
    #expect(worst.logProbability < 2e-3)
    #expect(worst.entropy < 2e-3)
  }

  @Test(.enabled(if: ModelOracle.defaultModelPath != nil, ModelOracle.needsDefaultModel))
  func theDefaultModelsTokenIdsAgree() throws {
    let tokenizer = try ModelLoader.describe(path: try #require(ModelOracle.defaultModelPath)).tokenizer
    for expected in ModelOracle.defaultModel.cases {
      #expect(tokenizer.encode(expected.text) == expected.tokens)
      #expect(tokenizer.decode(expected.tokens) == expected.text)
    }
  }

  @Test(.enabled(if: ModelOracle.defaultModelPath != nil, ModelOracle.needsDefaultModel))
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

  private func largestDifference(_ a: [Float], _ b: [Float]) -> Float {
    precondition(a.count == b.count, "\(a.count) values, \(b.count) expected")
    return zip(a, b).reduce(0) { max($0, abs($1.0 - $1.1)) }
  }

  /// Where the row starts, the logarithm of its sum of exponentials, and its entropy in nats, in double precision.
  private func distribution(_ logits: ArraySlice<Float>) -> (start: Int, logSum: Double, entropy: Double) {
    let largest = Double(logits.max() ?? 0)
    var sum = 0.0
    var weighted = 0.0
    for logit in logits {
      let shifted = Double(logit) - largest
      let power = exp(shifted)
      sum += power
      weighted += power * shifted
    }
    return (logits.startIndex, largest + log(sum), log(sum) - weighted / sum)
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
      logits(states.units(at: 0), count: tokens.count, into: buffer.baseAddress!)
      initialized = count
    }
  }
}
