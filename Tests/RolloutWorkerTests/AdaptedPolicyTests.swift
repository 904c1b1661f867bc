import Architecture
import Engine
import FoveaTesting
import Layers
import Model
import ModelFiles
import Prompts
import RolloutWorker
import Support
import Tensor
import Testing
import Training
import Wire

/// Adapters on their way to a worker: the base model once, then nothing but A and B; and the worker computes as the
/// learner.
@Suite struct AdaptedPolicyTests {
  /// A learner that trains an adapter, and the line to a worker without faults.
  private struct Learner {
    let adapter: LowRankAdapter
    let model: TrainingModel
    let publisher = WeightsPublisher()
    let precision: Precision

    init(_ precision: Precision, seed: UInt64 = 3, baseSeed: UInt64 = 61) throws {
      self.precision = precision
      var settings = AdapterSettings()
      settings.rank = 3
      let config = SmallModel.config
      let description = try #require(
        try settings.description(
          for: config, family: Llama(), parts: ModelPart.allCases, precision: precision, key: "model.lora"))
      adapter = try .random(description, config: config, seed: seed, place: "test")
      let base = SmallModel.parameters(config: config, seed: baseSeed)
      adapter.round(base)
      model = TrainingModel(
        config: config, parameters: base, adapter: adapter, precision: precision, pool: ThreadPool(threads: 1))
      publisher.publish(base: base, precision: precision, files: ["config.json": [1]], chunkByteCount: 1088)
    }

    /// Another version: every scalar is moved.
    func publish(_ version: UInt64) {
      publisher.settle()
      var random = RandomStream(seed: version, purpose: .test)
      for i in 0..<adapter.parameters.values.count {
        adapter.parameters.values.pointer[i] += 0.2 * (random.uniform() - 0.5)
      }
      for (index, parameter) in adapter.parameters.parameters.enumerated() {
        let end = index + 1 < adapter.parameters.offsets.count ? adapter.parameters.offsets[index + 1] : 0
        let begin = adapter.parameters.offsets[index] + parameter.count
        for i in stride(from: begin, to: end, by: 1) { adapter.parameters.values.pointer[i] = 0 }
      }
      model.weightsChanged()
      publisher.publish(
        version: PolicyVersion(version), parameters: adapter.parameters, adapter: adapter.description,
        precision: precision, files: ["config.json": [1]], chunkByteCount: 1088)
    }
  }

  /// What travelled until the next part was complete.
  private struct Delivery {
    var weights: FetchedWeights
    var chunkByteCount = 0
  }

  private func fetch(
    _ fetcher: inout WeightsFetcher, _ event: WeightsFetcher.Event, from publisher: WeightsPublisher
  ) throws -> Delivery {
    var effects = fetcher.on(event, now: 0)
    var byteCount = 0
    while true {
      for case .finished(let weights) in effects { return Delivery(weights: weights, chunkByteCount: byteCount) }
      let answers = effects.flatMap { effect -> [Message] in
        if case .send(let message) = effect { publisher.answers(to: message) } else { [] }
      }
      try #require(!answers.isEmpty)
      effects = answers.flatMap { answer in
        if case .chunk(let chunk) = answer { byteCount += chunk.bytes.count }
        return fetcher.on(.received(answer), now: 0)
      }
    }
  }

  @Test("The base is sent once, and after it nothing but the adapter", arguments: Precision.allCases)
  func theBaseTravelsOnceAndThenNothingButTheAdapter(_ precision: Precision) throws {
    let learner = try Learner(precision)
    var fetcher = WeightsFetcher()
    learner.publish(1)
    let base = try fetch(&fetcher, .announced(PolicyVersion(1)), from: learner.publisher)
    #expect(base.weights.manifest.part == .baseModel)
    #expect(base.weights.manifest.files == ["config.json": [1]])
    #expect(base.chunkByteCount == Int(base.weights.manifest.payloadByteCount))
    #expect(fetcher.version == nil)
    let decoder = Decoder(config: SmallModel.config, precision: precision, pool: ThreadPool(threads: 2))
    let payload = base.weights.payload()
    let adapted = AdaptedPolicy(payload)
    adapted.load(into: decoder)
    var event = WeightsFetcher.Event.loaded(payload)
    for version in 1...3 as ClosedRange<UInt64> {
      if version > 1 { learner.publish(version) }
      let next = try fetch(&fetcher, event, from: learner.publisher)
      let manifest = next.weights.manifest
      #expect(manifest.part == .policy)
      #expect(manifest.files.isEmpty)
      #expect(manifest.version == PolicyVersion(version))
      #expect(fetcher.version == PolicyVersion(version))
      // fp32, each tensor from a multiple of 64 bytes on
      let scalars = learner.adapter.parameters.values.count
      #expect(manifest.payloadByteCount == UInt64(4 * scalars))
      #expect(next.chunkByteCount <= 4 * scalars)
      let held = next.weights.payload()
      try adapted.load(held, into: decoder)
      try expectEqual(decoder, learner.model)
      #expect(fetcher.on(.loaded(held), now: 0).isEmpty)
      event = .announced(PolicyVersion(version + 1))
    }
  }

  /// The worker's samples have the learner's log-probabilities, bit for bit.
  private func expectEqual(_ decoder: Decoder, _ model: TrainingModel) throws {
    let engine = GenerationEngine(decoder: decoder, slotCount: 4, bytesOfToken: { _ in [] })
    let prompt: [Int32] = [3, 1, 4, 1, 5]
    try engine.submit(
      GenerationRequest(
        id: 1, promptTokens: prompt, key: SampleKey(seed: 1, step: 1, prompt: 1, sample: 0), sampleCount: 4,
        sampling: SamplingSettings(maxNewTokens: 12), stopTokens: []))
    var samples: [Completion] = []
    while !engine.isIdle { samples += engine.step() }
    let scores = model.score(
      [TrainingGroup(promptTokens: prompt, completions: samples.map(\.tokens))], temperature: 1)
    #expect(scores[0].map(\.logProbabilities) == samples.map(\.logProbabilities))
  }

  @Test("An adapter on another base is refused")
  func anAdapterOnAnotherBaseIsRefused() throws {
    let (learner, other) = (try Learner(.bfloat16), try Learner(.bfloat16, baseSeed: 62))
    learner.publish(1)
    other.publish(1)
    var fetcher = WeightsFetcher()
    let base = try fetch(&fetcher, .announced(PolicyVersion(1)), from: learner.publisher).weights.payload()
    let decoder = Decoder(config: SmallModel.config, precision: .bfloat16, pool: ThreadPool(threads: 1))
    let adapted = AdaptedPolicy(base)
    adapted.load(into: decoder)
    // A worker that holds a base asks for the other one before it takes the version.
    let second = try fetch(&fetcher, .loaded(base), from: other.publisher)
    #expect(second.weights.manifest.part == .baseModel)
    let version = try fetch(&fetcher, .loaded(second.weights.payload()), from: other.publisher)
    let error = #expect(throws: InputError.self) { try adapted.load(version.weights.payload(), into: decoder) }
    #expect(error?.expected.contains("an adapter on the base model") == true)
    // Nor do weights that are no adapter fit a worker that began with a base.
    let whole = WeightsPayload(
      version: PolicyVersion(2), parameters: SmallModel.parameters(seed: 61), files: [:])
    #expect(throws: InputError.self) { try adapted.load(whole, into: decoder) }
  }

  @Test("A base that was changed on the way is refused")
  func aBaseThatWasChangedOnTheWayIsRefused() throws {
    let learner = try Learner(.bfloat16)
    learner.publish(1)
    var fetcher = WeightsFetcher()
    var effects = fetcher.on(.announced(PolicyVersion(1)), now: 0)
    var rejected = false
    for _ in 0..<10_000 where !rejected {
      effects = effects.flatMap { effect -> [WeightsFetcher.Effect] in
        guard case .send(let message) = effect else { return [] }
        return learner.publisher.answers(to: message).flatMap { answer -> [WeightsFetcher.Effect] in
          guard case .chunk(var chunk) = answer, chunk.index == 2 else { return fetcher.on(.received(answer), now: 0) }
          chunk.bytes[5] ^= 4
          return fetcher.on(.received(.chunk(chunk)), now: 0)
        }
      }
      for case .finished in effects { Issue.record("a base with a wrong hash was taken") }
      for case .rejected(let reason) in effects { rejected = reason.contains("expected") }
    }
    #expect(rejected)
  }
}
