import Coordinator
import Learner
import Prompts
import Settings
import Support
import Wire

/// A whole farm in one value: the real states of coordinator, learner and workers, on a simulated network and clock,
/// with faults.
///
/// Equal seeds give equal runs, so a failing seed can be replayed. Node 0 is the coordinator, node 1 the learner, the
/// rest are workers. A process that ends before the run does is started again, as a supervisor does; each life has an
/// incarnation and an address of its own. The learner's checkpoints and the coordinator's journal outlive their
/// processes. What must hold is checked after every event (`FarmJudge`); the simulation ends at the first violation.
public struct SimulatedFarm {
  public struct Plan: Sendable {
    public var settings = SimulatedFarm.smallSettings
    public var workerCount = 3
    public var workerTraits = SimulatedWorker.Traits()
    public var learnerTraits = SimulatedLearner.Traits()
    public var faults = SimulatedFaults.none
    public var dataset = SimulatedDataset(heldOutCount: 5)
    /// The run has to be over so long after the last fault.
    public var calmMax: Milliseconds = 60_000
    /// A mechanism of the coordinator that is broken on purpose.
    package var sabotage: Sabotage?
    package var broken: BrokenDouble?
    /// Called with each transaction that is committed.
    package var onCommit: (@Sendable ([JournalEntry]) -> Void)?
    public init() {}
  }

  /// A run of a few steps with timings that make a simulated second busy.
  public static var smallSettings: RunSettings {
    var settings = RunSettings()
    settings.run.steps = 8
    settings.rollout.promptsPerStep = 4
    settings.rollout.groupSize = 4
    settings.rollout.sampling.maxNewTokens = 8
    settings.farm.heartbeatMilliseconds = 100
    settings.farm.leaseTimeoutSeconds = 2
    settings.farm.attemptsMax = 1000
    settings.checkpoint.every = 3
    settings.evaluation.every = 3
    settings.evaluation.prompts = 5
    return settings
  }

  /// A part of the simulation that is broken on purpose: as `Sabotage`, but outside the coordinator.
  package enum BrokenDouble: String, CaseIterable, Sendable {
    /// A coordinator that is started again knows nothing.
    case journalIsNotReplayed
    /// Batches of closed steps are not in the journal.
    case batchesAreNotKept
    /// Peers hear of an event before the journal has it.
    case sendsBeforeTheJournal
    /// Transactions are lost with the process.
    case journalIsNotSynced
  }

  struct Packet: Sendable {
    var message: Message
    /// The peer's address: the sender's when it goes to the coordinator, else the receiver's.
    var address: PeerAddress
  }

  enum Process: Sendable {
    case coordinator(CoordinatorState)
    case learner(SimulatedLearner)
    case worker(SimulatedWorker)
  }

  struct Node: Sendable {
    var process: Process?
    var lives: UInt64 = 0
    var connections: UInt8 = 0
    /// When it is down: the start of its next life.
    var startAt: Milliseconds = 0
    /// It stands still until then; what arrives waits.
    var hungUntil: Milliseconds = 0
    var waiting: [SimulatedNetwork<Packet>.Delivery] = []
    var cutUntil: Milliseconds?
    var diskFullUntil: Milliseconds = 0
  }

  private static let stepLength: Milliseconds = 10
  /// More packets under way than this are a storm: peers that answer each other's answers.
  private static let packetsMax = 5000

  let seed: UInt64
  let plan: Plan
  private var clock = SimulatedClock()
  private var random: RandomStream
  private var network: SimulatedNetwork<Packet>
  private var nodes: [Node]
  private var checkpoints = [TrainerState()]
  /// Steps behind the newest checkpoint that was ever made; it may have been damaged since, which nobody could tell.
  private var newestSaved: UInt32 = 0
  private var journal = SimulatedJournal()
  private var judge: FarmJudge
  private var outcome: CoordinatorOutcome?

  public init(seed: UInt64, plan: Plan) {
    self.seed = seed
    self.plan = plan
    random = RandomStream(seed: seed, purpose: .test)
    network = SimulatedNetwork(seed: seed)
    nodes = Array(repeating: Node(), count: 2 + plan.workerCount)
    judge = FarmJudge(plan)
  }

  /// Runs to the end, to the first violation, or to the limit of time.
  public mutating func run() -> FarmVerdict {
    while outcome == nil && judge.violations.isEmpty {
      clock.advance(to: clock.now + Self.stepLength)
      if clock.now > plan.faults.until + plan.calmMax {
        judge.fail("no progress: not over \(plan.calmMax) ms after the last fault; \(waits)")
      }
      if network.count > Self.packetsMax { judge.fail("a storm: \(network.count) packets are under way") }
      startProcesses()
      misbehave()
      while let delivery = network.next(until: clock.now) { deliver(delivery) }
      for index in nodes.indices { tick(index) }
    }
    return judge.verdict(seed: seed, outcome: outcome, duration: clock.now)
  }

  private var waits: [String] {
    guard case .coordinator(let state)? = nodes[0].process else { return ["the coordinator is down"] }
    let status = state.status(now: clock.now)
    return ["\(status.phase), step \(status.step)"] + status.waits
  }

  // MARK: Processes

  private mutating func startProcesses() {
    for index in nodes.indices where nodes[index].process == nil && clock.now >= nodes[index].startAt {
      nodes[index].lives += 1
      nodes[index].connections = 0
      nodes[index].waiting = []
      nodes[index].hungUntil = 0
      let incarnation = UInt64(index + 1) << 32 | nodes[index].lives
      switch index {
      case 0:
        startCoordinator(incarnation)
      case 1:
        nodes[1].process = .learner(
          SimulatedLearner(
            incarnation: incarnation, from: newestCheckpoint(), stepCount: UInt32(plan.settings.run.steps),
            checkpointEvery: UInt32(plan.settings.checkpoint.every), traits: plan.learnerTraits, seed: seed,
            now: clock.now))
      default:
        nodes[index].process = .worker(
          SimulatedWorker(
            name: "worker", incarnation: incarnation, traits: plan.workerTraits, seed: seed, now: clock.now))
      }
    }
  }

  private mutating func startCoordinator(_ incarnation: UInt64) {
    let contents = plan.broken == .journalIsNotReplayed ? JournalContents() : journal.contents
    do {
      let state = try CoordinatorState(
        settings: plan.settings, runID: "simulated", incarnation: incarnation, dataset: plan.dataset, from: contents,
        now: clock.now)
      judge.coordinatorStarts(from: contents)
      nodes[0].process = .coordinator(state)
    } catch { judge.fail("the coordinator cannot start: \(error)") }
  }

  /// The newest one that can be loaded. Of two in a row one is whole.
  private mutating func newestCheckpoint() -> TrainerState {
    if clock.now < plan.faults.until, checkpoints.count > 1, random.uniform() < plan.faults.damagedCheckpoints {
      checkpoints.removeLast()
    }
    return checkpoints[checkpoints.count - 1]
  }

  private mutating func keep(_ checkpoint: TrainerState) {
    if checkpoints.last != checkpoint { checkpoints = [checkpoints[checkpoints.count - 1], checkpoint] }
    newestSaved = max(newestSaved, checkpoint.nextStep)
  }

  private mutating func crash(_ index: Int, for span: Milliseconds) {
    nodes[index].process = nil
    nodes[index].startAt = clock.now + span
  }

  private func address(_ index: Int) -> PeerAddress {
    let lives = nodes[index].lives
    return PeerAddress(bytes: [
      UInt8(index), UInt8(truncatingIfNeeded: lives >> 8), UInt8(truncatingIfNeeded: lives), nodes[index].connections,
    ])
  }

  // MARK: Faults

  private mutating func misbehave() {
    for index in nodes.indices {
      if let until = nodes[index].cutUntil, until <= clock.now {
        nodes[index].cutUntil = nil
        network.setCut(index, false)
      }
    }
    let faults = plan.faults
    let isBad = clock.now < faults.until
    network.faults = isBad ? faults.network : NetworkFaults()
    guard isBad else { return }
    let workers = 2..<nodes.count
    if happens(faults.coordinatorCrashes) { crash(0, for: span()) }
    if happens(faults.learnerCrashes) { crash(1, for: span()) }
    if happens(faults.workerCrashes) { crash(any(of: workers), for: span()) }
    if happens(faults.hangs) { nodes[any(of: 0..<nodes.count)].hungUntil = clock.now + 2 * span() }
    if happens(faults.cuts) {
      let index = any(of: 1..<nodes.count)
      nodes[index].cutUntil = clock.now + 2 * span()
      network.setCut(index, true)
    }
    if happens(faults.partitions) {
      let until = clock.now + 2 * span()
      for index in workers {
        nodes[index].cutUntil = until
        network.setCut(index, true)
      }
    }
    if happens(faults.fullDisks) { nodes[any(of: 0..<2)].diskFullUntil = clock.now + span() }
    if happens(faults.reconnects) { nodes[any(of: 1..<nodes.count)].connections &+= 1 }
  }

  private mutating func happens(_ rate: Float) -> Bool {
    rate > 0 && random.uniform() < rate * Float(Self.stepLength) / 1000
  }

  private mutating func span() -> Milliseconds {
    let range = plan.faults.span
    return range.lowerBound + Milliseconds(random.integer(below: UInt64(range.upperBound - range.lowerBound) + 1))
  }

  private mutating func any(of range: Range<Int>) -> Int {
    range.lowerBound + Int(random.integer(below: UInt64(range.count)))
  }

  // MARK: Messages

  private mutating func deliver(_ delivery: SimulatedNetwork<Packet>.Delivery) {
    let index = delivery.to
    guard nodes[index].process != nil else { return }
    if nodes[index].hungUntil > clock.now {
      nodes[index].waiting.append(delivery)
      return
    }
    let message = delivery.packet.message
    switch nodes[index].process {
    case .coordinator: coordinate(.received(message, from: delivery.packet.address))
    case .learner(var learner):
      guard delivery.packet.address == address(index) else { return }
      let (messages, outcome) = learner.receive(message, now: clock.now)
      nodes[index].process = .learner(learner)
      toCoordinator(messages, from: index)
      if outcome != .lives { crash(index, for: 200) }
    case .worker(var worker):
      guard delivery.packet.address == address(index) else { return }
      let (messages, outcome) = worker.receive(message, now: clock.now)
      nodes[index].process = .worker(worker)
      toCoordinator(messages, from: index)
      if outcome != .lives { crash(index, for: 200) }
    case nil: break
    }
  }

  private mutating func tick(_ index: Int) {
    guard nodes[index].hungUntil <= clock.now else { return }
    if !nodes[index].waiting.isEmpty {
      let waiting = nodes[index].waiting
      nodes[index].waiting = []
      for delivery in waiting { deliver(delivery) }
    }
    switch nodes[index].process {
    case .coordinator: if clock.now % 50 == 0 { coordinate(.tick) }
    case .learner(var learner):
      let (messages, outcome, trained) = learner.tick(
        now: clock.now, isDiskFull: nodes[1].diskFullUntil > clock.now)
      keep(learner.saved)
      nodes[index].process = .learner(learner)
      if let trained { judge.trained(trained, after: learner.training) }
      toCoordinator(messages, from: index)
      if outcome != .lives { crash(index, for: 200) }
    case .worker(var worker):
      let held = worker.held
      let (messages, outcome) = worker.tick(now: clock.now, published: published)
      judge.held(before: held, now: worker.held)
      nodes[index].process = .worker(worker)
      toCoordinator(messages, from: index)
      if outcome != .lives { crash(index, for: 200) }
    case nil: break
    }
  }

  /// What the learner serves, if it can be reached.
  private var published: PolicyVersion? {
    guard case .learner(let learner)? = nodes[1].process, nodes[1].hungUntil <= clock.now, !network.isCut(1) else {
      return nil
    }
    return learner.published
  }

  private mutating func toCoordinator(_ messages: [Message], from index: Int) {
    for message in messages {
      network.send(Packet(message: message, address: address(index)), from: index, to: 0, now: clock.now)
    }
  }

  private mutating func coordinate(_ event: CoordinatorEvent) {
    guard case .coordinator(var state)? = nodes[0].process else { return }
    nodes[0].process = nil  // Not two copies of the state at once.
    var effects =
      plan.sabotage?.handle(event, by: &state, now: clock.now) ?? state.on(event, now: clock.now)
    nodes[0].process = .coordinator(state)
    if case .journal(let entries)? = effects.first {
      effects.removeFirst()
      if plan.broken == .sendsBeforeTheJournal { perform(effects[...]) }
      switch commit(entries) {
      case .done: break
      case .killedBefore: return crash(0, for: span())
      case .full: return crash(0, for: 200)
      case .killedAfter:
        perform(effects.prefix(any(of: 0..<effects.count + 1)))
        return crash(0, for: span())
      }
      judge.journaled(entries)
    }
    judge.coordinator(state)
    if plan.broken != .sendsBeforeTheJournal { perform(effects[...]) }
  }

  private mutating func perform(_ effects: ArraySlice<CoordinatorEffect>) {
    for effect in effects {
      switch effect {
      case .send(let message, to: let peer):
        network.send(Packet(message: message, address: peer), from: 0, to: Int(peer.bytes[0]), now: clock.now)
      case .recall(let step):
        coordinate(.recalled(step: step, plan.broken == .batchesAreNotKept ? [] : journal.recall(step: step)))
      case .record(let row): judge.recorded(row)
      case .finish(.failed(let reason)): judge.fail("the run failed: \(reason)")
      case .finish(let outcome):
        self.outcome = outcome
        if outcome == .completed, newestSaved != UInt32(plan.settings.run.steps) {
          judge.fail("the run is complete, and no checkpoint was made of its last step")
        }
      case .journal: judge.fail("journal entries amid the effects")
      case .log: break
      }
    }
  }

  private enum Commit { case done, killedBefore, killedAfter, full }

  /// A transaction is in the journal as a whole or not at all.
  private mutating func commit(_ entries: [JournalEntry]) -> Commit {
    if nodes[0].diskFullUntil > clock.now { return .full }
    let isBad = clock.now < plan.faults.until
    if isBad && random.uniform() < plan.faults.tornCommits {
      if random.uniform() < 0.5 { return .killedBefore }
      if plan.broken != .journalIsNotSynced {
        journal.write(entries)
        plan.onCommit?(entries)
      }
      return .killedAfter
    }
    journal.write(entries)
    plan.onCommit?(entries)
    if isBad && random.uniform() < plan.faults.slowCommits { nodes[0].hungUntil = clock.now + span() }
    return .done
  }
}
