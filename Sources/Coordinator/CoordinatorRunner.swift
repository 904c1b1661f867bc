import Settings
import Support
import Synchronization
import Tasks
import Wire

/// Whoever watches a coordinator: the live view, the metrics file, the log. Called in the order of what happens, on the
/// runner's own task, so a callback returns quickly.
public struct CoordinatorObserver: Sendable {
  /// The farm as it is now, a few times a second and once at the end.
  public var status: @Sendable (FarmStatus) -> Void
  /// A row for metrics.jsonl.
  public var metrics: @Sendable (MetricsRow) -> Void
  /// A batch as it goes to the learner; again when it is sent again.
  public var batch: @Sendable (TrainBatch) -> Void
  /// A line for people.
  public var log: @Sendable (String) -> Void

  public init(
    status: @escaping @Sendable (FarmStatus) -> Void = { _ in },
    metrics: @escaping @Sendable (MetricsRow) -> Void = { _ in },
    batch: @escaping @Sendable (TrainBatch) -> Void = { _ in },
    log: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    self.status = status
    self.metrics = metrics
    self.batch = batch
    self.log = log
  }
}

/// A run that could not go on. The reason is one line that names what to mend.
public struct RunFailure: Error, Equatable, CustomStringConvertible {
  public var reason: String
  public var description: String { reason }
}

/// The coordinator's shell: takes events from the reactor, gives them to `CoordinatorState`, performs the effects. What an
/// event changes for good stands in the journal before anything is sent because of it.
///
/// It decides nothing. One task runs it; the state has no other owner.
public final class CoordinatorRunner: Sendable {
  private static let statusInterval: Milliseconds = 250

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
  ///   - journal: of the run; it is gone on from when it holds anything.
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
  /// - Throws: `RunFailure` when the run cannot go on; `InputError` when the journal cannot be read or written, a full disk
  ///   for example: it is as it was before the event, and the run can be resumed from it; `CancellationError` when the task is cancelled.
  @discardableResult
  public func run() async throws -> CoordinatorOutcome {
    var state = try CoordinatorState(
      settings: settings, runID: runID, incarnation: incarnation, dataset: dataset, from: journal.contents(),
      now: MonotonicClock.now())
    var isDraining = false
    var statusAt = Milliseconds.min
    for await event in reactor.events {
      let now = MonotonicClock.now()
      if !isDraining && isDrainAsked.load(ordering: .relaxed) {
        isDraining = true
        try perform(state.on(.drain, now: now), for: &state)
      }
      if case .door(_, let line) = event { observer.log(line) }
      if let event = translate(event) { try perform(state.on(event, now: now), for: &state) }
      if now >= statusAt || state.outcome != nil {
        statusAt = now + Self.statusInterval
        observer.status(state.status(now: now))
      }
      switch state.outcome {
      case nil: continue
      case .failed(let reason)?: throw RunFailure(reason: reason)
      case let outcome?: return outcome
      }
    }
    throw CancellationError()
  }

  private func translate(_ event: TransportEvent) -> CoordinatorEvent? {
    switch event {
    case .received(let message, .control, from: let peer): .received(message, from: peer)
    case .malformed(.control, from: let peer, let reason): .malformed(from: peer, reason: reason)
    case .tick: .tick
    case .received, .malformed, .connectFailed, .link, .door: nil
    }
  }

  private func perform(_ effects: [CoordinatorEffect], for state: inout CoordinatorState) throws {
    for effect in effects {
      switch effect {
      case .journal(let entries): try journal.write(entries)
      case .recall(let step):
        let groups = try journal.recall(step: step)
        try perform(state.on(.recalled(step: step, groups), now: MonotonicClock.now()), for: &state)
      case .send(let message, to: let peer):
        if case .trainBatch(let batch) = message { observer.batch(batch) }
        reactor.send(message, on: .control, to: peer)
      case .record(let row): observer.metrics(row)
      case .log(let line): observer.log(line)
      case .finish(let outcome): observer.log("finished: \(outcome.reason)")
      }
    }
  }
}
