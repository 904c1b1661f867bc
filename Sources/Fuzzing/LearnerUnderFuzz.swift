import FoveaTesting
import Learner
import Support
import Wire

/// A learner whose coordinator says anything, and whose trainer does what it is asked.
struct LearnerUnderFuzz {

  private var state = LearnerState(
    as: FarmMember(
      Hello(
        role: .learner, runID: "run", name: "learner", incarnation: 50, host: "host", threads: 1,
        weightsEndpoint: "tcp://weights:1"), timeout: 20_000),
    start: TrainerState(), bestAccuracy: nil, stepCount: 4, checkpointEvery: 2)
  private var now: Milliseconds = 0
  private var batches: [TrainBatch] = []
  private var saving: [UInt32] = []

  static func run(_ input: FuzzInput) {
    var input = input
    var learner = LearnerUnderFuzz()
    learner.on(.started)
    input.events { learner.event(&$0) }
  }

  private mutating func event(_ input: inout FuzzInput) {
    switch input.byte() % 8 {
    case 0:
      now += Milliseconds(input.byte()) * 8
      on(.tick)
    case 1:
      guard !batches.isEmpty else { return }
      let batch = batches.removeFirst()
      on(
        .trained(
          StepCompleted(step: batch.step, version: PolicyVersion(UInt64(batch.step) + 1), metrics: ["loss": 0.5]),
          cursor: batch.cursor))
    case 2: if let step = saving.popLast() { on(.saved(step: step)) }
    case 3: if saving.popLast() != nil { on(.saveFailed("disk full")) }
    case 4: if input.byte() == 255 { on(.drainRequested) }
    default: if case .success(let message) = input.received(honest(&input)) { on(.received(message)) }
    }
  }

  private func honest(_ input: inout FuzzInput) -> Message {
    let (kind, number) = (input.byte(), UInt64(input.byte() % 6))
    switch kind % 5 {
    case 0:
      return .welcome(Welcome(runID: "run", name: "learner", heartbeatMilliseconds: 100, incarnation: 7 + number / 3))
    case 1, 2:
      let groups = (0..<2).map { prompt in
        SimulatedPolicy.group(
          step: UInt32(number), prompt: UInt64(prompt), seed: 1, groupSize: 2, maxNewTokens: 4,
          version: PolicyVersion(number))
      }
      return .trainBatch(TrainBatch(step: UInt32(number), cursor: number * 2, groups: groups))
    case 3: return .evaluated(Evaluated(version: PolicyVersion(number), step: UInt32(number), accuracy: 0.5))
    default: return .goodbye(Goodbye(reason: "the run is over"))
    }
  }

  private mutating func on(_ event: LearnerState.Event) {
    for effect in state.on(event, now: now) {
      switch effect {
      case .send(let message):
        let frame = MessageCodec.encode(message)
        promise(try MessageCodec.encode(MessageCodec.decode(frame)) == frame, "a coordinator can read \(message)")
      case .train(let batch): batches.append(batch)
      case .save: saving.append(state.nextStep)
      case .keepBest, .log, .end: break
      }
    }
  }
}
