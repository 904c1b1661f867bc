import Support
import Wire

/// The learner as a pure value: events in, effects out. It reads no clock and does no I/O; `LearnerRunner` performs the
/// effects, and tests and simulations call it directly.
///
/// It joins with a hello that says where training stands, trains each batch once, and reports the finished
/// step to the coordinator until the coordinator moves past it.
///
/// Invariants:
/// - Steps are trained in order and once: a repeated batch of a finished step is answered with the stored result.
/// - Training and saving run one after the other, in the order of the effects, outside of this value; heartbeats go on
///   meanwhile.
/// - The learner never ends between a step and the checkpoint that keeps it: on a drain it saves first.
public struct LearnerState: Sendable {
  /// The events that the learner handles.
  public enum Event: Equatable, Sendable {
    case started
    /// From the coordinator.
    case received(Message)
    /// The line to the coordinator.
    case link(LinkState)
    /// A batch is trained and its version can be fetched.
    case trained(StepCompleted, cursor: UInt64)
    /// The batch made no sense; the weights are as before.
    case trainingFailed(String)
    /// The checkpoint after `step` steps is on the disk.
    case saved(step: UInt32)
    /// It is not; the earlier ones are untouched.
    case saveFailed(String)
    /// What the training thread is doing, for people.
    case activity(String)
    /// SIGTERM.
    case drainRequested
    /// Several times a heartbeat.
    case tick
  }

  /// The effects that the runner performs.
  public enum Effect: Equatable, Sendable {
    /// Sends a message to the coordinator.
    case send(Message)
    /// Train a batch, after what was asked before.
    case train(TrainBatch)
    /// Save the state of training as it is then.
    case save
    /// Keep the checkpoint after `step` steps as the best one, if it is there.
    case keepBest(step: UInt32, accuracy: Float)
    case log(String)
    case end(Ending)
  }

  /// How a learner ends.
  public enum Ending: Equatable, Sendable {
    /// The run is over, or the learner was drained; a checkpoint keeps the last step.
    case finished(String)
    /// Refused, no coordinator for too long, a batch that makes no sense, or a last checkpoint that could not be saved.
    case failed(String)
  }

  private enum Phase: Equatable {
    case serving
    case draining(reason: String, isFailure: Bool)
    case ended
  }

  private var member: FarmMember
  private let stepCount: UInt32
  private let checkpointEvery: UInt32
  private var phase = Phase.serving

  /// The next step to train.
  public private(set) var nextStep: UInt32
  /// The policy version of the weights that workers can fetch.
  public private(set) var version: PolicyVersion
  private var cursor: UInt64
  private var lastCompleted: StepCompleted?
  private var isCompletionKnown: Bool
  /// The step being trained.
  private var training: UInt32?
  private var savesUnderWay = 0
  private var savedStep: UInt32
  private var bestAccuracy: Float?
  private var activity = "idle"

  /// - Parameters:
  ///   - start: from the checkpoint, or of a new run.
  ///   - bestAccuracy: of the best checkpoint kept so far.
  ///   - stepCount: of the run; the last step is always saved.
  ///   - checkpointEvery: steps between checkpoints; 0 saves the last step only.
  public init(
    as member: FarmMember, start: TrainerState, bestAccuracy: Float?, stepCount: UInt32, checkpointEvery: UInt32
  ) {
    self.member = member
    self.stepCount = stepCount
    self.checkpointEvery = checkpointEvery
    nextStep = start.nextStep
    version = start.policyVersion
    cursor = start.cursor
    lastCompleted = start.lastCompleted
    isCompletionKnown = lastCompleted == nil
    savedStep = start.nextStep
    self.bestAccuracy = bestAccuracy
  }

  /// Takes one event.
  /// - Parameter now: monotonic.
  /// - Returns: the effects, in order.
  public mutating func on(_ event: Event, now: Milliseconds) -> [Effect] {
    guard phase != .ended else { return [] }
    switch event {
    case .started: return join(now: now)
    case .received(let message): return received(message, now: now)
    case .link(let state):
      member.link.on(state, now: now)
      return watchLink(now: now)
    case .trained(let completed, let cursor): return trained(completed, cursor: cursor, now: now)
    case .trainingFailed(let reason):
      return end(.failed(reason))
    case .saved(let step):
      savesUnderWay -= 1
      savedStep = max(savedStep, step)
      member.hastensHeartbeat(now: now)
      return [.log("checkpoint after step \(step)")] + endWhenDrained()
    case .saveFailed(let reason):
      savesUnderWay -= 1
      if isDraining || nextStep == stepCount { return end(.failed(reason)) }
      return [.log("\(reason); training continues, the earlier checkpoints are untouched")]
    case .activity(let text):
      activity = text
      return []
    case .drainRequested: return drain(reason: "asked to stop")
    case .tick: return tick(now: now)
    }
  }

  // MARK: Messages

  private mutating func received(_ message: Message, now: Milliseconds) -> [Effect] {
    switch message {
    case .welcome(let welcome): return welcomed(welcome, now: now)
    case .refused(let refusal):
      phase = .ended
      return [.end(.failed("refused by the coordinator: \(refusal.reason)"))]
    case .goodbye(let goodbye): return drain(reason: goodbye.reason)
    case .trainBatch(let batch): return arrived(batch)
    case .evaluated(let evaluated): return evaluation(evaluated)
    default: return [.log("a message that is not for a learner is ignored")]
    }
  }

  private mutating func welcomed(_ welcome: Welcome, now: Milliseconds) -> [Effect] {
    switch member.welcomed(welcome) {
    case .leave(let reason): return end(.failed(reason))
    case .unknown: return unknown(now: now)
    case .member: return heartbeat(now: now)
    case .newCoordinator:
      return [.log("the coordinator is a new process"), .send(.hello(greeting))] + heartbeat(now: now)
    }
  }

  private mutating func arrived(_ batch: TrainBatch) -> [Effect] {
    if case .draining = phase { return [] }
    if batch.step == training { return [] }
    if batch.step == nextStep {
      isCompletionKnown = true
      training = batch.step
      activity = "training"
      return [.train(batch)]
    }
    if let lastCompleted, batch.step == lastCompleted.step { return [.send(.stepCompleted(lastCompleted))] }
    // The two disagree on where training stands: the learner's word counts, for it has the weights.
    return [.log("a batch of step \(batch.step + 1), but the next is \(nextStep + 1)"), .send(.hello(greeting))]
  }

  private mutating func evaluation(_ evaluated: Evaluated) -> [Effect] {
    if evaluated.step == nextStep { isCompletionKnown = true }
    // The weights that training starts from are on the disk anyway.
    guard evaluated.step > 0, evaluated.accuracy > bestAccuracy ?? -.infinity else { return [] }
    bestAccuracy = evaluated.accuracy
    var effects: [Effect] = []
    if evaluated.version == version, training == nil, savedStep != nextStep { effects += save() }
    return effects + [.keepBest(step: evaluated.step, accuracy: evaluated.accuracy)]
  }

  // MARK: Steps and checkpoints

  private mutating func trained(_ completed: StepCompleted, cursor: UInt64, now: Milliseconds) -> [Effect] {
    precondition(completed.step == training && completed.step == nextStep, "step \(completed.step) was not asked for")
    precondition(completed.version > version, "\(completed.version) after \(version)")
    training = nil
    activity = "idle"
    nextStep += 1
    version = completed.version
    self.cursor = cursor
    lastCompleted = completed
    isCompletionKnown = false
    var effects: [Effect] = [.send(.stepCompleted(completed))]
    member.hastensHeartbeat(now: now)
    let isDue = checkpointEvery > 0 && nextStep % checkpointEvery == 0
    if isDue || nextStep == stepCount || isDraining { effects += save() }
    return effects
  }

  private mutating func save() -> [Effect] {
    savesUnderWay += 1
    return [.save]
  }

  private mutating func drain(reason: String, isFailure: Bool = false) -> [Effect] {
    if isDraining { return [] }
    phase = .draining(reason: reason, isFailure: isFailure)
    guard training == nil else { return [.log("draining after step \(nextStep)")] }
    if savedStep != nextStep, savesUnderWay == 0 { return save() }
    return endWhenDrained()
  }

  private mutating func endWhenDrained() -> [Effect] {
    guard case .draining(let reason, let isFailure) = phase, training == nil, savesUnderWay == 0 else { return [] }
    return savedStep == nextStep ? end(isFailure ? .failed(reason) : .finished(reason)) : save()
  }

  /// The coordinator hears of it, so that it need not wait for the silence.
  private mutating func end(_ ending: Ending) -> [Effect] {
    phase = .ended
    let reason =
      switch ending {
      case .finished(let reason), .failed(let reason): reason
      }
    return [.send(.goodbye(Goodbye(reason: reason))), .end(ending)]
  }

  private var isDraining: Bool { if case .draining = phase { true } else { false } }

  // MARK: Time

  private mutating func tick(now: Milliseconds) -> [Effect] {
    var effects: [Effect] = []
    if isJoining {
      if member.helloIsDue(now: now) { effects = join(now: now) }
    } else if member.heartbeatIsDue(now: now) {
      effects = heartbeat(now: now)
    }
    return effects + watchLink(now: now) + watchWaits(now: now)
  }

  /// A refusal must not cost the work that is done: it drains, which saves first.
  private mutating func watchLink(now: Milliseconds) -> [Effect] {
    guard !isDraining, let reason = member.link.end(now: now) else { return [] }
    return drain(reason: "\(member.coordinatorName): \(reason)", isFailure: true)
  }

  /// Says what does not come, and ends when it has not come for too long.
  private mutating func watchWaits(now: Milliseconds) -> [Effect] {
    guard phase != .ended else { return [] }
    let (lines, end) = member.look(at: pendingWaits, now: now)
    return lines.map { .log($0) } + (end.map { drain(reason: "\($0) (farm.timeout_seconds)", isFailure: true) } ?? [])
  }

  /// What it waits for, and from whom.
  private var pendingWaits: [PendingWait] {
    if let training { return [PendingWait("step \(training + 1)", from: "its training thread", isBounded: false)] }
    if savesUnderWay > 0 { return [PendingWait("a checkpoint", from: "its disk", isBounded: false)] }
    if isJoining { return [member.pendingWelcome] }
    return phase == .serving ? [member.pendingWaitBoundedByCoordinator("step \(nextStep + 1)'s groups")] : []
  }

  /// The coordinator does not know this process: hello until it does. Heartbeats would only be asked about again.
  private mutating func unknown(now: Milliseconds) -> [Effect] {
    if phase != .serving { return [.send(.hello(greeting))] }
    return isJoining && !member.helloIsDue(now: now) ? [] : join(now: now)
  }

  private mutating func join(now: Milliseconds) -> [Effect] {
    member.joins(now: now)
    return [.send(.hello(greeting))]
  }

  private var isJoining: Bool { phase == .serving && member.isJoining }

  private var greeting: Hello {
    var hello = member.hello
    (hello.policyVersion, hello.nextStep, hello.cursor) = (version, nextStep, cursor)
    return hello
  }

  /// A heartbeat, and with it the finished step until the coordinator shows that it knows of it.
  private mutating func heartbeat(now: Milliseconds) -> [Effect] {
    member.beats(now: now)
    let beat = Heartbeat(
      incarnation: member.hello.incarnation,
      activity: training == nil && savesUnderWay > 0 ? "saving a checkpoint" : activity, policyVersion: version,
      savedStep: savedStep)
    var effects: [Effect] = [.send(.heartbeat(beat))]
    if !isCompletionKnown, let lastCompleted { effects.append(.send(.stepCompleted(lastCompleted))) }
    return effects
  }
}
