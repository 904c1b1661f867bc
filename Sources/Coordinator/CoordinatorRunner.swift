import Settings
import Support
import Synchronization
import Tasks
import Wire

/// A run that could not go on. The reason is one line that names what to fix.
public struct RunFailure: Error, Equatable, CustomStringConvertible {
  public var reason: String
  public var description: String { reason }
}

/// The coordinator's shell: takes events from the reactor, gives them to `CoordinatorState`, performs the effects. What
/// an event changes for good stands in the journal before anything is sent because of it.
///
/// It decides nothing. One task runs it; the state has no other owner.
public final class CoordinatorRunner: Sendable {
  private let settings: RunSettings
  private let runID: String
  private let dataset: any PromptDataset
  private let journal: Journal
  private let reactor: Reactor
  private let observer: CoordinatorObserver
  private let incarnation: UInt64
  private let isDrainAsked = Atomic(false)

  /// - Parameters:
  ///   - settings: valid; the settings file has been checked.
  ///   - runID: what every peer of this run names.
  ///   - dataset: the task's prompts.
  ///   - journal: of the run, which is resumed when the journal holds anything.
  ///   - reactor: has a ROUTER named `control`. The caller closes it, which also sends what is still under way.
  ///   - incarnation: random per process.
  public init(
    settings: RunSettings, runID: String, dataset: any PromptDataset, journal: Journal, reactor: Reactor,
    observer: CoordinatorObserver,
    incarnation: UInt64 = UInt64.random(in: 1 ... .max)
  ) {
    self.settings = settings
    self.runID = runID
    self.dataset = dataset
    self.journal = journal
    self.reactor = reactor
    self.observer = observer
    self.incarnation = incarnation
  }

  /// Asks the run to stop at the next good moment (SIGTERM); `run` then returns `drained`. Safe from any thread.
  public func drain() { isDrainAsked.store(true, ordering: .relaxed) }

  /// Runs the farm to its end.
  /// - Returns: `completed` or `drained`.
  /// - Throws: `RunFailure` when the run cannot go on; `InputError` when the journal cannot be read or written, a full
  ///   disk for example: it is as it was before the event, and the run can be resumed from it; `CancellationError` when
  ///   the task is cancelled.
  @discardableResult
  public func run() async throws -> CoordinatorOutcome {
    let state = try CoordinatorState(
      settings: settings, runID: runID, incarnation: incarnation, dataset: dataset, from: journal.contents(),
      now: MonotonicClock.now())
    var loop = CoordinatorLoop(state: state, journal: journal, reactor: reactor, observer: observer)
    for await event in reactor.events {
      if isDrainAsked.exchange(false, ordering: .relaxed) { try loop.take(.drain) }
      try loop.take(event)
      switch loop.outcome {
      case nil: continue
      case .failed(let reason)?: throw RunFailure(reason: reason)
      case let outcome?: return outcome
      }
    }
    throw CancellationError()
  }
}

/// The state that the event loop owns: the coordinator's, and when the farm was last shown.
private struct CoordinatorLoop {
  private static let statusInterval: Milliseconds = 250

  private var state: CoordinatorState
  private var nextStatusAt = Milliseconds.min
  private let journal: Journal
  private let reactor: Reactor
  private let observer: CoordinatorObserver

  init(state: CoordinatorState, journal: Journal, reactor: Reactor, observer: CoordinatorObserver) {
    self.state = state
    self.journal = journal
    self.reactor = reactor
    self.observer = observer
  }

  /// How the run ended; nil while it goes on.
  var outcome: CoordinatorOutcome? { state.outcome }

  // MARK: Events

  /// What the sockets and the clock report.
  mutating func take(_ event: TransportEvent) throws {
    switch event {
    case .received(let message, .control, from: let peer): try take(.received(message, from: peer))
    case .malformed(.control, from: let peer, let reason): try take(.malformed(from: peer, reason: reason))
    case .tick: try take(.tick)
    case .access(_, let line): observer.log(line)
    case .received, .malformed, .connectFailed, .link: break
    }
    showStatusIfDue()
  }

  mutating func take(_ event: CoordinatorEvent) throws {
    for effect in state.on(event, now: MonotonicClock.now()) { try perform(effect) }
  }

  // MARK: Effects

  private mutating func perform(_ effect: CoordinatorEffect) throws {
    switch effect {
    case .journal(let entries): try journal.write(entries)
    case .recall(let step): try take(.recalled(step: step, journal.recall(step: step)))
    case .send(let message, to: let peer):
      if case .trainBatch(let batch) = message { observer.batch(batch) }
      reactor.send(message, on: .control, to: peer)
    case .record(let row): observer.metrics(row)
    case .log(let line): observer.log(line)
    case .finish(let outcome): observer.log("finished: \(outcome.reason)")
    }
  }

  // MARK: Time

  /// Shows the farm a few times a second, and once at the end.
  private mutating func showStatusIfDue() {
    let now = MonotonicClock.now()
    guard now >= nextStatusAt || outcome != nil else { return }
    nextStatusAt = now + Self.statusInterval
    observer.status(state.status(now: now))
  }
}
