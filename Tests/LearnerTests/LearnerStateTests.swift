import Learner
import Support
import Testing
import Wire

/// A learner state and its clock.
private struct Harness {
  var state: LearnerState
  var now: Milliseconds = 0

  init(start: TrainerState = TrainerState(), stepCount: UInt32 = 100, checkpointEvery: UInt32 = 2) {
    state = LearnerState(
      as: FarmMember(
        Hello(
          role: .learner, runID: "run", name: "learner", incarnation: 7, host: "h", threads: 2,
          weightsEndpoint: "tcp://a:1")),
      start: start, bestAccuracy: nil, stepCount: stepCount, checkpointEvery: checkpointEvery)
    _ = on(.started)
    _ = receive(welcome(1))
  }

  mutating func on(_ event: LearnerState.Event) -> [LearnerState.Effect] { state.on(event, now: now) }
  mutating func receive(_ message: Message) -> [LearnerState.Effect] { on(.received(message)) }
  mutating func wait(_ span: Milliseconds) -> [LearnerState.Effect] {
    now += span
    return on(.tick)
  }

  /// A whole step: batch, training, completion.
  mutating func train(_ step: UInt32) -> [LearnerState.Effect] {
    #expect(receive(batch(step)) == [.train(TrainBatch(step: step, cursor: 8, groups: []))])
    return on(.trained(completed(step), cursor: 8))
  }
}

private func welcome(_ incarnation: UInt64) -> Message {
  .welcome(Welcome(runID: "run", name: "learner", heartbeatMilliseconds: 500, incarnation: incarnation))
}

private func batch(_ step: UInt32) -> Message { .trainBatch(TrainBatch(step: step, cursor: 8, groups: [])) }

private func completed(_ step: UInt32) -> StepCompleted {
  StepCompleted(step: step, version: PolicyVersion(UInt64(step) + 1), metrics: ["loss": 1])
}

private func evaluated(_ step: UInt32, _ accuracy: Float) -> Message {
  .evaluated(Evaluated(version: PolicyVersion(UInt64(step)), step: step, accuracy: accuracy))
}

extension [LearnerState.Effect] {
  fileprivate var hellos: [Hello] {
    compactMap { if case .send(.hello(let hello)) = $0 { hello } else { nil } }
  }
  fileprivate var completions: [StepCompleted] {
    compactMap { if case .send(.stepCompleted(let completed)) = $0 { completed } else { nil } }
  }
  fileprivate var heartbeats: [Heartbeat] {
    compactMap { if case .send(.heartbeat(let beat)) = $0 { beat } else { nil } }
  }
}

@Suite("A learner trains each step once")
struct LearnerSteps {
  @Test("Its hello says where training stands")
  func hello() {
    var state = LearnerState(
      as: FarmMember(
        Hello(
          role: .learner, runID: "run", name: "l", incarnation: 1, host: "h", threads: 1,
          weightsEndpoint: "tcp://a:1")),
      start: TrainerState(nextStep: 20, policyVersion: PolicyVersion(20), cursor: 160), bestAccuracy: nil,
      stepCount: 100, checkpointEvery: 20)
    let hello = state.on(.started, now: 0).hellos.first
    #expect(hello?.role == .learner)
    #expect(hello?.nextStep == 20)
    #expect(hello?.cursor == 160)
    #expect(hello?.policyVersion == PolicyVersion(20))
    #expect(hello?.weightsEndpoint == "tcp://a:1")
    #expect(state.on(.tick, now: 500).isEmpty)
    #expect(state.on(.tick, now: 1_000).hellos.count == 1)
  }

  @Test("A repeated batch is trained once, and answered with the stored result once it is done")
  func idempotent() {
    var harness = Harness()
    #expect(harness.receive(batch(0)).count == 1)
    #expect(harness.receive(batch(0)).isEmpty)
    #expect(harness.on(.trained(completed(0), cursor: 8)).completions == [completed(0)])
    #expect(harness.receive(batch(0)).completions == [completed(0)])
    #expect(harness.state.nextStep == 1)
  }

  @Test("A resumed learner answers for the step before its checkpoint, and reports it unasked")
  func resumed() {
    var harness = Harness(
      start: TrainerState(nextStep: 5, policyVersion: PolicyVersion(5), lastCompleted: completed(4)))
    #expect(harness.wait(500).completions == [completed(4)])
    #expect(harness.receive(batch(4)).completions == [completed(4)])
    #expect(harness.receive(batch(5)) == [.train(TrainBatch(step: 5, cursor: 8, groups: []))])
  }

  @Test("A batch of another step is not trained: the learner says where it stands", arguments: [3, 9])
  func otherStep(_ step: UInt32) {
    var harness = Harness(
      start: TrainerState(nextStep: 5, policyVersion: PolicyVersion(5), lastCompleted: completed(4)))
    let effects = harness.receive(batch(step))
    #expect(!effects.contains { if case .train = $0 { true } else { false } })
    #expect(effects.hellos.first?.nextStep == 5)
  }

  @Test("A finished step is reported with every heartbeat until the next batch")
  func repeated() {
    var harness = Harness(checkpointEvery: 0)
    _ = harness.train(0)
    #expect(harness.wait(500).completions == [completed(0)])
    #expect(harness.wait(500).completions == [completed(0)])
    _ = harness.receive(batch(1))
    let effects = harness.wait(500)
    #expect(effects.completions.isEmpty)
    #expect(effects.heartbeats.first?.activity == "training")
    #expect(effects.heartbeats.first?.policyVersion == PolicyVersion(1))
  }

  @Test("It says hello again to a new coordinator, and reports the finished step")
  func newCoordinator() {
    var harness = Harness(checkpointEvery: 0)
    _ = harness.train(0)
    let effects = harness.receive(welcome(2))
    #expect(effects.hellos.first?.nextStep == 1)
    #expect(effects.completions == [completed(0)])
    #expect(harness.receive(welcome(2)).hellos.isEmpty)
  }

  @Test(
    "A welcome without a name is a question: it repeats its hello until the welcome has a name, and is silent otherwise"
  )
  func unknown() {
    var harness = Harness()
    let question = Message.welcome(Welcome(runID: "run", name: "", heartbeatMilliseconds: 500, incarnation: 1))
    let effects = harness.receive(question)
    #expect(effects.hellos.count == 1)
    #expect(effects.heartbeats.isEmpty)
    #expect(harness.receive(question).isEmpty, "once is enough for now")
    #expect(harness.wait(600).heartbeats.isEmpty)
    #expect(harness.wait(600).hellos.count == 1)
    #expect(harness.receive(welcome(1)).heartbeats.count == 1)
  }

  @Test("A batch that makes no sense ends it with the reason, and so does a refusal")
  func ends() {
    var harness = Harness()
    _ = harness.receive(batch(0))
    #expect(harness.on(.trainingFailed("token 9")).last == .end(.failed("token 9")))
    harness = Harness()
    #expect(
      harness.receive(.refused(Refused(reason: "wrong run"))) == [
        .end(.failed("refused by the coordinator: wrong run"))
      ])
  }
}

@Suite("A learner saves checkpoints")
struct LearnerCheckpoints {
  @Test("when they are due, and after the last step; 0 saves the last step only")
  func due() {
    for (every, expected) in [(2, [false, true, false, true, true]), (0, [false, false, false, false, true])] {
      var harness = Harness(stepCount: 5, checkpointEvery: UInt32(every))
      for step in 0..<5 {
        let effects = harness.train(UInt32(step))
        #expect(effects.contains(.save) == expected[step], "every \(every), step \(step)")
        if effects.contains(.save) { _ = harness.on(.saved(step: UInt32(step) + 1)) }
      }
    }
  }

  @Test("and keeps the best of those that were evaluated, saving a better one that was not due")
  func best() {
    var harness = Harness(checkpointEvery: 2)
    #expect(harness.receive(evaluated(0, 0.9)).isEmpty, "the start is on the disk anyway")
    _ = harness.train(0)
    #expect(harness.receive(evaluated(1, 0.3)) == [.save, .keepBest(step: 1, accuracy: 0.3)])
    _ = harness.on(.saved(step: 1))
    #expect(harness.receive(evaluated(1, 0.3)).isEmpty, "repeated")
    _ = harness.train(1)
    _ = harness.on(.saved(step: 2))
    #expect(harness.receive(evaluated(2, 0.2)).isEmpty)
    _ = harness.train(2)
    _ = harness.train(3)
    _ = harness.on(.saved(step: 4))
    #expect(harness.receive(evaluated(4, 0.5)) == [.keepBest(step: 4, accuracy: 0.5)])
  }

  @Test("but none while it trains: the weights would not be those that were evaluated")
  func bestWhileTraining() {
    var harness = Harness(checkpointEvery: 0)
    _ = harness.train(0)
    _ = harness.receive(batch(1))
    #expect(harness.receive(evaluated(1, 0.3)) == [.keepBest(step: 1, accuracy: 0.3)])
  }

  @Test("and continues when one cannot be saved")
  func failure() {
    var harness = Harness(checkpointEvery: 1)
    #expect(harness.train(0).contains(.save))
    #expect(
      harness.on(.saveFailed("disk full")) == [
        .log("disk full; training continues, the earlier checkpoints are untouched")
      ])
    #expect(harness.train(1).contains(.save))
  }

  @Test("The last step's checkpoint cannot be left out: without it the learner ends")
  func lastSaveFailed() {
    var harness = Harness(stepCount: 1)
    #expect(harness.train(0).contains(.save))
    #expect(harness.on(.saveFailed("disk full")).last == .end(.failed("disk full")))
  }
}

@Suite("A learner leaves")
struct LearnerLeaves {
  @Test("A drain while idle saves what is not saved, then ends")
  func idle() {
    var harness = Harness(checkpointEvery: 0)
    _ = harness.train(0)
    #expect(harness.on(.drainRequested) == [.save])
    #expect(
      harness.on(.saved(step: 1)).suffix(2) == [
        .send(.goodbye(Goodbye(reason: "asked to stop"))), .end(.finished("asked to stop")),
      ])
  }

  @Test("A drain with nothing new ends at once")
  func nothingNew() {
    var harness = Harness(start: TrainerState(nextStep: 4, policyVersion: PolicyVersion(4)))
    #expect(harness.on(.drainRequested).last == .end(.finished("asked to stop")))
  }

  @Test("A drain while training finishes the step, reports it, saves, and takes no other batch")
  func training() {
    var harness = Harness(checkpointEvery: 0)
    _ = harness.receive(batch(0))
    #expect(!harness.on(.drainRequested).contains(.save))
    let effects = harness.on(.trained(completed(0), cursor: 8))
    #expect(effects.completions == [completed(0)])
    #expect(effects.contains(.save))
    #expect(harness.receive(batch(1)).isEmpty)
    #expect(harness.on(.saved(step: 1)).last == .end(.finished("asked to stop")))
  }

  @Test("The coordinator's goodbye waits for the checkpoint of the last step")
  func goodbye() {
    var harness = Harness(stepCount: 1)
    #expect(harness.train(0).contains(.save))
    #expect(harness.receive(.goodbye(Goodbye(reason: "finished"))).isEmpty)
    #expect(
      harness.on(.saved(step: 1)).suffix(2) == [
        .send(.goodbye(Goodbye(reason: "finished"))), .end(.finished("finished")),
      ])
  }

  @Test("A last checkpoint that cannot be saved is a failure")
  func failure() {
    var harness = Harness(stepCount: 1)
    _ = harness.train(0)
    _ = harness.receive(.goodbye(Goodbye(reason: "finished")))
    #expect(harness.on(.saveFailed("disk full")).last == .end(.failed("disk full")))
  }
}
