import Core
import Wire

/// What a simulated learner keeps on its disk.
public struct SimulatedCheckpoint: Equatable, Sendable {
  public var nextStep: UInt32 = 0
  public var cursor: UInt64 = 0
  public init() {}

  /// One update a step.
  public var version: PolicyVersion { PolicyVersion(UInt64(nextStep)) }
}

/// The simplest learner that keeps the protocol: hello until welcomed, train each batch once, say so until the next one
/// comes, save every few steps, come back from what is saved.
public struct SimulatedLearner: Sendable {
  public struct Traits: Equatable, Sendable {
    public var trainTime: ClosedRange<Milliseconds> = 20...150
    public var heartbeat: Milliseconds = 100
    public var checkpointEvery: UInt32 = 3
    public init() {}
  }

  public enum Outcome: Equatable, Sendable {
    case lives
    case ended(String)
  }

  public let incarnation: UInt64
  public private(set) var state: SimulatedCheckpoint
  /// The newest on the disk.
  public private(set) var saved: SimulatedCheckpoint
  private let traits: Traits
  private var random: RandomStream
  private var coordinator: UInt64?
  private var helloAt: Milliseconds
  private var heartbeatAt: Milliseconds = 0
  private var training: (batch: TrainBatch, doneAt: Milliseconds)?
  private var lastCompleted: StepCompleted?
  private var isCompletionKnown = true

  public init(
    incarnation: UInt64, from checkpoint: SimulatedCheckpoint, traits: Traits, seed: UInt64, now: Milliseconds
  ) {
    self.incarnation = incarnation
    self.traits = traits
    state = checkpoint
    saved = checkpoint
    random = RandomStream(seed: seed, purpose: .test, 3, UInt32(truncatingIfNeeded: incarnation))
    helloAt = now
  }

  public mutating func receive(_ message: Message, now: Milliseconds) -> (send: [Message], outcome: Outcome) {
    switch message {
    case .welcome(let welcome):
      let isNewProcess = coordinator != nil && coordinator != welcome.incarnation
      coordinator = welcome.incarnation
      helloAt = .max
      return ((isNewProcess ? [hello] : []) + heartbeat(now: now), .lives)
    case .trainBatch(let batch):
      if batch.step == state.nextStep {
        isCompletionKnown = true
        if training == nil {
          let span = UInt64(traits.trainTime.upperBound - traits.trainTime.lowerBound) + 1
          training = (batch, now + traits.trainTime.lowerBound + Milliseconds(random.integer(below: span)))
        }
      } else if let lastCompleted, batch.step == lastCompleted.step {
        return ([.stepCompleted(lastCompleted)], .lives)
      }
    case .refused(let refusal): return ([], .ended(refusal.reason))
    case .goodbye(let goodbye):
      saved = state
      return ([], .ended(goodbye.reason))
    default: break
    }
    return ([], .lives)
  }

  /// - Returns: what to send, and the batch that has just been trained.
  public mutating func tick(now: Milliseconds) -> (send: [Message], trained: TrainBatch?) {
    var messages: [Message] = []
    if now >= helloAt {
      helloAt = now + 300
      messages.append(hello)
    }
    var trained: TrainBatch?
    if let (batch, doneAt) = training, doneAt <= now {
      training = nil
      trained = batch
      state.nextStep += 1
      state.cursor = batch.cursor
      if state.nextStep % traits.checkpointEvery == 0 { saved = state }
      let completed = StepCompleted(step: batch.step, version: state.version, metrics: ["loss": 1])
      lastCompleted = completed
      isCompletionKnown = false
      messages.append(.stepCompleted(completed))
    }
    if coordinator != nil && now >= heartbeatAt { messages += heartbeat(now: now) }
    return (messages, trained)
  }

  private var hello: Message {
    .hello(
      Hello(
        role: .learner, name: "learner", incarnation: incarnation, host: "simulated", processID: 1,
        policyVersion: state.version, weightsEndpoint: "simulated", nextStep: state.nextStep, cursor: state.cursor))
  }

  private mutating func heartbeat(now: Milliseconds) -> [Message] {
    heartbeatAt = now + traits.heartbeat
    let beat = Message.heartbeat(
      Heartbeat(
        incarnation: incarnation, activity: training == nil ? "idle" : "training", policyVersion: state.version))
    guard !isCompletionKnown, let lastCompleted else { return [beat] }
    return [beat, .stepCompleted(lastCompleted)]
  }
}
