import FoveaTesting
import Prompts
import RolloutWorker
import Support
import Testing
import Wire

/// A worker state, its clock, and everything that it asked for.
private struct Harness {
  var state: RolloutState
  var now: Milliseconds = 0
  var tokens: UInt64 = 0

  init(slots: UInt32 = 16) {
    state = RolloutState(
      as: FarmMember(
        Hello(role: .worker, runID: "run", name: "w", incarnation: 7, host: "h", threads: 1, slots: slots)
      ))
  }

  mutating func on(_ event: RolloutState.Event) -> [RolloutState.Effect] { state.on(event, now: now) }
  mutating func receive(_ message: Message) -> [RolloutState.Effect] { on(.received(message)) }
  mutating func wait(_ span: Milliseconds) -> [RolloutState.Effect] {
    now += span
    return on(.tick(tokensSampled: tokens))
  }

  /// Joined and holding a version.
  static func serving(_ version: UInt64 = 1, slots: UInt32 = 16) -> Harness {
    var harness = Harness(slots: slots)
    _ = harness.on(.started)
    _ = harness.receive(welcome(1))
    harness.take(version)
    return harness
  }

  mutating func take(_ version: UInt64) {
    _ = receive(announced(version))
    let effects = fetch(version)
    #expect(effects.loads == [version])
    _ = load(effects)
  }

  /// The learner answers with the manifest of a version, which has no tensors: it is fetched.
  mutating func fetch(_ version: UInt64) -> [RolloutState.Effect] {
    on(.receivedFromLearner(.manifest(SimulatedPolicy.weights(of: PolicyVersion(version)))))
  }

  /// The engine loads what these effects ask for.
  mutating func load(_ effects: [RolloutState.Effect]) -> [RolloutState.Effect] {
    var results: [RolloutState.Effect] = []
    for case .load(let weights) in effects { results += on(.loaded(weights.payload())) }
    return results
  }
}

private func welcome(_ incarnation: UInt64) -> Message {
  .welcome(Welcome(runID: "run", name: "w", heartbeatMilliseconds: 500, incarnation: incarnation))
}

private func announced(_ version: UInt64, at endpoint: String = "tcp://a:1") -> Message {
  .policyAnnounced(PolicyAnnounced(version: PolicyVersion(version), weightsEndpoint: endpoint))
}

private func lease(_ id: UInt64, version: UInt64 = 1, attempt: UInt32 = 1, groupSize: UInt32 = 4) -> Lease {
  Lease(
    id: LeaseID(id), attempt: attempt, step: 3, prompt: 10 + id,
    messages: [ChatMessage(role: "user", content: "1+1")], reward: RewardSpecification(kind: "number", reference: "2"),
    policyVersion: PolicyVersion(version), groupSize: groupSize, sampling: SamplingSettings(), stopStrings: [], seed: 5)
}

private func group(_ id: UInt64, version: UInt64 = 1) -> RolloutGroup {
  RolloutGroup(step: 3, prompt: 10 + id, policyVersion: PolicyVersion(version), promptTokens: [1], rollouts: [])
}

extension [RolloutState.Effect] {
  fileprivate var messages: [Message] { compactMap { if case .send(let message) = $0 { message } else { nil } } }
  fileprivate var heartbeats: [Heartbeat] {
    messages.compactMap { if case .heartbeat(let beat) = $0 { beat } else { nil } }
  }
  fileprivate var results: [GroupResult] {
    messages.compactMap { if case .groupResult(let result) = $0 { result } else { nil } }
  }
  fileprivate var returned: [LeaseReturned] {
    messages.compactMap { if case .leaseReturned(let returned) = $0 { returned } else { nil } }
  }
  fileprivate var hellos: [Hello] {
    messages.compactMap { if case .hello(let hello) = $0 { hello } else { nil } }
  }
  /// Versions to load.
  fileprivate var loads: [UInt64] {
    compactMap { if case .load(let weights) = $0 { weights.manifest.version.value } else { nil } }
  }
}

@Suite("A worker joins")
struct WorkerJoins {
  @Test("It repeats its hello until it is welcomed")
  func hello() {
    var harness = Harness()
    #expect(harness.on(.started).hellos.count == 1)
    #expect(harness.wait(500).hellos.isEmpty)
    #expect(harness.wait(500).hellos.count == 1)
    _ = harness.receive(welcome(1))
    #expect(harness.wait(1_000).hellos.isEmpty)
  }

  @Test("A refusal ends it with the reason")
  func refused() {
    var harness = Harness()
    _ = harness.on(.started)
    #expect(
      harness.receive(.refused(Refused(reason: "wrong run"))) == [
        .end(.failed("refused by the coordinator: wrong run"))
      ])
    #expect(harness.wait(10_000).isEmpty, "an ended worker is silent")
  }

  @Test("It asks for no work before it holds a version, and then for what its slots hold")
  func credit() {
    var harness = Harness()
    _ = harness.on(.started)
    #expect(harness.receive(welcome(1)).heartbeats.first?.credit == 0)
    _ = harness.receive(announced(1))
    let effects = harness.fetch(1)
    let beat = harness.load(effects).heartbeats.first
    #expect(beat?.credit == 16)
    #expect(beat?.policyVersion == PolicyVersion(1))
  }

  @Test("It says hello again to a new coordinator, and offers it the results that nobody acknowledged")
  func newCoordinator() {
    var harness = Harness.serving()
    _ = harness.receive(.lease(lease(1)))
    _ = harness.on(.groupFinished(LeaseID(1), group(1)))
    #expect(harness.receive(welcome(1)).hellos.isEmpty)
    let effects = harness.receive(welcome(2))
    #expect(effects.hellos.first?.policyVersion == PolicyVersion(1))
    #expect(effects.results.map(\.lease) == [LeaseID(1)])
    #expect(harness.receive(welcome(2)).hellos.isEmpty)
  }

  @Test(
    "A welcome without a name is a question: it repeats its hello until the welcome has a name, and is silent otherwise"
  )
  func unknown() {
    var harness = Harness.serving()
    let question = Message.welcome(Welcome(runID: "run", name: "", heartbeatMilliseconds: 500, incarnation: 1))
    let effects = harness.receive(question)
    #expect(effects.hellos.count == 1)
    #expect(effects.heartbeats.isEmpty)
    #expect(harness.receive(question).isEmpty, "once is enough for now")
    #expect(harness.wait(600).heartbeats.isEmpty)
    #expect(harness.wait(600).hellos.count == 1)
    #expect(harness.receive(welcome(1)).heartbeats.count == 1)
  }
}

@Suite("A worker decodes leases")
struct WorkerDecodes {
  @Test("Credit counts free slots in groups, and more of it is reported at once")
  func credit() {
    var harness = Harness.serving(slots: 16)
    _ = harness.receive(.lease(lease(1)))
    _ = harness.receive(.lease(lease(2)))
    #expect(harness.wait(500).heartbeats.last?.credit == 2)
    for _ in 0..<3 { #expect(harness.on(.sampleFinished(LeaseID(1))).heartbeats.isEmpty) }
    #expect(harness.on(.sampleFinished(LeaseID(1))).heartbeats.last?.credit == 3)
    #expect(harness.on(.groupFinished(LeaseID(1), group(1))).heartbeats.isEmpty, "its slots were free already")
    for _ in 0..<4 { _ = harness.on(.sampleFinished(LeaseID(2))) }
    #expect(harness.wait(500).heartbeats.last?.credit == 4)
  }

  @Test("A group that only waits for scores leaves its slots, but not without bound")
  func creditWhileScoring() {
    var harness = Harness.serving(slots: 16)
    for id in 1...63 as ClosedRange<UInt64> {
      _ = harness.receive(.lease(lease(id)))
      _ = harness.on(.groupDecoded(LeaseID(id)))
    }
    #expect(harness.wait(500).heartbeats.last?.credit == 4)
    #expect(harness.wait(500).heartbeats.last?.activity == "scoring")
    _ = harness.receive(.lease(lease(64)))
    _ = harness.on(.groupDecoded(LeaseID(64)))
    #expect(harness.wait(500).heartbeats.last?.credit == 0)
    _ = harness.on(.groupFinished(LeaseID(1), group(1)))
    #expect(harness.receive(.resultAcknowledged(LeaseID(1))).heartbeats.last?.credit == 4)
  }

  @Test("A late lease asks for a partial group once, and not of one that only waits for scores")
  func partialGroup() {
    var harness = Harness.serving()
    var late = lease(1)
    _ = harness.receive(.lease(late))
    late.partialGroupMin = 2
    #expect(harness.receive(.lease(late)) == [.finishPartially(LeaseID(1), sizeMin: 2)])
    _ = harness.on(.groupDecoded(LeaseID(1)))
    #expect(harness.receive(.lease(late)).isEmpty)
  }

  @Test("A group larger than the slots is taken when nothing else is being decoded")
  func largeGroup() {
    var harness = Harness.serving(slots: 2)
    #expect(harness.receive(.lease(lease(1, groupSize: 8))).contains(.generate(lease(1, groupSize: 8))))
    #expect(harness.wait(500).heartbeats.last?.credit == 0)
    _ = harness.on(.groupFinished(LeaseID(1), group(1)))
    #expect(harness.wait(500).heartbeats.last?.credit == 1)
  }

  @Test("A result is sent again until it is acknowledged")
  func resend() {
    var harness = Harness.serving()
    _ = harness.receive(.lease(lease(1)))
    harness.now += 1_500
    let first = harness.on(.groupFinished(LeaseID(1), group(1))).results
    #expect(first == [GroupResult(lease: LeaseID(1), group: group(1))])
    #expect(harness.wait(1_000).results.isEmpty)
    #expect(harness.wait(2_000).results == first)
    #expect(harness.wait(3_000).results == first)
    _ = harness.receive(.resultAcknowledged(LeaseID(1)))
    #expect(harness.wait(3_000).results.isEmpty)
  }

  @Test("A repeated lease is decoded once, its result is sent again, and its return names the newest attempt")
  func duplicates() {
    var harness = Harness.serving()
    _ = harness.receive(.lease(lease(1)))
    let again = harness.receive(.lease(lease(1, attempt: 2)))
    #expect(!again.contains { if case .generate = $0 { true } else { false } })
    let result = GroupResult(lease: LeaseID(1), group: group(1))
    #expect(harness.on(.groupFinished(LeaseID(1), group(1))).results == [result])
    #expect(harness.receive(.lease(lease(1, attempt: 3))).results == [result])
    _ = harness.receive(.lease(lease(2)))
    _ = harness.receive(.lease(lease(2, attempt: 2)))
    let returned = harness.on(.drainRequested).messages.compactMap {
      if case .leaseReturned(let returned) = $0 { returned } else { nil }
    }
    #expect(returned.map(\.lease) == [LeaseID(2)])
    #expect(returned.map(\.attempt) == [2])
  }

  @Test("A lease that another worker finished first is cancelled")
  func hedged() {
    var harness = Harness.serving()
    _ = harness.receive(.lease(lease(1)))
    #expect(harness.receive(.resultAcknowledged(LeaseID(1))).contains(.cancel(LeaseID(1))))
    #expect(harness.on(.groupFinished(LeaseID(1), group(1))).results.isEmpty)
  }

  @Test(
    "A lease that makes no sense goes back as impossible",
    arguments: [
      { (l: inout Lease) in l.groupSize = 0 }, { $0.groupSize = 1 << 30 }, { $0.sampling.maxNewTokens = 0 },
      { $0.sampling.temperature = -1 }, { $0.sampling.temperature = .nan }, { $0.messages = [] },
    ] as [@Sendable (inout Lease) -> Void])
  func impossible(_ change: @Sendable (inout Lease) -> Void) {
    var harness = Harness.serving()
    var faulty = lease(1)
    change(&faulty)
    #expect(harness.receive(.lease(faulty)).returned.map(\.cause) == [.impossible])
  }

  @Test("A prompt that the model cannot hold goes back as impossible")
  func tooLong() {
    var harness = Harness.serving()
    _ = harness.receive(.lease(lease(1)))
    let effects = harness.on(.leaseImpossible(LeaseID(1), reason: "9000 tokens"))
    #expect(effects.returned.map(\.cause) == [.impossible])
    #expect(effects.returned.map(\.reason) == ["9000 tokens"])
  }

  @Test("Heartbeats tell tokens per second")
  func rate() {
    var harness = Harness.serving()
    for _ in 0..<20 {
      harness.tokens += 100
      _ = harness.wait(500)
    }
    harness.tokens += 100
    #expect(harness.wait(500).heartbeats.last?.tokensPerSecond == 200)
  }
}

@Suite("A worker is fenced by policy versions")
struct WorkerFence {
  @Test("It fetches what is newer, once, and never steps back")
  func neverBack() {
    var harness = Harness.serving(5)
    #expect(harness.receive(announced(5)).isEmpty)
    #expect(harness.receive(announced(4)).isEmpty)
    #expect(
      harness.receive(announced(6)) == [.connectToLearner("tcp://a:1"), .sendToLearner(.manifestRequest(.policy))])
    #expect(harness.receive(announced(6)).isEmpty)
    #expect(harness.receive(announced(5, at: "tcp://b:1")).isEmpty)
    #expect(harness.fetch(4).isEmpty)
    #expect(harness.state.policyVersion == PolicyVersion(5))
  }

  @Test("A fetch follows the learner to its new endpoint")
  func refetch() {
    var harness = Harness.serving(1)
    _ = harness.receive(announced(2, at: "tcp://a:1"))
    #expect(harness.receive(announced(2, at: "tcp://b:1")) == [.connectToLearner("tcp://b:1")])
    #expect(harness.receive(announced(2, at: "tcp://b:1")).isEmpty)
    #expect(
      harness.wait(WeightsFetcher.timeout).contains(.sendToLearner(.manifestRequest(.policy))),
      "what the old endpoint did not answer is asked again")
  }

  @Test("A version that is no model ends the worker with the reason")
  func notAModel() {
    var harness = Harness()
    _ = harness.on(.started)
    #expect(harness.on(.loadFailed("no config.json")).last == .end(.failed("no config.json")))
  }

  @Test("Leases wait for a version on its way, and go back when the worker does not get it")
  func leases() {
    var harness = Harness.serving(1)
    #expect(harness.receive(.lease(lease(1, version: 3))).returned.map(\.cause) == [.versionNotHeld])
    _ = harness.receive(announced(2))
    #expect(harness.receive(.lease(lease(2, version: 2))).returned.isEmpty)
    let effects = harness.fetch(2)
    #expect(effects.loads == [2])
    #expect(harness.load(effects).contains(.generate(lease(2, version: 2))))
    #expect(harness.receive(.lease(lease(3, version: 1))).returned.map(\.cause) == [.versionNotHeld])
  }

  @Test("No version is loaded while samples of the old one are decoded, nor anything started while one is loaded")
  func neverMixed() {
    var harness = Harness.serving(1)
    _ = harness.receive(.lease(lease(1)))
    _ = harness.receive(announced(2))
    #expect(harness.fetch(2).loads.isEmpty)
    #expect(harness.receive(.lease(lease(2))).contains(.generate(lease(2))), "the held version is still served")
    #expect(harness.on(.groupFinished(LeaseID(1), group(1))).loads.isEmpty)
    let effects = harness.on(.groupFinished(LeaseID(2), group(2)))
    #expect(effects.loads == [2])
    let meanwhile = harness.receive(.lease(lease(3, version: 1)))
    #expect(!meanwhile.contains(.generate(lease(3, version: 1))))
    #expect(harness.load(effects).returned.map(\.lease) == [LeaseID(3)])
  }

  @Test("A version is loaded although groups of the old one wait for scores, and these are delivered afterwards")
  func scoringDoesNotHoldBack() {
    var harness = Harness.serving(1)
    _ = harness.receive(.lease(lease(1)))
    _ = harness.receive(announced(2))
    #expect(harness.fetch(2).loads.isEmpty)
    let effects = harness.on(.groupDecoded(LeaseID(1)))
    #expect(effects.loads == [2])
    #expect(harness.load(effects).returned.isEmpty)
    #expect(harness.on(.groupFinished(LeaseID(1), group(1))).results.map(\.group.policyVersion) == [PolicyVersion(1)])
  }

  @Test("A newer announcement replaces an older fetch; waiting leases of the skipped version go back")
  func superseded() {
    var harness = Harness.serving(1)
    _ = harness.receive(announced(2))
    _ = harness.receive(.lease(lease(1, version: 2)))
    #expect(harness.receive(announced(3)).returned.map(\.lease) == [LeaseID(1)])
    #expect(harness.fetch(3).loads == [3])
  }
}

@Suite("A worker leaves")
struct WorkerLeaves {
  @Test("A drain gives every lease back, takes no more, and ends when its results are acknowledged")
  func drain() {
    var harness = Harness.serving()
    for id in 1...3 { _ = harness.receive(.lease(lease(UInt64(id)))) }
    _ = harness.on(.groupFinished(LeaseID(1), group(1)))
    let effects = harness.on(.drainRequested)
    #expect(effects.returned.map(\.lease) == [LeaseID(2), LeaseID(3)])
    #expect(effects.returned.allSatisfy { $0.cause == .draining })
    #expect(effects.contains(.cancel(LeaseID(2))))
    #expect(effects.heartbeats.last?.credit == 0)
    #expect(harness.receive(.lease(lease(4))).returned.map(\.cause) == [.draining])
    #expect(!harness.wait(100).contains(.end(.finished("drained"))))
    _ = harness.receive(.resultAcknowledged(LeaseID(1)))
    let last = harness.wait(100)
    #expect(last.suffix(2) == [.send(.goodbye(Goodbye(reason: "drained"))), .end(.finished("drained"))])
  }

  @Test("A drain ends in time although nobody acknowledges")
  func drainDeadline() {
    var harness = Harness.serving()
    _ = harness.receive(.lease(lease(1)))
    _ = harness.on(.groupFinished(LeaseID(1), group(1)))
    _ = harness.on(.drainRequested)
    #expect(harness.wait(3_000).last == .end(.finished("drained, 1 results unacknowledged")))
  }

  @Test("The coordinator's goodbye ends it at once")
  func goodbye() {
    var harness = Harness.serving()
    _ = harness.receive(.lease(lease(1)))
    #expect(
      harness.receive(.goodbye(Goodbye(reason: "finished"))) == [.cancel(LeaseID(1)), .end(.finished("finished"))])
  }
}
