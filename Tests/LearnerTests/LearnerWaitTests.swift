import Learner
import Support
import Testing
import Wire

@Suite("A learner says what it waits for, and does not wait for ever")
struct LearnerWaitTests {
  private struct Bench {
    var state = LearnerState(
      as: FarmMember(
        Hello(
          role: .learner, runID: "run", name: "l", incarnation: 7, host: "h", threads: 1,
          weightsEndpoint: "tcp://a:1"), coordinator: "tcp://c:1", timeout: 100_000),
      start: TrainerState(), bestAccuracy: nil, stepCount: 10, checkpointEvery: 0)
    var now: Milliseconds = 0

    init() { _ = on(.started) }

    mutating func on(_ event: LearnerState.Event) -> [LearnerState.Effect] { state.on(event, now: now) }

    mutating func wait(_ span: Milliseconds) -> [LearnerState.Effect] {
      var effects: [LearnerState.Effect] = []
      for _ in 0..<span / 100 {
        now += 100
        effects += on(.tick)
      }
      return effects
    }

    mutating func join(runID: String = "run") -> [LearnerState.Effect] {
      on(.received(.welcome(Welcome(runID: runID, name: "l", heartbeatMilliseconds: 500, incarnation: 1))))
    }

    /// Trains the first step, which is not saved.
    mutating func trainOne() {
      _ = on(.received(.trainBatch(TrainBatch(step: 0, cursor: 8, groups: []))))
      _ = on(.trained(StepCompleted(step: 0, version: PolicyVersion(1), metrics: [:]), cursor: 8))
    }
  }

  @Test("Without an answer it logs the wait, and fails at the timeout")
  func noCoordinator() {
    var bench = Bench()
    #expect(
      bench.wait(40_000).logs == [
        "learner l waits for coordinator tcp://c:1: an answer to its hello (no connection), for 30.0 s"
      ])
    guard case .failed(let reason)? = bench.wait(70_000).ending else { return #expect(Bool(false), "it waits on") }
    #expect(reason.contains("waits for coordinator tcp://c:1"))
    #expect(reason.contains("farm.timeout_seconds"))
  }

  @Test("While the coordinator is connected it waits for groups without a timeout of its own")
  func rollouts() {
    var bench = Bench()
    _ = bench.on(.link(.up))
    _ = bench.join()
    let effects = bench.wait(300_000)
    #expect(effects.ending == nil)
    #expect(effects.logs.first == "learner l waits for coordinator tcp://c:1: step 1's groups (connected), for 30.0 s")
  }

  @Test("A coordinator that does not come back costs no step: it saves, then fails with the reason")
  func lostCoordinator() {
    var bench = Bench()
    _ = bench.on(.link(.up))
    _ = bench.join()
    bench.trainOne()
    _ = bench.on(.link(.down))
    let effects = bench.wait(110_000)
    #expect(effects.contains(.save))
    #expect(effects.ending == nil)
    guard case .failed(let reason)? = bench.on(.saved(step: 1)).ending else {
      return #expect(Bool(false), "it continues")
    }
    #expect(reason.contains("step 2's groups (no connection)"))
  }

  @Test("A refused key and another run end it with the reason")
  func refused() {
    var bench = Bench()
    #expect(
      bench.on(.link(.refused(reason: "no such key"))).ending == .failed("coordinator tcp://c:1: no such key"))
    bench = Bench()
    guard case .failed(let reason)? = bench.join(runID: "other").ending else { return #expect(Bool(false), "it stays") }
    #expect(reason.contains("run is other, not run"))
  }
}

extension [LearnerState.Effect] {
  fileprivate var logs: [String] { compactMap { if case .log(let line) = $0 { line } else { nil } } }
  fileprivate var ending: LearnerState.Ending? {
    for case .end(let ending) in self { return ending }
    return nil
  }
}
