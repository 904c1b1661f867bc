import Architecture
import Engine
import FoveaTesting
import Prompts
import RolloutWorker
import Support
import Tasks
import Testing
import Wire

/// 1 for the reference itself.
private struct SameReward: Reward {
  let name = "same"
  func score(_ completion: String, of prompt: RewardSpecification) -> [NamedScore] {
    [NamedScore(name, completion == prompt.reference ? 1 : 0)]
  }
}

/// The length of a text; none for an empty one.
private struct LengthReward: Reward {
  let name = "length"
  func score(_ completion: String, of prompt: RewardSpecification) -> [NamedScore] {
    [completion.isEmpty ? NamedScore(name, failed: "nothing to measure") : NamedScore(name, Float(completion.count))]
  }
}

private let rewards = RewardSet([SameReward(), LengthReward()])

private func sampler(_ engine: FakeEngine) -> GroupSampler {
  var sampler = GroupSampler(engine)
  sampler.use(PolicyVersion(1))
  return sampler
}

extension [RolloutState.Event] {
  /// Leases of which a sample finished.
  fileprivate var sampled: [UInt64] {
    compactMap { if case .sampleFinished(let id) = $0 { id.value } else { nil } }
  }
  fileprivate var decoded: [UInt64] {
    compactMap { if case .groupDecoded(let id) = $0 { id.value } else { nil } }
  }
  fileprivate var finished: [UInt64: RolloutGroup] {
    reduce(into: [:]) { groups, event in
      if case .groupFinished(let id, let group) = event { groups[id.value] = group }
    }
  }
}

@Suite("A lease becomes a scored group")
struct GroupSamplerTests {
  @Test("The request carries the lease's key, sampling and stops, and nothing of this worker")
  func request() throws {
    let engine = FakeEngine()
    var sampler = sampler(engine)
    try sampler.start(fakeLease(7))
    let request = try #require(engine.requests.first)
    #expect(request.promptTokens == [49, 43, 49])
    #expect(request.key == SampleKey(seed: 5, step: 3, prompt: 10, sample: 0))
    #expect(request.sampleCount == 2)
    #expect(request.sampling == SamplingSettings(temperature: 0.5, maxNewTokens: 4))
    #expect(request.stopTokens == [0])
    #expect(request.stopStrings == ["!"])
  }

  @Test("Samples that finish in any order make a group in sample order, scored without the stop token")
  func order() throws {
    let engine = FakeEngine()
    var sampler = sampler(engine)
    try sampler.start(fakeLease(7))
    try sampler.start(fakeLease(8, groupSize: 1))
    engine.queue = [[completion(7, 1, [50, 0])], [], [completion(8, 0, [51]), completion(7, 0, [49])]]
    let first = sampler.step(scoringWith: rewards)
    #expect(first.sampled == [7])
    #expect(first.count == 1)
    #expect(sampler.step(scoringWith: rewards).isEmpty)
    let last = sampler.step(scoringWith: rewards)
    #expect(last.sampled == [8, 7])
    #expect(last.decoded == [8, 7])
    #expect(last.finished.keys.sorted() == [7, 8])
    let group = try #require(last.finished[7])
    #expect(group.promptTokens == [49, 43, 49])
    #expect(group.policyVersion == PolicyVersion(1))
    #expect(group.rollouts.map(\.tokens) == [[49], [50, 0]])
    #expect(group.rollouts.map(\.text) == ["1", "2"])
    #expect(group.rollouts.map(\.reward) == [0, 1.5])
    #expect(group.rollouts[1].behaviourLogProbabilities == [-50, 0])
    #expect(sampler.isIdle)
  }

  @Test("Scores are named and in order of their names; one that failed has a cause and adds nothing to the reward")
  func failedScore() throws {
    let engine = FakeEngine()
    var sampler = sampler(engine)
    var asked = fakeLease(7, groupSize: 1)
    asked.reward = RewardSpecification(
      kind: "number", reference: "", weights: ["same": 0.5, "length": 100, "absent": 1])
    try sampler.start(asked)
    engine.queue = [[completion(7, 0, [0])]]
    let rollout = try #require(sampler.step(scoringWith: rewards).finished[7]?.rollouts.first)
    #expect(
      rollout.scores == [
        NamedScore("absent", failed: "there is no reward of this name"),
        NamedScore("length", failed: "nothing to measure"), NamedScore("same", 1),
      ])
    #expect(rollout.reward == 0.5)
  }

  @Test("A group is the same in whatever order its scores come")
  func orderOfScores() throws {
    func group(_ order: [Int]) throws -> RolloutGroup? {
      let engine = FakeEngine()
      var sampler = sampler(engine)
      try sampler.start(fakeLease(7, groupSize: 3))
      engine.queue = [[completion(7, 2, [50, 0]), completion(7, 0, [51]), completion(7, 1, [52])]]
      #expect(sampler.step().finished.isEmpty)
      let samples = sampler.takeUnscored()
      #expect(samples.map(\.sample) == [2, 0, 1])
      #expect(sampler.takeUnscored().isEmpty)
      return order.map { sampler.scored(rewards.score(samples[$0])) }.last?.finished[7]
    }
    let first = try #require(try group([0, 1, 2]))
    for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
      #expect(try group(order) == first)
    }
  }

  @Test("A group keeps the version that sampled it, although the next one is loaded before its scores are back")
  func versionOfALateScore() throws {
    let engine = FakeEngine()
    var sampler = sampler(engine)
    try sampler.start(fakeLease(7, groupSize: 1))
    engine.queue = [[completion(7, 0, [50])]]
    _ = sampler.step()
    let samples = sampler.takeUnscored()
    sampler.use(PolicyVersion(2))
    try sampler.start(fakeLease(8, groupSize: 1))
    engine.queue = [[completion(8, 0, [50])]]
    #expect(sampler.step(scoringWith: rewards).finished[8]?.policyVersion == PolicyVersion(2))
    #expect(sampler.scored(rewards.score(samples[0])).finished[7]?.policyVersion == PolicyVersion(1))
  }

  @Test("A cancelled lease is forgotten, and its late samples and scores with it")
  func cancel() throws {
    let engine = FakeEngine()
    var sampler = sampler(engine)
    try sampler.start(fakeLease(7, groupSize: 1))
    sampler.cancel(LeaseID(7))
    sampler.cancel(LeaseID(9))
    #expect(engine.cancelled == [7])
    engine.queue = [[completion(7, 0, [49])]]
    #expect(sampler.step().isEmpty)
    try sampler.start(fakeLease(8, groupSize: 1))
    engine.queue = [[completion(8, 0, [50])]]
    _ = sampler.step()
    let late = try #require(sampler.takeUnscored().first)
    sampler.cancel(LeaseID(8))
    #expect(engine.cancelled == [7], "it was decoded already")
    #expect(late.ticket.isCancelled)
    // The same lease again: the scores of the first attempt are not the second's.
    try sampler.start(fakeLease(8, groupSize: 1))
    engine.queue = [[completion(8, 0, [50])]]
    _ = sampler.step()
    #expect(sampler.scored(rewards.score(late)).isEmpty)
    #expect(sampler.takeUnscored().flatMap { sampler.scored(rewards.score($0)) }.finished.count == 1)
  }

  @Test("A partial group is complete with as many samples as are wanted, and the rest of it is cancelled")
  func partialGroup() throws {
    let engine = FakeEngine()
    var sampler = sampler(engine)
    try sampler.start(fakeLease(7, groupSize: 4))
    engine.queue = [[completion(7, 2, [50, 0])], [completion(7, 0, [51])], [completion(7, 1, [52])]]
    _ = sampler.step(scoringWith: rewards)
    #expect(sampler.finishPartially(LeaseID(7), sizeMin: 2).isEmpty)
    #expect(engine.cancelled.isEmpty)
    let events = sampler.step(scoringWith: rewards)
    #expect(events.decoded == [7])
    #expect(events.finished[7]?.rollouts.map(\.tokens) == [[51], [50, 0]])
    #expect(engine.cancelled == [7])
    #expect(sampler.isIdle)
    #expect(sampler.step(scoringWith: rewards).isEmpty)
  }

  @Test("A partial group of what is decoded already is finished as soon as that is scored")
  func partialGroupAtOnce() throws {
    let engine = FakeEngine()
    var sampler = sampler(engine)
    try sampler.start(fakeLease(8, groupSize: 4))
    engine.queue = [(0..<3).map { completion(8, $0, [50]) }]
    _ = sampler.step()
    var samples = sampler.takeUnscored()
    #expect(sampler.scored(rewards.score(samples.removeFirst())).isEmpty)
    let events = sampler.finishPartially(LeaseID(8), sizeMin: 2)
    #expect(events.decoded == [8])
    #expect(events.finished.isEmpty, "two of its samples are not scored")
    #expect(sampler.finishPartially(LeaseID(8), sizeMin: 2).isEmpty)
    let group = try #require(samples.flatMap { sampler.scored(rewards.score($0)) }.finished[8])
    #expect(group.rollouts.count == 3)
  }

  @Test("A prompt as long as the model's positions is refused by name", arguments: [0, 16, 40])
  func tooLong(_ length: Int) {
    var sampler = sampler(FakeEngine())
    let error = #expect(throws: InputError.self) {
      try sampler.start(fakeLease(7, content: String(repeating: "1", count: length)))
    }
    #expect(error?.place == "prompt 10")
    #expect(error?.found == "\(length)")
  }

  @Test("Images are refused by name where the engine reads text alone")
  func noImages() {
    let engine = FakeEngine()
    engine.abilities.hasImages = false
    var sampler = sampler(engine)
    let error = #expect(throws: InputError.self) {
      try sampler.start(fakeLease(7, images: [PromptImage(bytes: [1])]))
    }
    #expect(error?.place == "prompt 10")
    #expect(engine.requests.isEmpty)
  }
}
