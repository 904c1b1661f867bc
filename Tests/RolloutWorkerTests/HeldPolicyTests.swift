import Architecture
import Engine
import Foundation
import FoveaTesting
import Layers
import Model
import ModelFiles
import Prompts
import RolloutWorker
import Support
import Tensor
import Testing
import Wire

/// A worker holds its weights once: packed. What it was sent can be read back of them, and the next version arrives as
/// a difference to that.
@Suite struct HeldPolicyTests {
  private static let fixtures = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Fixtures")

  /// A decoder, and encoders with parameters that are kept only (`llava_clip`) or have more than two dimensions.
  private static func config(_ name: String) throws -> ModelConfig {
    if name == "text" { return SmallModel.config }
    let files = try [
      "config.json": "vision/\(name)/config.json", "tokenizer.json": "modelfiles/tokenizer.json",
    ].mapValues { try [UInt8](Data(contentsOf: fixtures.appendingPathComponent($0))) }
    return try ModelDescription(files: files, place: name).config
  }

  private static func payload(_ version: UInt64, _ weights: ParameterSet, _ precision: Precision) -> WeightsPayload {
    WeightsPayload(
      version: PolicyVersion(version), parameters: weights, precision: precision, files: [:], chunkByteCount: 1088)
  }

  private static func bytes(_ weights: some HeldWeights, _ range: Range<Int>) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
      weights.copyPayload(
        range, into: UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<range.count]))
      count = range.count
    }
  }

  /// Versions 1 to 3 over a line without faults, each loaded into the same decoder.
  @Test(
    "What was loaded is read back bit for bit",
    arguments: ["text", "llava_clip", "internvl", "llava_siglip"], Precision.allCases)
  func whatWasLoadedIsReadBackBitForBit(_ name: String, _ precision: Precision) throws {
    let config = try Self.config(name)
    let decoder = Decoder(config: config, precision: precision, pool: ThreadPool(threads: 2))
    let publisher = WeightsPublisher()
    var fetcher = WeightsFetcher()
    var weights = SmallModel.parameters(config: config, seed: 51)
    var differences = 0
    for version in 1...3 as ClosedRange<UInt64> {
      let sent = Self.payload(version, weights, precision)
      publisher.publish(
        version: PolicyVersion(version), parameters: weights, precision: precision, files: [:], chunkByteCount: 1088)
      var effects = fetcher.on(.announced(PolicyVersion(version)), now: 0)
      var fetched: FetchedWeights?
      while fetched == nil {
        let answers = effects.flatMap { effect -> [Message] in
          if case .send(let message) = effect { publisher.answers(to: message) } else { [] }
        }
        try #require(!answers.isEmpty)
        effects = answers.flatMap { answer in
          if case .chunk(let chunk) = answer, chunk.encoding == .differenceZstd { differences += 1 }
          return fetcher.on(.received(answer), now: 0)
        }
        for case .finished(let weights) in effects { fetched = weights }
      }
      var loader = PolicyLoader(manifest: sent.manifest, decoder: decoder)
      fetched!.consume { loader.load($0, $1) }
      let held = loader.finished()
      let size = Int(sent.manifest.payloadByteCount)
      #expect(Self.bytes(held, 0..<size) == Self.bytes(sent, 0..<size), "version \(version)")
      for start in stride(from: 0, to: size - 400, by: 997 * 64) {
        #expect(Self.bytes(held, start..<start + 384) == Self.bytes(sent, start..<start + 384), "at \(start)")
      }
      _ = fetcher.on(.loaded(held), now: 0)
      let next = ParameterSet(config: config)
      for i in 0..<next.values.count { next.values.pointer[i] = weights.values.pointer[i] * (i % 40 == 0 ? 1.01 : 1) }
      weights = next
    }
    #expect(differences > 0)
  }

  /// Weights packed in parts compute as those that were packed at once.
  @Test("A policy loaded version by version computes the same bits as one loaded at once")
  func aLoadedPolicyComputesAsTheSameWeightsLoadedAtOnce() throws {
    let weights = SmallModel.parameters(seed: 52)
    let sent = Self.payload(1, weights, .bfloat16)
    let pool = ThreadPool(threads: 1)
    func complete(_ decoder: Decoder) throws -> [Completion] {
      let engine = GenerationEngine(decoder: decoder, slotCount: 4, bytesOfToken: { _ in [] })
      try engine.submit(
        GenerationRequest(
          id: 1, promptTokens: [3, 1, 4, 1, 5], key: SampleKey(seed: 1, step: 1, prompt: 1, sample: 0), sampleCount: 4,
          sampling: SamplingSettings(maxNewTokens: 20), stopTokens: []))
      var done: [Completion] = []
      while !engine.isIdle { done += engine.step() }
      return done.sorted { $0.sample < $1.sample }
    }
    let parts = Decoder(config: SmallModel.config, precision: .bfloat16, pool: pool)
    var loader = PolicyLoader(manifest: sent.manifest, decoder: parts)
    for index in 0..<sent.manifest.chunkCount {
      let range = sent.manifest.range(ofChunk: index)
      Self.bytes(sent, range).withUnsafeBytes { loader.load(range, $0) }
    }
    _ = loader.finished()
    let whole = Decoder(config: SmallModel.config, precision: .bfloat16, pool: pool)
    whole.load(weights)
    #expect(try complete(parts) == complete(whole))
  }
}
