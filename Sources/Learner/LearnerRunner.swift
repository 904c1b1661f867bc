import Foundation
import Settings
import Support
import Synchronization
import Wire

/// Why a learner ended although its run is not over. The reason is one line that names what to fix.
public struct LearnerFailure: Error, Equatable, CustomStringConvertible {
  public var reason: String
  public var description: String { reason }
}

/// The learner's shell: gives the reactor's events to `LearnerState`, performs the effects, and serves weights.
///
/// It decides nothing. The event loop is one task; training and saving happen on a thread of their own (`Trainer`).
public final class LearnerRunner: Sendable {
  private let settings: RunSettings
  private let runID: String
  private let name: String
  private let folder: String
  private let threads: Int
  private let trainers: any PolicyTrainerFactory
  private let reactor: Reactor
  private let weightsEndpoint: String
  private let coordinator: String
  private let incarnation: UInt64
  private let log: @Sendable (String) -> Void
  private let isDrainAsked = Atomic(false)

  /// - Parameters:
  ///   - settings: valid; the settings file has been checked.
  ///   - name: shown to people.
  ///   - runDirectory: the run resumes from its folder `checkpoints` when that holds any; new ones are written there.
  ///   - threads: kernel threads, at least 1.
  ///   - trainers: makes the arithmetic of the learner.
  ///   - reactor: has a DEALER named `control`, connected to the coordinator, and a ROUTER named `weights`. The caller
  ///     closes it, which also sends what is still under way.
  ///   - weightsEndpoint: where workers reach the ROUTER; nil takes the one that it is bound to.
  ///   - coordinator: its endpoint, for people.
  ///   - incarnation: random per process.
  ///   - log: a line for people.
  public init(
    settings: RunSettings, runID: String, name: String = "learner", runDirectory: String, threads: Int,
    trainers: any PolicyTrainerFactory = NativePolicyTrainers(), reactor: Reactor, weightsEndpoint: String? = nil,
    coordinator: String = "",
    incarnation: UInt64 = UInt64.random(in: 1 ... .max),
    log: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    precondition(threads > 0, "\(threads) threads")
    self.settings = settings
    self.runID = runID
    self.name = name
    folder = runDirectory
    self.threads = threads
    self.trainers = trainers
    self.reactor = reactor
    self.weightsEndpoint = weightsEndpoint ?? reactor.boundEndpoint(of: .weights)
    self.coordinator = coordinator
    self.incarnation = incarnation
    self.log = log
  }

  /// Asks the learner to finish its step, save and leave (SIGTERM); `run` then returns. Safe from any thread.
  public func drain() { isDrainAsked.store(true, ordering: .relaxed) }

  /// Runs until the run is over or the learner is drained.
  /// - Returns: why it ended, for people.
  /// - Throws: `InputError` for a model or checkpoint that cannot be loaded, `LearnerFailure` when refused or when the
  ///   last checkpoint could not be saved, `CancellationError` when the task is cancelled.
  @discardableResult
  public func run() async throws -> String {
    var loop = LearnerLoop(reactor: reactor, log: log, makeState: makeState)
    loop.start(settings: settings, folder: folder, threads: threads, trainers: trainers)
    defer { loop.close() }
    var isDraining = false
    for await event in reactor.events {
      try loop.takeOutcomes()
      if !isDraining, isDrainAsked.load(ordering: .relaxed) {
        if !loop.isOpen { return "asked to stop" }
        isDraining = true
        loop.take(.drainRequested)
      }
      loop.take(event)
      switch loop.ending {
      case nil: continue
      case .finished(let reason)?: return reason
      case .failed(let reason)?: throw LearnerFailure(reason: reason)
      }
    }
    throw CancellationError()
  }

  private func makeState(_ start: TrainerState, bestAccuracy: Float?) -> LearnerState {
    LearnerState(
      as: FarmMember(
        Hello(
          role: .learner, runID: runID, name: name, incarnation: incarnation, host: ProcessInfo.processInfo.hostName,
          threads: UInt32(threads), weightsEndpoint: weightsEndpoint),
        coordinator: coordinator, timeout: Milliseconds(settings.farm.timeoutSeconds * 1000)),
      start: start, bestAccuracy: bestAccuracy, stepCount: UInt32(clamping: settings.run.steps),
      checkpointEvery: UInt32(clamping: settings.checkpoint.every))
  }
}

/// The event loop's own: the learner's state, the weights that it serves, and the way to the training thread.
private struct LearnerLoop {
  /// nil until the training thread has opened the run's model.
  private var state: LearnerState?
  private(set) var ending: LearnerState.Ending?
  private let reactor: Reactor
  private let log: @Sendable (String) -> Void
  private let makeState: (TrainerState, _ bestAccuracy: Float?) -> LearnerState
  private let publisher = WeightsPublisher()
  private let commands = Mailbox<Trainer.Command>()
  private let outcomes = Mailbox<Trainer.Outcome>()

  init(
    reactor: Reactor, log: @escaping @Sendable (String) -> Void,
    makeState: @escaping (TrainerState, _ bestAccuracy: Float?) -> LearnerState
  ) {
    self.reactor = reactor
    self.log = log
    self.makeState = makeState
  }

  func start(settings: RunSettings, folder: String, threads: Int, trainers: any PolicyTrainerFactory) {
    let (publisher, commands, outcomes) = (publisher, commands, outcomes)
    let thread = Thread {
      Trainer.run(
        settings: settings, folder: folder, threads: threads, trainers: trainers, publisher: publisher,
        commands: commands, outcomes: outcomes)
    }
    thread.stackSize = 8 << 20
    thread.start()
  }

  func close() { commands.close() }

  /// Whether the run's model is loaded.
  var isOpen: Bool { state != nil }

  // MARK: Events

  /// What the training thread did.
  /// - Throws: `InputError` when the run's model could not be opened.
  mutating func takeOutcomes() throws {
    for outcome in outcomes.take() {
      switch outcome {
      case .opened(let start, let bestAccuracy):
        state = makeState(start, bestAccuracy)
        take(.started)
      case .failed(let error): throw error
      case .event(let event): take(event)
      case .log(let line): log(line)
      }
    }
  }

  mutating func take(_ event: TransportEvent) {
    switch event {
    case .received(let message, .control, from: _): take(.received(message))
    case .received(let message, .weights, from: let peer):
      for answer in publisher.answers(to: message) { reactor.send(answer, on: .weights, to: peer) }
    case .tick: take(.tick)
    case .malformed(let socket, from: let peer, let reason):
      log("a malformed frame of \(peer) on \(socket.rawValue): \(reason)")
    case .connectFailed(_, let endpoint, let reason): log("cannot connect to \(endpoint): \(reason)")
    case .link(let socket, let link):
      if case .failing(let reason) = link { log("\(socket.rawValue): \(reason)") }
      take(.link(link))
    case .access(let socket, let line): log("\(socket.rawValue): \(line)")
    }
  }

  mutating func take(_ event: LearnerState.Event) {
    guard ending == nil, let effects = state?.on(event, now: MonotonicClock.now()) else { return }
    for effect in effects { perform(effect) }
  }

  // MARK: Effects

  private mutating func perform(_ effect: LearnerState.Effect) {
    switch effect {
    case .send(let message): reactor.send(message, on: .control)
    case .train(let batch): commands.post(.train(batch))
    case .save: commands.post(.save)
    case .keepBest(let step, let accuracy): commands.post(.keepBest(step: step, accuracy: accuracy))
    case .log(let line): log(line)
    case .end(let end): ending = end
    }
  }
}
