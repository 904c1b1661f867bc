import Foundation
import FoveaTesting
import Prompts
import RolloutWorker
import Support
import Synchronization
import Tasks
import Testing
import Wire

/// A reward whose every call waits until the test lets it go on.
private final class BlockingReward: Reward {
  let name = "slow"
  private let begun = DispatchSemaphore(value: 0)
  private let gate = DispatchSemaphore(value: 0)

  func score(_ completion: String, of prompt: RewardSpecification) -> [NamedScore] {
    begun.signal()
    gate.wait()
    return [NamedScore(name, Float(completion.utf8.first ?? 0))]
  }

  /// Waits until a call has begun.
  func waitForCall() -> Bool { begun.wait(timeout: .now() + 60) == .success }
  func release(_ count: Int) { for _ in 0..<count { gate.signal() } }
}

/// The decoding thread with a test's engine, from the event loop's side.
private final class DecodingBench {
  let commands = Mailbox<DecodingThread.Command>()
  private let outcomes = Mailbox<RolloutState.Event>()
  private(set) var events: [RolloutState.Event] = []

  init(rewards: RewardSet = .builtIn, engine: @escaping @Sendable () -> FakeEngine) {
    DecodingThread.start(
      makeEngine: engine, rewards: rewards, commands: commands, outcomes: outcomes, tokensSampled: TokenCounter())
  }

  deinit { commands.close() }

  /// Takes outcomes until one satisfies the condition.
  func wait(for condition: (RolloutState.Event) -> Bool) throws {
    let deadline = Date() + 60
    while !events.contains(where: condition) {
      try #require(Date() < deadline, "it does not come: \(events)")
      let new = outcomes.take()
      events += new
      if new.isEmpty { Thread.sleep(forTimeInterval: 0.001) }
    }
  }

  func load(_ manifest: WeightsManifest) throws {
    var fetcher = WeightsFetcher()
    _ = fetcher.on(.announced(manifest.version), now: 0)
    for case .finished(let weights) in fetcher.on(.received(.manifest(manifest)), now: 0) {
      commands.post(.load(weights))
    }
  }
}

@Suite("The decoding thread")
struct DecodingThreadTests {
  private static func slowLease(_ id: UInt64, groupSize: UInt32) -> Lease {
    var lease = fakeLease(id, groupSize: groupSize)
    lease.reward.weights = ["slow": 1]
    return lease
  }

  @Test("Decoding goes on while a score is outstanding: a slow reward holds back its own group alone")
  func slowReward() throws {
    let reward = BlockingReward()
    let bench = DecodingBench(rewards: RewardSet([reward])) {
      let engine = FakeEngine()
      // The first group ends at once; the second one takes forty steps more.
      engine.queue =
        [[completion(1, 0, [49])]] + Array(repeating: [], count: 39) + [[completion(2, 0, [50])]]
        + [[completion(2, 1, [51])]]
      return engine
    }
    defer { reward.release(3) }
    try bench.load(SimulatedPolicy.weights(of: PolicyVersion(1)))
    bench.commands.post(.generate(Self.slowLease(1, groupSize: 1)))
    bench.commands.post(.generate(Self.slowLease(2, groupSize: 2)))
    try #require(reward.waitForCall())
    // The reward is called and does not answer; the engine takes all of its steps.
    try bench.wait { if case .groupDecoded(LeaseID(2)) = $0 { true } else { false } }
    #expect(!bench.events.contains { if case .groupFinished = $0 { true } else { false } })
    reward.release(3)
    try bench.wait { if case .groupFinished(LeaseID(1), _) = $0 { true } else { false } }
    try bench.wait { if case .groupFinished(LeaseID(2), _) = $0 { true } else { false } }
    for case .groupFinished(LeaseID(2), let group) in bench.events {
      #expect(group.rollouts.map(\.reward) == [50, 51])
    }
  }

  @Test("Weights that the engine cannot hold are refused with the reason")
  func refusedWeights() throws {
    let bench = DecodingBench {
      let engine = FakeEngine()
      engine.abilities = RolloutEngineAbilities(isExact: false, hasImages: true, hasAdapters: true)
      return engine
    }
    try bench.load(SimulatedPolicy.weights(of: PolicyVersion(1)))
    try bench.wait { if case .loadFailed(let reason) = $0 { reason.contains("exact") } else { false } }
  }

  @Test("A lease that the engine cannot do comes back as impossible")
  func impossibleLease() throws {
    let bench = DecodingBench { FakeEngine() }
    try bench.load(SimulatedPolicy.weights(of: PolicyVersion(1)))
    bench.commands.post(.generate(fakeLease(1, content: String(repeating: "1", count: 40))))
    try bench.wait { if case .leaseImpossible(LeaseID(1), let reason) = $0 { reason.contains("40") } else { false } }
  }
}
