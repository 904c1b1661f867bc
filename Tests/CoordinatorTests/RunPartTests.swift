import Coordinator
import Testing
import Wire

@Suite("Times, steps and strangers of a run")
struct RunPartTests {
  @Test("The clock never goes back")
  func monotone() {
    var clock = RunClock(now: 100)
    clock.advance(to: 50)
    #expect(clock.now == 100)
    clock.advance(to: 150)
    #expect(clock.now == 150)
  }

  @Test("The run's time includes what earlier processes took")
  func elapsed() {
    var clock = RunClock(now: 1000)
    clock.resume(after: 60)
    clock.advance(to: 3500)
    #expect(clock.secondsElapsed == 62.5)
    #expect(clock.secondsElapsed(at: 4000) == 63)
  }

  @Test("Sweeps keep their interval and say how long the last one is ago")
  func sweeps() {
    var clock = RunClock(now: 0)
    clock.advance(to: 99)
    #expect(clock.sweep(every: 100) == nil)
    clock.advance(to: 250)
    #expect(clock.sweep(every: 100) == 250)
    #expect(clock.sweep(every: 100) == nil)
  }

  @Test("A step's time is that since the step before")
  func steps() {
    var clock = RunClock(now: 0)
    clock.advance(to: 2000)
    #expect(clock.completeStep() == 2)
    clock.advance(to: 2500)
    #expect(clock.completeStep() == 0.5)
    #expect(clock.stepCompletedAt == 2500)
  }

  @Test("Steps are opened in order, completed in order, and may be opened again")
  func cursor() {
    var steps = StepCursor(stepCount: 3)
    steps.begin(completed: 1, nextToOpen: 1, nextPrompt: 40)
    steps.open(nextPrompt: 44)
    #expect(steps.nextToOpen == 2)
    #expect(steps.nextPrompt == 44)
    steps.complete()
    #expect(!steps.isComplete)
    steps.complete()
    #expect(steps.isComplete)
    steps.reopen(from: 2, nextPrompt: 44)
    #expect(steps.nextToOpen == 2)
  }

  @Test("A run works until it closes, and has an outcome only when it has finished")
  func lifecycle() {
    let stages: [RunLifecycle] = [
      .running, .draining(since: 1), .closing(.drained, since: 2), .finished(.drained),
    ]
    #expect(stages.map(\.isWorking) == [true, true, false, false])
    #expect(stages.map(\.isDraining) == [false, true, false, false])
    #expect(stages.map(\.outcome) == [nil, nil, nil, .drained])
  }

  @Test("A stranger is asked for a hello once an interval")
  func asking() {
    var strangers = Strangers()
    let peer = PeerAddress(bytes: [1])
    #expect(strangers.asks(peer, every: 100, now: 0) == true)
    #expect(strangers.asks(peer, every: 100, now: 99) == false)
    #expect(strangers.asks(PeerAddress(bytes: [2]), every: 100, now: 99) == true)
    #expect(strangers.asks(peer, every: 100, now: 100) == true)
  }

  @Test("An evicted process is remembered with its reason, and its refusal logged once")
  func evicted() {
    var strangers = Strangers()
    #expect(strangers.reasonForEviction(of: 5) == nil)
    strangers.evict(5, because: "it said goodbye")
    #expect(strangers.reasonForEviction(of: 5) == "it said goodbye")
    #expect(strangers.logsRefusal(of: 5) == true)
    #expect(strangers.logsRefusal(of: 5) == false)
    #expect(strangers.logsRefusal(of: 6) == true)
  }

  @Test("What is remembered of strangers is bounded")
  func bounded() {
    var strangers = Strangers()
    for incarnation in 0..<5000 as Range<UInt64> { strangers.evict(incarnation, because: "test") }
    let remembered = (0..<5000 as Range<UInt64>).count { strangers.reasonForEviction(of: $0) != nil }
    #expect(remembered <= 4096)
    #expect(strangers.reasonForEviction(of: 4999) == "test")
  }

  @Test("A step's row has what both sides measured, and the coordinator's value where both name one")
  func stepRow() {
    var measurements = RunMeasurements()
    measurements.begin(samplesTotal: 100)
    measurements.handOver(["samples": 8, "reward": 0.5])
    let values = measurements.completeStep(learner: ["loss": 2, "reward": 77])
    #expect(values == ["samples": 8, "reward": 0.5, "loss": 2, "samples_total": 108])
    #expect(measurements.handedOver == nil)
    #expect(measurements.samplesTotal == 108)
  }

  @Test("The accuracy at the start is that of the run's first evaluation, over all of its processes")
  func accuracyAtStart() {
    func row(_ step: UInt32, _ accuracy: Double) -> MetricsRow {
      MetricsRow(
        kind: .evaluation, step: step, version: PolicyVersion(0), values: ["heldout_accuracy": accuracy])
    }
    var measurements = RunMeasurements()
    measurements.recover(rows: [row(0, 0.25), row(4, 0.5)], handedOver: nil, lastEvaluated: nil)
    measurements.note(row(8, 0.75))
    #expect(measurements.newest["heldout_accuracy_start"] == 0.25)
    #expect(measurements.newest["heldout_accuracy"] == 0.75)
  }

  @Test("An outbox gives one transaction before the effects, with the counters that have changed, and is empty then")
  func outbox() {
    var outbox = CoordinatorOutbox()
    var counters = FarmCounters()
    counters.late = 3
    outbox.append(.log("first"))
    #expect(outbox.take(counters) == [.log("first")], "nothing is written for counters alone")
    outbox.append(.log("second"))
    outbox.journal(.discardedEvaluation)
    #expect(outbox.take(counters) == [.journal([.discardedEvaluation, .counted(counters)]), .log("second")])
    outbox.journal(.discardedEvaluation)
    #expect(outbox.take(counters) == [.journal([.discardedEvaluation])])
    #expect(outbox.take(counters).isEmpty)
  }
}
