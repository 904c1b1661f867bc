import Learner
import Support
import Wire

/// The real learner state on simulated time: training and saving take a while that is drawn, one after the other.
/// Training adds one to the version; saving copies the state of training.
public struct SimulatedLearner: Sendable {
  public struct Traits: Equatable, Sendable {
    public var trainTime: ClosedRange<Milliseconds> = 20...150
    public var saveTime: ClosedRange<Milliseconds> = 5...60
    public init() {}
  }

  public enum Outcome: Equatable, Sendable {
    case lives
    /// It ended because it was refused, drained, or received a goodbye.
    case ended(String)
  }

  private enum Job: Sendable {
    case train(TrainBatch)
    case save
  }

  /// The state of training.
  public private(set) var training: TrainerState
  /// The checkpoint on the disk.
  public private(set) var saved: TrainerState
  private let traits: Traits
  private var state: LearnerState
  private var random: RandomStream
  private var jobs: [Job] = []
  /// When the first job is done.
  private var doneAt: Milliseconds = 0
  private var messages: [Message] = []
  private var outcome = Outcome.lives

  public init(
    incarnation: UInt64, from saved: TrainerState = TrainerState(), stepCount: UInt32, checkpointEvery: UInt32,
    traits: Traits,
    seed: UInt64, now: Milliseconds
  ) {
    self.traits = traits
    self.saved = saved
    training = saved
    random = RandomStream(seed: seed, purpose: .test, 3, UInt32(truncatingIfNeeded: incarnation))
    state = LearnerState(
      as: FarmMember(
        Hello(
          role: .learner, runID: "simulated", name: "learner", incarnation: incarnation, host: "simulated",
          threads: 1,
          weightsEndpoint: "simulated")),
      start: saved, bestAccuracy: nil, stepCount: stepCount, checkpointEvery: checkpointEvery)
    on(.started, now: now)
  }

  /// The version that can be fetched.
  public var published: PolicyVersion { state.version }

  /// A message of the coordinator.
  /// - Returns: what it sends to the coordinator, and whether it lives on.
  public mutating func receive(_ message: Message, now: Milliseconds) -> (send: [Message], outcome: Outcome) {
    on(.received(message), now: now)
    return takeMessages()
  }

  /// Time has come to `now`.
  /// - Parameter isDiskFull: a checkpoint that would be saved now is not.
  /// - Returns: what it sends, whether it lives on, and the batch that it has just trained.
  public mutating func tick(
    now: Milliseconds, isDiskFull: Bool = false
  ) -> (send: [Message], outcome: Outcome, trained: TrainBatch?) {
    var trained: TrainBatch?
    if let job = jobs.first, doneAt <= now {
      jobs.removeFirst()
      startFirstJob(now: now)
      switch job {
      case .train(let batch):
        trained = batch
        let completed = StepCompleted(
          step: batch.step, version: PolicyVersion(training.policyVersion.value + 1), metrics: ["loss": 1])
        training.nextStep += 1
        training.policyVersion = completed.version
        training.cursor = batch.cursor
        training.lastCompleted = completed
        on(.trained(completed, cursor: batch.cursor), now: now)
      case .save where isDiskFull: on(.saveFailed("the disk is full"), now: now)
      case .save:
        saved = training
        on(.saved(step: training.nextStep), now: now)
      }
    }
    on(.tick, now: now)
    let (messages, outcome) = takeMessages()
    return (messages, outcome, trained)
  }

  private mutating func on(_ event: LearnerState.Event, now: Milliseconds) {
    guard outcome == .lives else { return }
    for effect in state.on(event, now: now) {
      switch effect {
      case .send(let message): messages.append(message)
      case .train(let batch): add(.train(batch), now: now)
      case .save: add(.save, now: now)
      case .keepBest, .log: break
      case .end(.finished(let reason)), .end(.failed(let reason)): outcome = .ended(reason)
      }
    }
  }

  private mutating func add(_ job: Job, now: Milliseconds) {
    jobs.append(job)
    if jobs.count == 1 { startFirstJob(now: now) }
  }

  private mutating func startFirstJob(now: Milliseconds) {
    switch jobs.first {
    case .train: doneAt = now + draw(traits.trainTime)
    case .save: doneAt = now + draw(traits.saveTime)
    case nil: break
    }
  }

  private mutating func takeMessages() -> (send: [Message], outcome: Outcome) {
    defer { messages = [] }
    return (messages, outcome)
  }

  private mutating func draw(_ range: ClosedRange<Milliseconds>) -> Milliseconds {
    range.lowerBound + Milliseconds(random.integer(below: UInt64(range.upperBound - range.lowerBound) + 1))
  }
}
