import Coordinator
import Settings
import Testing
import Wire

@Suite("Waits")
struct WaitTests {
  @Test("A wait that lasts is logged at growing intervals, with who, for whom and what, and its end is logged too")
  func watchdog() {
    var bench = Bench()
    let lines = bench.wait(250_000).logs
    #expect(
      lines == [30, 60, 120, 240].map { "coordinator waits for a learner: to train step 1, for \($0).0 s" })
    bench.joinLearner()
    let after = bench.wait(1000).logs
    #expect(after.contains { $0.hasPrefix("over: coordinator waits for a learner: to train step 1, for 25") })
  }

  @Test("A wait that is over before it was long is not mentioned")
  func shortWait() {
    var bench = Bench()
    var lines = bench.wait(20_000).logs
    lines += bench.joinLearner().logs
    lines += bench.wait(1000).logs
    #expect(!lines.contains { $0.contains("waits for a learner") })
  }

  @Test(
    "A wait that reaches the timeout ends the run, which names the edge",
    arguments: ["a learner", "a worker", "learner: step 1's update"])
  func timeout(edge: String) {
    var bench = Bench { $0.farm.timeoutSeconds = 40 }
    switch edge {
    case "a learner": break
    case "a worker": bench.joinLearner()
    default: bench.work(bench.start(), by: 1)
    }
    #expect(bench.wait(35_000).outcome == nil)
    let effects = bench.wait(10_000)
    let goodbye = effects.messages().contains { if case .goodbye = $0 { true } else { false } }
    #expect(goodbye || bench.state.outcome != nil)
    bench.silence(Bench.learner)
    let outcome = effects.outcome ?? bench.wait(130_000).outcome
    guard case .failed(let reason)? = outcome else { return #expect(Bool(false), "\(String(describing: outcome))") }
    #expect(reason.hasPrefix("coordinator waits for \(edge)"))
    #expect(reason.contains("timeout_seconds"))
  }
}
