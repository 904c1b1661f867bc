import RolloutWorker
import Support
import Testing
import Wire

@Suite("A worker says what it waits for, and does not wait for ever")
struct WorkerWaitTests {
  /// A worker that ticks ten times a second.
  private struct Bench {
    var state: RolloutState
    var now: Milliseconds = 0

    init(runID: String = "run") {
      let hello = Hello(
        role: .worker, runID: runID, name: "w2", incarnation: 7, host: "h", threads: 1, slots: 8)
      state = RolloutState(as: FarmMember(hello, coordinator: "tcp://c:1", timeout: 100_000))
      _ = on(.started)
    }

    mutating func on(_ event: RolloutState.Event) -> [RolloutState.Effect] { state.on(event, now: now) }

    mutating func receive(_ message: Message) -> [RolloutState.Effect] { on(.received(message)) }

    mutating func wait(_ span: Milliseconds) -> [RolloutState.Effect] {
      var effects: [RolloutState.Effect] = []
      for _ in 0..<span / 100 {
        now += 100
        effects += on(.tick(tokensSampled: 0))
      }
      return effects
    }

    mutating func join(protocolVersion: UInt32 = Wire.protocolVersion, runID: String = "run") -> [RolloutState.Effect] {
      receive(
        .welcome(
          Welcome(
            protocolVersion: protocolVersion, runID: runID, name: "w2", heartbeatMilliseconds: 500, incarnation: 1)))
    }
  }

  @Test(
    "Without an answer it logs the wait at growing intervals, with the state of the connection, and fails at the timeout"
  )
  func noCoordinator() {
    var bench = Bench()
    var effects = bench.wait(40_000)
    #expect(
      effects.logs == ["worker w2 waits for coordinator tcp://c:1: an answer to its hello (no connection), for 30.0 s"])
    _ = bench.on(.link(.up))
    effects = bench.wait(50_000)
    #expect(
      effects.logs == ["worker w2 waits for coordinator tcp://c:1: an answer to its hello (connected), for 60.0 s"])
    #expect(effects.ending == nil)
    effects = bench.wait(20_000)
    guard case .failed(let reason)? = effects.ending else { return #expect(Bool(false), "\(effects)") }
    #expect(reason.hasPrefix("timed out: worker w2 waits for coordinator tcp://c:1"))
    #expect(reason.contains("--timeout"))
  }

  @Test("Weights that do not come are named, with the learner that has them")
  func noWeights() {
    var bench = Bench()
    _ = bench.on(.link(.up))
    _ = bench.join()
    _ = bench.receive(.policyAnnounced(PolicyAnnounced(version: PolicyVersion(3), weightsEndpoint: "tcp://l:2")))
    let effects = bench.wait(45_000)
    #expect(effects.logs == ["worker w2 waits for learner tcp://l:2: weights (v3, no connection), for 30.0 s"])
    guard case .failed(let reason)? = bench.wait(60_000).ending else { return #expect(Bool(false), "it waits on") }
    #expect(reason.contains("waits for learner tcp://l:2: weights"))
  }

  @Test("An idle worker whose coordinator is there waits as long as that wants")
  func idle() {
    var bench = Bench()
    _ = bench.on(.link(.up))
    _ = bench.join()
    let effects = bench.wait(300_000)
    #expect(effects.ending == nil)
    #expect(effects.logs.first?.contains("waits for coordinator tcp://c:1: word of weights") == true)
  }

  @Test("A refused key ends it at once, a handshake that always fails after a while, and one that recovers does not")
  func refusedLine() {
    var bench = Bench()
    guard case .failed(let reason)? = bench.on(.link(.refused(reason: "no such key"))).ending else {
      return #expect(Bool(false), "it goes on")
    }
    #expect(reason == "coordinator tcp://c:1: no such key")
    bench = Bench()
    _ = bench.on(.link(.failing(reason: "another key")))
    #expect(bench.wait(10_000).ending == nil)
    _ = bench.on(.link(.up))
    #expect(bench.wait(30_000).ending == nil)
    _ = bench.on(.link(.failing(reason: "another key")))
    guard case .failed(let later)? = bench.wait(30_000).ending else { return #expect(Bool(false), "it goes on") }
    #expect(later.contains("another key"))
  }

  @Test("A learner that refuses its key ends it too")
  func refusedByLearner() {
    var bench = Bench()
    _ = bench.join()
    _ = bench.receive(.policyAnnounced(PolicyAnnounced(version: PolicyVersion(3), weightsEndpoint: "tcp://l:2")))
    guard case .failed(let reason)? = bench.on(.learnerLink(.refused(reason: "no such key"))).ending else {
      return #expect(Bool(false), "it goes on")
    }
    #expect(reason == "learner tcp://l:2: no such key")
  }

  @Test("It leaves a coordinator of another protocol or another run, and says why to both")
  func otherWelcome() {
    for (protocolVersion, runID, why) in [
      (99, "run", "protocol version 99"), (Wire.protocolVersion, "other", "run is other"),
    ] {
      var bench = Bench()
      let effects = bench.join(protocolVersion: protocolVersion, runID: runID)
      guard case .failed(let reason)? = effects.ending else { return #expect(Bool(false), "\(effects)") }
      #expect(reason.contains(why))
      #expect(
        effects.contains { if case .send(.goodbye(let goodbye)) = $0 { goodbye.reason == reason } else { false } })
    }
  }

  @Test("A worker that joins any run belongs to the first that welcomes it: another's versions are other weights")
  func nextRun() {
    var bench = Bench(runID: "")
    #expect(bench.join(runID: "one").ending == nil)
    #expect(bench.join(runID: "one").ending == nil)
    guard case .failed(let reason)? = bench.join(runID: "two").ending else { return #expect(Bool(false), "it stays") }
    #expect(reason.contains("run is two, not one"))
  }
}

extension [RolloutState.Effect] {
  fileprivate var logs: [String] { compactMap { if case .log(let line) = $0 { line } else { nil } } }
  fileprivate var ending: RolloutState.Ending? {
    for case .end(let ending) in self { return ending }
    return nil
  }
}
