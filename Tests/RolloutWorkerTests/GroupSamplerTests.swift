import Core
import RolloutWorker
import Testing
import Wire

/// A generator whose samples finish in an order that the test gives.
private final class FakeGenerator: SampleGenerator {
  var requests: [GenerationRequest] = []
  var cancelled: [UInt64] = []
  var queue: [[Completion]] = []
  func submit(_ request: GenerationRequest) throws { requests.append(request) }
  func cancel(request: UInt64) { cancelled.append(request) }
  func step() -> [Completion] { queue.isEmpty ? [] : queue.removeFirst() }
  var isIdle: Bool { queue.isEmpty }
  var tokensSampled: UInt64 = 0
}

private let text = PolicyText(
  encode: { messages, _ in EncodedPrompt(tokens: messages.flatMap { $0.content.utf8.map(Int32.init) }) },
  decode: { String(decoding: $0.map { UInt8(truncatingIfNeeded: $0) }, as: UTF8.self) }, stopTokens: [0],
  maxPositions: 16)

private func lease(_ id: UInt64, content: String = "1+1", groupSize: UInt32 = 2) -> Lease {
  Lease(
    id: LeaseID(id), attempt: 1, step: 3, prompt: 10,
    messages: [ChatMessage(role: "user", content: content)],
    reward: RewardSpecification(kind: "number", reference: "2"), policyVersion: PolicyVersion(1), groupSize: groupSize,
    sampling: SamplingSettings(temperature: 0.5, maxNewTokens: 4), stopStrings: ["!"], seed: 5)
}

private func completion(_ id: UInt64, _ sample: Int, _ tokens: [Int32]) -> Completion {
  Completion(
    request: id, sample: sample, tokens: tokens, logProbabilities: tokens.map { -Float($0) },
    logKeptMasses: tokens.map { _ in 0 }, entropies: tokens.map { Float($0) }, finish: .stop)
}

private func sampler(_ generator: FakeGenerator) -> GroupSampler<FakeGenerator> {
  var sampler = GroupSampler(generator: generator, text: text) { text, specification in
    RolloutScore(reward: text == specification.reference ? 1.5 : 0, accuracy: 1, format: 0)
  }
  sampler.use(PolicyVersion(1))
  return sampler
}

@Suite("A lease becomes a scored group")
struct GroupSamplerTests {
  @Test("The request carries the lease's key, sampling and stops, and nothing of this worker")
  func request() throws {
    let generator = FakeGenerator()
    var sampler = sampler(generator)
    try sampler.start(lease(7))
    let request = try #require(generator.requests.first)
    #expect(request.promptTokens == [49, 43, 49])
    #expect(request.key == SampleKey(seed: 5, step: 3, prompt: 10, sample: 0))
    #expect(request.sampleCount == 2)
    #expect(request.sampling == SamplingSettings(temperature: 0.5, maxNewTokens: 4))
    #expect(request.stopTokens == [0])
    #expect(request.stopStrings == ["!"])
  }

  @Test("Samples that finish in any order make a group in sample order, scored without the stop token")
  func order() throws {
    let generator = FakeGenerator()
    var sampler = sampler(generator)
    try sampler.start(lease(7))
    try sampler.start(lease(8, groupSize: 1))
    generator.queue = [[completion(7, 1, [50, 0])], [], [completion(8, 0, [51]), completion(7, 0, [49])]]
    #expect(sampler.step() == [.sampleFinished(LeaseID(7))])
    #expect(sampler.step().isEmpty)
    let events = sampler.step()
    #expect(events.count == 4)
    guard case .groupFinished(let id, let group) = events[3] else {
      Issue.record("no group: \(events)")
      return
    }
    #expect(id == LeaseID(7))
    #expect(group.promptTokens == [49, 43, 49])
    #expect(group.policyVersion == PolicyVersion(1))
    #expect(group.rollouts.map(\.tokens) == [[49], [50, 0]])
    #expect(group.rollouts.map(\.text) == ["1", "2"])
    #expect(group.rollouts.map(\.reward) == [0, 1.5])
    #expect(group.rollouts[1].behaviourLogProbabilities == [-50, 0])
    #expect(sampler.isIdle)
  }

  @Test("A cancelled lease is forgotten, and its late samples with it")
  func cancel() throws {
    let generator = FakeGenerator()
    var sampler = sampler(generator)
    try sampler.start(lease(7, groupSize: 1))
    sampler.cancel(LeaseID(7))
    sampler.cancel(LeaseID(9))
    #expect(generator.cancelled == [7])
    generator.queue = [[completion(7, 0, [49])]]
    #expect(sampler.step().isEmpty)
  }

  @Test("A shrunk group is complete with as many samples as are wanted, and the rest of it is cancelled")
  func shrink() throws {
    let generator = FakeGenerator()
    var sampler = sampler(generator)
    try sampler.start(lease(7, groupSize: 4))
    generator.queue = [[completion(7, 2, [50, 0])], [completion(7, 0, [51])], [completion(7, 1, [52])]]
    _ = sampler.step()
    #expect(sampler.shrink(LeaseID(7), survivorsMin: 2) == nil && generator.cancelled.isEmpty)
    guard case .groupFinished(LeaseID(7), let group)? = sampler.step().last else {
      return #expect(Bool(false), "not finished")
    }
    #expect(group.rollouts.map(\.tokens) == [[51], [50, 0]] && generator.cancelled == [7] && sampler.isIdle)
    #expect(sampler.step().isEmpty)
    // Enough of it is finished already.
    try sampler.start(lease(8, groupSize: 4))
    generator.queue = [(0..<3).map { completion(8, $0, [50]) }]
    _ = sampler.step()
    guard case .groupFinished(_, let rest)? = sampler.shrink(LeaseID(8), survivorsMin: 2) else {
      return #expect(Bool(false), "not finished")
    }
    #expect(rest.rollouts.count == 3 && sampler.shrink(LeaseID(8), survivorsMin: 2) == nil)
  }

  @Test("A prompt as long as the model's positions is refused by name", arguments: [0, 16, 40])
  func tooLong(_ length: Int) {
    var sampler = sampler(FakeGenerator())
    let error = #expect(throws: InputError.self) {
      try sampler.start(lease(7, content: String(repeating: "1", count: length)))
    }
    #expect(error?.place == "prompt 10")
    #expect(error?.found == "\(length)")
  }
}
