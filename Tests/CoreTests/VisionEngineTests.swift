import Architecture
import Engine
import FoveaTesting
import Layers
import Model
import ModelFiles
import Prompts
import Support
import Tensor
import Testing
import Training

/// Images in the engine and in the learner: the same bits, alone and in any company, and refusals.
@Suite(.serialized) struct VisionEngineTests {
  private static let sampling = SamplingSettings(maxNewTokens: 9)

  private func requests(_ vision: VisionModel) throws -> [GenerationRequest] {
    try vision.expected().enumerated().map { index, expected in
      GenerationRequest(
        id: UInt64(index), promptTokens: expected.group.promptTokens,
        key: SampleKey(seed: 3, step: 1, prompt: UInt64(index), sample: 0), sampleCount: 3, sampling: Self.sampling,
        stopTokens: [], images: expected.group.images)
    }
  }

  private func complete(
    _ loaded: LoadedModel, _ requests: [GenerationRequest], _ precision: Precision, threads: Int, slots: Int
  ) throws -> [Completion] {
    let decoder = Decoder(config: loaded.description.config, precision: precision, pool: ThreadPool(threads: threads))
    // as a worker gets them: what has more than one dimension in bf16
    for (index, parameter) in loaded.parameters.parameters.enumerated() {
      let scalars = loaded.parameters.scalars(index)
      if precision == .bfloat16 && parameter.shape.count > 1 {
        decoder.load(parameter: index, bfloat16: scalars.map(bfloat16))
      } else {
        decoder.load(parameter: index, float32: UnsafePointer(scalars.baseAddress!))
      }
    }
    let engine = GenerationEngine(decoder: decoder, slotCount: slots, bytesOfToken: { _ in [] })
    var done: [Completion] = []
    for request in requests {
      try engine.submit(request)
      if slots > 3 { done += engine.step() }  // the others are under way when the next one joins
    }
    while !engine.isIdle { done += engine.step() }
    return done.sorted { ($0.request, $0.sample) < ($1.request, $1.sample) }
  }

  @Test(
    "A sample with images is the same alone, together with others, and in the learner", arguments: VisionModel.allCases,
    Precision.allCases)
  func aSampleWithImagesIsTheSameAloneInCompanyAndInTheLearner(_ vision: VisionModel, _ precision: Precision) throws {
    let loaded = try vision.load()
    let requests = try requests(vision)
    let alone = try requests.flatMap { try complete(loaded, [$0], precision, threads: 1, slots: 3) }
    #expect(alone.count == 9)
    for (threads, slots) in [(2, 9), (3, 5)] {
      #expect(try complete(loaded, requests, precision, threads: threads, slots: slots) == alone)
    }
    #expect(try complete(loaded, requests.reversed(), precision, threads: 2, slots: 16) == alone)
    for threads in [1, 2, 3] {
      let learner = TrainingModel(
        config: loaded.description.config, parameters: loaded.parameters, precision: precision,
        pool: ThreadPool(threads: threads))
      let groups = requests.map { request in
        TrainingGroup(
          promptTokens: request.promptTokens,
          completions: alone.filter { $0.request == request.id }.map(\.tokens), images: request.images)
      }
      let scores = learner.score(groups, temperature: 1).flatMap { $0 }
      #expect(scores.map(\.logProbabilities) == alone.map(\.logProbabilities))
      #expect(scores.map(\.entropies) == alone.map(\.entropies))
      // the pass that keeps a tape is the same one
      let kept = learner.accumulateGradients(groups, temperature: 1) { $0.map { $0.map(\.entropies) } }
      #expect(kept.flatMap { $0 } == scores)
    }
  }

  @Test("An image changes the completion") func anImageChangesWhatIsSaid() throws {
    let loaded = try VisionModel.llavaSigLIP.load()
    var request = try requests(.llavaSigLIP)[1]
    let before = try complete(loaded, [request], .float32, threads: 2, slots: 3)
    request.images[0].values[5] += 0.5
    #expect(try complete(loaded, [request], .float32, threads: 2, slots: 3) != before)
  }

  @Test("Every instruction set gives the same bits", arguments: VisionModel.allCases)
  func everyInstructionSetGivesTheSameBits(_ vision: VisionModel) throws {
    let loaded = try vision.load()
    let groups = try vision.expected().map(\.group)
    for precision in Precision.allCases {
      var results: [[Float]] = []
      underEveryInstructionSet { _ in
        let model = TrainingModel(
          config: loaded.description.config, parameters: loaded.parameters, precision: precision,
          pool: ThreadPool(threads: 2))
        let scores = model.accumulateGradients(groups, temperature: 1, coefficients: VisionModel.coefficients)
        results.append(Array(model.gradients.values.elements) + scores.flatMap { $0.flatMap(\.logProbabilities) })
      }
      #expect(results.allSatisfy { $0 == results[0] })
    }
  }

  @Test("Images that do not fit are refused") func imagesThatDoNotFitAreRefused() throws {
    let loaded = try VisionModel.llavaSigLIP.load()
    let good = try requests(.llavaSigLIP)[0]
    func refusal(_ change: (inout GenerationRequest) -> Void) throws -> String {
      var request = good
      change(&request)
      let decoder = Decoder(config: loaded.description.config, precision: .float32, pool: ThreadPool(threads: 1))
      let engine = GenerationEngine(decoder: decoder, slotCount: 1, bytesOfToken: { _ in [] })
      let error = #expect(throws: InputError.self) { try engine.submit(request) }
      return error?.description ?? ""
    }
    #expect(try refusal { $0.images.removeLast() }.contains("expected 9 image tokens"))
    #expect(try refusal { $0.images = [] }.contains("expected 0 image tokens"))
    #expect(try refusal { $0.promptTokens.append(95) }.contains("found 19"))
    #expect(try refusal { $0.images[0].size.height = 32 }.contains("images of 24 x 24 pixels"))
    #expect(try refusal { $0.images[1].values.removeLast() }.contains("3 x 24 x 24 values"))
    #expect(try refusal { $0.images[1].values[3] = .nan }.contains("normalised pixels"))
    let text = Decoder(config: SmallModel.config, precision: .float32, pool: ThreadPool(threads: 1))
    let engine = GenerationEngine(decoder: text, slotCount: 1, bytesOfToken: { _ in [] })
    #expect(throws: InputError.self) { try engine.submit(good) }
  }

  @Test("The optimizer leaves frozen parameters alone") func theOptimizerLeavesFrozenParametersAlone() throws {
    let loaded = try VisionModel.llavaSigLIP.load()
    let pool = ThreadPool(threads: 2)
    let frozen = TrainableParameters([.vision, .projector])
    let gradients = ParameterSet(config: loaded.description.config)
    for i in gradients.values.elements.indices { gradients.values.pointer[i] = 1 }
    let before = Array(loaded.parameters.values.elements)
    let optimizer = AdamW(parameters: loaded.parameters, pool: pool, trainable: frozen)
    optimizer.step(
      parameters: loaded.parameters, gradients: gradients, gradientScale: 1, learningRate: 0.1, beta1: 0.9, beta2: 0.99,
      epsilon: 1e-8, weightDecay: 0.1)
    #expect(optimizer.firstMoments.parameters == frozen.parameters(of: loaded.parameters.parameters))
    for (index, parameter) in loaded.parameters.parameters.enumerated() {
      let start = loaded.parameters.offsets[index]
      let same = Array(loaded.parameters.scalars(index)) == Array(before[start..<start + parameter.count])
      #expect(same == !frozen.contains(parameter.name), "\(parameter.name)")
    }
  }
}
