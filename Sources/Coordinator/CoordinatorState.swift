import Settings
import Support
import Tasks
import Wire

/// The coordinator as a value: an event and the time go in, effects come out. It does no I/O, reads no clock and draws
/// no random number, so the same state runs in production, in unit tests and in the seeded simulator.
///
/// This file holds the parts and routes events to them. Each part is a noun with a file of its own and keeps its own
/// invariants; what takes several parts is an extension here, named after what it does
/// (`CoordinatorState+Granting.swift`).
///
/// A step's life, synchronous: open it and draw its prompts -> grant leases -> admit groups -> hand the whole batch to
/// the learner -> publish its version -> evaluate when due -> next step. `settle` moves all of it on after every event.
///
/// Invariants: what determines training (a step's prompts, seeds, the order of groups) does not depend on which worker
/// did what; equal events give equal effects; each step is trained by exactly `promptsPerStep` groups, each once; the
/// version never goes back.
public struct CoordinatorState: Sendable {
  // MARK: The run

  package let settings: RunSettings
  let runID: String
  let incarnation: UInt64
  let limits: CoordinatorLimits
  package var clock: RunClock
  package var lifecycle = RunLifecycle.running

  // MARK: Processes

  /// The workers.
  package var registry: WorkerRegistry
  package var learnerSlot: LearnerSlot
  package var strangers = Strangers()

  // MARK: Work

  package var prompts: PromptSource
  package var steps: StepCursor
  /// Steps that are being rolled out, the oldest first. Synchronous: one at most.
  package var openSteps: [GroupAssembler] = []
  package var leases: LeaseTable
  /// Which versions a step may be sampled from.
  package var gate: StalenessGate
  package var evaluation: EvaluationPlan
  package var stragglerWatch: StragglerWatch
  /// Batches for a learner that comes back.
  package var archive: BatchArchive
  /// Prompts that failed all their attempts, in order.
  package var quarantined: [QuarantinedPrompt] = []

  // MARK: What is known, and what is said

  package var counters = FarmCounters()
  package var measurements = RunMeasurements()
  var watchdog = Watchdog()
  package var outbox = CoordinatorOutbox()

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
    clock = RunClock(now: now)
    let heartbeat = Milliseconds(max(1, settings.farm.heartbeatMilliseconds))
    let silenceMax = heartbeat * Milliseconds(max(1, settings.farm.heartbeatsMissedMax))
    registry = WorkerRegistry(silenceMax: silenceMax)
    learnerSlot = LearnerSlot(silenceMax: silenceMax, resendAfter: heartbeat * limits.resendHeartbeats, now: now)
    prompts = PromptSource(dataset: dataset)
    steps = StepCursor(stepCount: UInt32(clamping: settings.run.steps))
    leases = LeaseTable(
      attemptsMax: max(1, settings.farm.attemptsMax),
      timeout: Milliseconds(max(0.001, min(settings.farm.leaseTimeoutSeconds, 1e6)) * 1000))
    gate = StalenessGate(maxStaleness: max(0, settings.rollout.maxStaleness))
    evaluation = EvaluationPlan(
      every: max(0, settings.evaluation.every), stepCount: steps.stepCount,
      prompts: prompts.heldOut(count: settings.evaluation.prompts))
    archive = BatchArchive()
    stragglerWatch = StragglerWatch(after: settings.farm.stragglerAfter)
    try recover(from: contents)
  }

  /// How the run ended; nil while it goes on.
  public var outcome: CoordinatorOutcome? { lifecycle.outcome }

  /// Handles one event.
  /// - Parameter now: monotonic; a time before the last one counts as the last one.
  /// - Returns: what to do, in order. Nothing once the run has finished, but answers to status requests.
  public mutating func on(_ event: CoordinatorEvent, now: Milliseconds) -> [CoordinatorEffect] {
    clock.advance(to: now)
    if outcome == nil {
      sweepIfDue()
      route(event)
      settle()
    } else if case .received(.statusRequest, let peer) = event {
      send(.statusReport(status(now: clock.now)), to: peer)
    }
    return outbox.take(counters)
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
    case .statusRequest: send(.statusReport(status(now: clock.now)), to: peer)
    case .welcome, .refused, .policyAnnounced, .lease, .resultAcknowledged, .trainBatch, .evaluated, .statusReport,
      .manifestRequest, .manifest, .chunkRequest, .chunk:
      counters.foreign += 1
    }
  }

  // MARK: After every event

  private mutating func settle() {
    if lifecycle.isWorking { advance() }
    if !leases.hasQueued { clock.queueMoves() }
    finishIfClosed()
  }

  /// Moves everything on that can move: opens steps, begins and ends evaluations, hands over a batch, grants leases,
  /// ends.
  private mutating func advance() {
    guard gate.newest != nil else {
      if lifecycle.isDraining { close(.drained) }
      return
    }
    endEvaluation()
    if case .draining(let since) = lifecycle {
      handOverBatch()
      if drainIsOver(since: since) { close(.drained) }
      return
    }
    beginEvaluation()
    if isTrained && evaluation.open == nil && learnerSlot.savedStep >= steps.completed { return close(.completed) }
    openStepsThatMay()
    handOverBatch()
    grantLeases()
  }

  /// The learner has the weights of the last step; they last once a checkpoint has them too.
  var isTrained: Bool {
    steps.isComplete && learnerSlot.outstanding == nil && learnerSlot.nextStep >= steps.completed
  }

  /// Looks at silence and deadlines, a few times a heartbeat.
  private mutating func sweepIfDue() {
    guard let span = clock.sweep(every: limits.sweepInterval) else { return }
    if span > limits.sweepInterval + registry.silenceMax / 2 {
      registry.extendDeadlines(by: span, now: clock.now)
      learnerSlot.extendDeadlines(by: span, now: clock.now)
    }
    for worker in registry.loseSilent(now: clock.now) { onWorkerLost(worker) }
    if let learner = learnerSlot.loseSilent(now: clock.now) {
      log("learner \(learner.name) is lost: silent for \(seconds(clock.now - learner.heardAt)) s")
    }
    for release in leases.expire(now: clock.now) {
      counters.expired += 1
      onRelease(release, cause: "no result within \(settings.farm.leaseTimeoutSeconds) s")
    }
    if lifecycle.isWorking {
      resendBatchIfDue()
      handleStragglers()
    }
    watchWaits()
  }

  // MARK: Effects

  mutating func send(_ message: Message, to peer: PeerAddress) { outbox.append(.send(message, to: peer)) }
  mutating func log(_ line: String) { outbox.append(.log(line)) }
  mutating func journal(_ entry: JournalEntry) { outbox.journal(entry) }
}

/// Bounds of the coordinator that no setting names.
public struct CoordinatorLimits: Equatable, Sendable {
  /// Milliseconds between looks at silence and deadlines.
  public var sweepInterval: Milliseconds = 100
  /// Heartbeats after which a batch without an answer is sent again; later repetitions come less and less often.
  public var resendHeartbeats: Milliseconds = 20
  /// Heartbeats in a row by which a worker reports that it decodes nothing although it has leases; then it gets them
  /// again.
  public var idleHeartbeatsMax = 3
  /// How long draining waits for the open step.
  public var drainMax: Milliseconds = 120_000
  /// How long the end of the run waits for the learner's last checkpoint.
  public var closingMax: Milliseconds = 120_000
  /// Replacements of groups without variance in a step, as a multiple of its prompts.
  public var replacementsPerPrompt = 2
  /// More quarantined prompts in a step than this multiple of its prompts (and at least 8) end the run.
  public var quarantinedPerPrompt = 2
  public init() {}
}

/// A span with one decimal, for people.
func seconds(_ span: Milliseconds) -> String {
  "\(span / 1000).\(abs(span % 1000) / 100)"
}
