import Settings
import Support
import Tasks
import Wire

/// The coordinator as a value: an event and the time go in, effects come out. It does no I/O, reads no clock and draws no
/// random number, so the same state runs in production, in unit tests and in the seeded simulator.
///
/// This file holds the parts and routes; each part is a noun with a file of its own: `WorkerRegistry` (who is here),
/// `LearnerSeat` (the learner and its batch), `PromptSource` (what is asked), `LeaseTable` (who does what until when),
/// `StalenessGate` (from which version), `GroupAssembler` (what has come), `EvaluationPlan` (held-out accuracy),
/// `StragglerWatch` (what takes too long), `BatchArchive` (for a learner that comes back). `Recovery` builds the state again from its journal.
///
/// A step's life, synchronous: open it and draw its prompts -> grant leases -> admit groups -> hand the whole batch to the
/// learner -> publish its version -> evaluate when due -> next step. `settle` moves all of it on after every event.
///
/// Invariants: what determines training (a step's prompts, seeds, the order of groups) does not depend on which worker did
/// what; equal events give equal effects; each step is trained by exactly `promptsPerStep` groups, each once; the version
/// never goes back.
public struct CoordinatorState: Sendable {
  let settings: RunSettings
  let runID: String
  let incarnation: UInt64
  let stepCount: UInt32
  var prompts: PromptSource
  let limits: CoordinatorLimits

  var registry: WorkerRegistry
  var seat: LearnerSeat
  var leases: LeaseTable
  var gate: StalenessGate
  var evaluation: EvaluationPlan
  var archive: BatchArchive
  var stragglerWatch: StragglerWatch
  /// Steps being rolled out, the oldest first. Synchronous: one at most.
  var openSteps: [GroupAssembler] = []
  /// Steps trained.
  var completed: UInt32 = 0
  /// The next step to open, and where it draws from.
  var nextToOpen: UInt32 = 0
  var cursor: UInt64 = 0

  var counters = FarmCounters()
  /// Newest value of each metric.
  var newestMetrics: [String: Double] = [:]
  /// Samples trained on since the run began, also by earlier processes.
  var samplesTotal = 0.0
  /// What the coordinator measured of step `completed`, once its batch is handed over.
  var handedOver: [String: Double]?
  var lastEvaluated: Evaluated?
  /// Processes that this coordinator knew and will not hear again, and why.
  var expelled: [UInt64: String] = [:]
  /// When strangers were last told to say hello.
  var askedAt: [PeerAddress: Milliseconds] = [:]
  /// Processes whose refusal stands in the log.
  var refusedLogged: Set<UInt64> = []
  /// Of the run: before this process started, when the run goes on from a journal.
  var startedAt: Milliseconds
  var clock: Milliseconds
  var sweptAt: Milliseconds
  var completedAt: Milliseconds
  var drainingSince: Milliseconds?
  var closing: Closing?
  /// Since when nothing of the queue was granted, or nothing is in it.
  var queueUnmovedSince: Milliseconds
  var watchdog = Watchdog()
  /// How the run ended; nil while it goes on.
  public internal(set) var outcome: CoordinatorOutcome?
  /// Of the event being handled.
  var effects: [CoordinatorEffect] = []
  /// What the journal is to take before those effects.
  var entries: [JournalEntry] = []
  /// As the journal has them.
  var journaledCounters = FarmCounters()
  /// Prompts given up, in order.
  var quarantined: [QuarantinedPrompt] = []

  /// The run is over but for the learner's last checkpoint.
  struct Closing: Sendable {
    var outcome: CoordinatorOutcome
    var since: Milliseconds
  }

  /// - Parameters:
  ///   - settings: valid; the settings file has been checked.
  ///   - runID: what every peer of this run names in its hello.
  ///   - incarnation: random per process.
  ///   - dataset: the task's prompts.
  ///   - contents: of the run's journal; empty for a new run.
  ///   - now: the monotonic clock at the start.
  /// - Throws: `InputError` when the journal contradicts itself.
  public init(
    settings: RunSettings, runID: String, incarnation: UInt64, dataset: any PromptDataset,
    from contents: JournalContents = JournalContents(), now: Milliseconds,
    limits: CoordinatorLimits = CoordinatorLimits()
  ) throws {
    self.settings = settings
    self.runID = runID
    self.incarnation = incarnation
    self.limits = limits
    stepCount = UInt32(clamping: settings.run.steps)
    prompts = PromptSource(dataset: dataset)
    let heartbeat = Milliseconds(max(1, settings.farm.heartbeatMilliseconds))
    let silenceMax = heartbeat * Milliseconds(max(1, settings.farm.heartbeatsMissedMax))
    registry = WorkerRegistry(silenceMax: silenceMax)
    seat = LearnerSeat(silenceMax: silenceMax, resendAfter: heartbeat * limits.resendHeartbeats, now: now)
    leases = LeaseTable(
      attemptsMax: max(1, settings.farm.attemptsMax),
      timeout: Milliseconds(max(0.001, min(settings.farm.leaseTimeoutSeconds, 1e6)) * 1000))
    gate = StalenessGate(maxStaleness: max(0, settings.rollout.maxStaleness))
    evaluation = EvaluationPlan(
      every: max(0, settings.evaluation.every), stepCount: stepCount,
      prompts: prompts.heldOut(count: settings.evaluation.prompts))
    archive = BatchArchive()
    stragglerWatch = StragglerWatch(after: settings.farm.stragglerAfter)
    startedAt = now
    clock = now
    sweptAt = now
    completedAt = now
    queueUnmovedSince = now
    try recover(from: contents)
  }

  /// Handles one event.
  /// - Parameter now: monotonic; a time before the last one counts as the last one.
  /// - Returns: what to do, in order. Nothing once the run has finished, but answers to status requests.
  public mutating func on(_ event: CoordinatorEvent, now: Milliseconds) -> [CoordinatorEffect] {
    clock = max(clock, now)
    if outcome == nil {
      sweepIfDue()
      route(event)
      settle()
    } else if case .received(.statusRequest, let peer) = event {
      send(.statusReport(status(now: clock)), to: peer)
    }
    defer { (effects, entries) = ([], []) }
    if entries.isEmpty { return effects }
    if counters != journaledCounters {
      entries.append(.counted(counters))
      journaledCounters = counters
    }
    return [.journal(entries)] + effects
  }

  private mutating func route(_ event: CoordinatorEvent) {
    switch event {
    case .received(let message, let peer): receive(message, from: peer)
    case .malformed(let peer, let reason): onMalformed(from: peer, reason: reason)
    case .recalled(let step, let groups): onRecalled(step, groups)
    case .tick: break
    case .drain: onDrain()
    }
  }

  private mutating func receive(_ message: Message, from peer: PeerAddress) {
    switch message {
    case .hello(let hello): onHello(hello, from: peer)
    case .heartbeat(let heartbeat): onHeartbeat(heartbeat, from: peer)
    case .groupResult(let result): onGroupResult(result, from: peer)
    case .leaseReturned(let returned): onLeaseReturned(returned, from: peer)
    case .stepCompleted(let done): onStepCompleted(done, from: peer)
    case .goodbye(let goodbye): onGoodbye(goodbye, from: peer)
    case .statusRequest: send(.statusReport(status(now: clock)), to: peer)
    case .welcome, .refused, .policyAnnounced, .lease, .resultAcknowledged, .trainBatch, .evaluated, .statusReport,
      .manifestRequest, .manifest, .chunkRequest, .chunk:
      counters.foreign += 1
    }
  }

  private mutating func settle() {
    if closing == nil { advance() }
    if !leases.hasQueued { queueUnmovedSince = clock }
    if let closing { finish(closing) }
  }

  /// Moves everything on that can move: opens steps, begins and ends evaluations, hands over a batch, grants leases, ends.
  private mutating func advance() {
    guard gate.newest != nil else {
      if drainingSince != nil { close(.drained) }
      return
    }
    endEvaluation()
    if let since = drainingSince {
      handOverBatch()
      if drainIsOver(since: since) { close(.drained) }
      return
    }
    beginEvaluation()
    if isTrained && evaluation.open == nil && (seat.savedStep >= completed || limits.sabotage == .endsUnsaved) {
      return close(.completed)
    }
    openStepsThatMay()
    handOverBatch()
    grantLeases()
  }

  /// The learner has the weights of the last step; they last once a checkpoint has them too.
  var isTrained: Bool { completed >= stepCount && seat.outstanding == nil && seat.nextStep >= completed }

  /// Silence and deadlines, a few times a heartbeat.
  private mutating func sweepIfDue() {
    let span = clock - sweptAt
    guard span >= limits.sweepInterval else { return }
    sweptAt = clock
    if span > limits.sweepInterval + registry.silenceMax / 2 {
      registry.excuse(span, now: clock)
      seat.excuse(span, now: clock)
    }
    for worker in registry.loseSilent(now: clock) { onWorkerLost(worker) }
    if let learner = seat.loseSilent(now: clock) {
      log("learner \(learner.name) is lost: silent for \(seconds(clock - learner.heardAt)) s")
    }
    for release in leases.expire(now: clock) {
      counters.expired += 1
      onRelease(release, cause: "no result within \(settings.farm.leaseTimeoutSeconds) s")
    }
    if closing == nil {
      resendBatchIfDue()
      mindStragglers()
    }
    watch()
  }

  // MARK: Effects

  mutating func send(_ message: Message, to peer: PeerAddress) { effects.append(.send(message, to: peer)) }
  mutating func log(_ line: String) { effects.append(.log(line)) }
  mutating func journal(_ entry: JournalEntry) { entries.append(entry) }

  /// Ends the run by way of the learner's last checkpoint.
  mutating func close(_ outcome: CoordinatorOutcome) {
    guard closing == nil else { return }
    closing = Closing(outcome: outcome, since: clock)
    if let learner = seat.live { send(.goodbye(Goodbye(reason: outcome.reason)), to: learner.address) }
  }

  /// The learner has not left yet: it is a new process, or did not hear.
  mutating func sayGoodbyeAgain() {
    guard let closing, let learner = seat.live else { return }
    send(.goodbye(Goodbye(reason: closing.outcome.reason)), to: learner.address)
  }

  /// Finishes once the learner has left, is lost, or takes too long.
  private mutating func finish(_ closing: Closing) {
    guard seat.live == nil || clock - closing.since >= limits.closingMax else { return }
    if seat.live != nil { log("the learner has not left within \(seconds(limits.closingMax)) s: ends without it") }
    for worker in registry.live {
      send(.goodbye(Goodbye(reason: closing.outcome.reason)), to: worker.address)
    }
    outcome = closing.outcome
    effects.append(.finish(closing.outcome))
  }
}

/// Bounds of the coordinator that no setting names.
public struct CoordinatorLimits: Equatable, Sendable {
  /// Milliseconds between looks at silence and deadlines.
  public var sweepInterval: Milliseconds = 100
  /// A batch without an answer is sent again after so many heartbeats, then less and less often.
  public var resendHeartbeats: Milliseconds = 20
  /// A worker that reports for so many heartbeats that it decodes nothing, although it has leases, gets them again.
  public var idleHeartbeatsMax = 3
  /// The most that draining waits for the open step.
  public var drainMax: Milliseconds = 120_000
  /// The most that the end waits for the learner's last checkpoint.
  public var closingMax: Milliseconds = 120_000
  /// Replacements of groups without variance in a step, as a multiple of its prompts.
  public var replacementsPerPrompt = 2
  /// More quarantined prompts in a step than this multiple of its prompts (and at least 8) end the run.
  public var quarantinedPerPrompt = 2
  /// What is broken, in a test of the tests.
  package var sabotage: Sabotage?
  public init() {}
}

extension CoordinatorOutcome {
  /// One line for peers and people.
  public var reason: String {
    switch self {
    case .completed: "the run is complete"
    case .drained: "the run was asked to stop"
    case .failed(let reason): reason
    }
  }
}

/// A span with one decimal, for people.
func seconds(_ span: Milliseconds) -> String {
  "\(span / 1000).\(abs(span % 1000) / 100)"
}
