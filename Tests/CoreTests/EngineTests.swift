import Engine
import FoveaTesting
import Layers
import Model
import Prompts
import Support
import Tensor
import Testing
import Training

/// Batch invariance and the engine's life of a sample, on a small random model.
@Suite struct EngineTests {
  private func decoder(
    _ precision: Precision = .bfloat16, _ rollout: RolloutPrecision = .exact, threads: Int = 1
  ) -> Decoder {
    let decoder = Decoder(
      config: SmallModel.config, precision: precision, rollout: rollout, pool: ThreadPool(threads: threads))
    decoder.load(SmallModel.parameters(seed: 31))
    return decoder
  }

  private func engine(_ decoder: Decoder, slots: Int) -> GenerationEngine {
    GenerationEngine(decoder: decoder, slotCount: slots, bytesOfToken: { [UInt8(truncatingIfNeeded: $0)] })
  }

  private func request(
    _ id: UInt64, promptLength: Int = 21, samples: Int = 1, sampling: SamplingSettings = .init(maxNewTokens: 24),
    stopTokens: Set<Int32> = [], stopStrings: [String] = []
  ) -> GenerationRequest {
    var random = RandomStream(seed: id, purpose: .test)
    return GenerationRequest(
      id: id, promptTokens: (0..<promptLength).map { _ in Int32(random.integer(below: 131)) },
      key: SampleKey(seed: 9, step: 4, prompt: id, sample: 0), sampleCount: samples, sampling: sampling,
      stopTokens: stopTokens, stopStrings: stopStrings)
  }

  private func run(_ engine: GenerationEngine) -> [Completion] {
    var done: [Completion] = []
    var steps = 0
    while !engine.isIdle && steps < 10_000 {
      done += engine.step()
      steps += 1
    }
    #expect(engine.isIdle)
    return done.sorted { ($0.request, $0.sample) < ($1.request, $1.sample) }
  }

  @Test(
    "A sample is the same alone and together with any others", arguments: Precision.allCases, RolloutPrecision.allCases)
  func aSampleIsTheSameAloneAndInAnyCompany(_ precision: Precision, _ rollout: RolloutPrecision) throws {
    let alone = engine(decoder(precision, rollout), slots: 1)
    try alone.submit(request(7, samples: 3))
    let expected = run(alone)
    #expect(expected.count == 3)
    #expect(Set(expected.map(\.tokens)).count == 3)

    for (threads, slots) in [(1, 7), (2, 16), (3, 64)] {
      let company = engine(decoder(precision, rollout, threads: threads), slots: slots)
      var done: [Completion] = []
      for id in 0..<12 as Range<UInt64> {
        try company.submit(request(id, promptLength: id == 7 ? 21 : 3 + 13 * Int(id), samples: 3))
        done += company.step()  // the others are under way when the next one joins
      }
      done += run(company)
      #expect(done.filter { $0.request == 7 }.sorted { $0.sample < $1.sample } == expected)
    }
  }

  @Test("Worker and learner give the same bits", arguments: Precision.allCases) func workerAndLearnerGiveTheSameBits(
    _ precision: Precision
  ) throws {
    let engine = engine(decoder(precision), slots: 8)
    let requests = (0..<4 as Range<UInt64>).map { request($0, promptLength: 10 + 7 * Int($0), samples: 4) }
    for request in requests { try engine.submit(request) }
    let completions = run(engine)
    for threads in [1, 2, 3] {
      let learner = TrainingModel(
        config: SmallModel.config, parameters: SmallModel.parameters(seed: 31), precision: precision,
        pool: ThreadPool(threads: threads))
      let groups = requests.map { request in
        TrainingGroup(
          promptTokens: request.promptTokens,
          completions: completions.filter { $0.request == request.id }.map(\.tokens))
      }
      let scores = learner.score(groups, temperature: 1)
      for (group, request) in zip(scores, requests) {
        for (score, completion) in zip(group, completions.filter { $0.request == request.id }) {
          #expect(score.logProbabilities == completion.logProbabilities)
          #expect(score.entropies == completion.entropies)
        }
      }
    }
  }

  @Test("Gradients are the same for any number of threads") func gradientsAreTheSameForAnyNumberOfThreads() {
    let gradients = [1, 2, 3].map { threads in
      let model = TrainingModel(
        config: SmallModel.config, parameters: SmallModel.parameters(seed: 32), precision: .bfloat16,
        pool: ThreadPool(threads: threads))
      model.accumulateGradients(SmallModel.groups(seed: 32), temperature: 1) { $0.map { $0.map(\.entropies) } }
      return Array(model.gradients.values.elements)
    }
    #expect(gradients[0].contains { $0 != 0 })
    #expect(gradients[0] == gradients[1])
    #expect(gradients[0] == gradients[2])
  }

  @Test("A sample ends at a stop token, which belongs to it") func aSampleEndsAtAStopTokenWhichBelongsToIt() throws {
    let free = engine(decoder(), slots: 4)
    try free.submit(request(3))
    let tokens = run(free)[0].tokens
    let stop = tokens[5]
    let stopped = engine(decoder(), slots: 4)
    try stopped.submit(request(3, stopTokens: [stop]))
    let completion = run(stopped)[0]
    #expect(completion.tokens == Array(tokens[...tokens.firstIndex(of: stop)!]))
    #expect(completion.finish == .stop)
  }

  @Test("A sample ends at a stop string that spans tokens") func aSampleEndsAtAStopStringThatSpansTokens() throws {
    let free = engine(decoder(), slots: 4)
    try free.submit(request(3))
    let all = run(free)[0].tokens
    let at = try #require((1..<all.count - 1).first { all[$0] < 128 && all[$0 + 1] < 128 })
    let stop = String(decoding: [UInt8(all[at]), UInt8(all[at + 1])], as: UTF8.self)
    let stopped = engine(decoder(), slots: 4)
    try stopped.submit(request(3, stopStrings: ["never there", stop]))
    let completion = run(stopped)[0]
    #expect(completion.finish == .stop)
    #expect(completion.tokens == Array(all[...(at + 1)]))
  }

  @Test("A sample ends at its length and at the model's last position")
  func aSampleEndsAtItsLengthAndAtTheModelsLastPosition() throws {
    let engine = engine(decoder(), slots: 4)
    try engine.submit(request(1, sampling: .init(maxNewTokens: 1)))
    try engine.submit(request(2, promptLength: 250, sampling: .init(maxNewTokens: 100)))
    let done = run(engine)
    #expect(done.map(\.tokens.count) == [1, 6])
    #expect(done.allSatisfy { $0.finish == .length })
  }

  @Test("More samples than slots all come back once") func moreSamplesThanSlotsAllComeBackOnce() throws {
    let engine = engine(decoder(), slots: 3)
    for id in 0..<5 as Range<UInt64> { try engine.submit(request(id, samples: 8)) }
    let done = run(engine)
    #expect(done.map { "\($0.request).\($0.sample)" }.count == 40)
    #expect(Set(done.map { $0.request * 100 + UInt64($0.sample) }).count == 40)
    #expect(engine.tokensSampled == UInt64(done.reduce(0) { $0 + $1.tokens.count }))
    #expect(engine.freeSlotCount == 3)
  }

  @Test("A cancelled request leaves nothing behind") func aCancelledRequestLeavesNothingBehind() throws {
    let engine = engine(decoder(), slots: 4)
    try engine.submit(request(1, samples: 3))
    try engine.submit(request(2, samples: 3))
    _ = engine.step()
    engine.cancel(request: 1)
    engine.cancel(request: 99)
    #expect(run(engine).map(\.request) == [2, 2, 2])
    for _ in 0..<50 {
      try engine.submit(request(1, samples: 4))
      _ = engine.step()
      engine.cancel(request: 1)
    }
    #expect(engine.isIdle)
    #expect(engine.freeSlotCount == 4)
  }

  @Test("A bad request is refused with the faulty setting in the error") func badRequestsAreRefusedByName() {
    let engine = engine(decoder(), slots: 2)
    var bad: [GenerationRequest] = [
      request(1, promptLength: 0), request(2, promptLength: 256), request(3, samples: 0),
      request(4, sampling: .init(temperature: -1)), request(5, sampling: .init(topP: 0)),
      request(6, sampling: .init(minP: 2)), request(7, sampling: .init(maxNewTokens: 0)),
      request(8, sampling: .init(topK: -1)), request(9, sampling: .init(temperature: .nan)),
    ]
    var foreign = request(10)
    foreign.promptTokens[2] = 131
    bad.append(foreign)
    for request in bad { #expect(throws: InputError.self) { try engine.submit(request) } }
    #expect(engine.isIdle)
  }
}
