import Coordinator
import FoveaTesting
import Prompts
import Settings
import Support
import Wire

/// A coordinator on the bench: events go in by hand, effects are read by hand, time is moved by hand. Its journal is in
/// memory.
struct Bench {
  var state: CoordinatorState
  var now: Milliseconds = 0
  /// The effects of the last call.
  var effects: [CoordinatorEffect] = []
  var journal = SimulatedJournal()
  private let dataset: SimulatedDataset
  /// Peers that send a heartbeat in `wait`, with what it says.
  var beating: [PeerAddress: Heartbeat] = [:]
  private var beatAt: Milliseconds = 0
  let settings: RunSettings

  static let learner = PeerAddress(bytes: [1])
  static func worker(_ number: UInt8) -> PeerAddress { PeerAddress(bytes: [2, number]) }

  /// Two steps of three prompts, groups of two, no evaluation, a heartbeat of 100 ms.
  init(dataset: SimulatedDataset = SimulatedDataset(), _ change: (inout RunSettings) -> Void = { _ in }) {
    var settings = RunSettings()
    settings.run.steps = 2
    settings.rollout.promptsPerStep = 3
    settings.rollout.groupSize = 2
    settings.rollout.sampling.maxNewTokens = 8
    settings.farm.heartbeatMilliseconds = 100
    settings.farm.heartbeatsMissedMax = 3
    settings.farm.leaseTimeoutSeconds = 5
    settings.evaluation.prompts = 0
    change(&settings)
    self.settings = settings
    self.dataset = dataset
    state = Self.state(settings, dataset, JournalContents(), incarnation: 7, now: 0)
  }

  private static func state(
    _ settings: RunSettings, _ dataset: SimulatedDataset, _ contents: JournalContents, incarnation: UInt64,
    now: Milliseconds
  ) -> CoordinatorState {
    do {
      return try CoordinatorState(
        settings: settings, runID: "run", incarnation: incarnation, dataset: dataset, from: contents, now: now)
    } catch { fatalError("\(error)") }
  }

  /// The coordinator is killed and started again from its journal, with other settings perhaps. Nobody has said hello
  /// yet.
  mutating func restart(_ change: (inout RunSettings) -> Void = { _ in }) {
    var settings = settings
    change(&settings)
    state = Self.state(settings, dataset, journal.contents, incarnation: 8, now: now)
    beating = [:]
  }

  /// Performs what concerns the journal; the other effects are for the test to read.
  @discardableResult
  mutating func on(_ event: CoordinatorEvent) -> [CoordinatorEffect] {
    var all: [CoordinatorEffect] = []
    var open = state.on(event, now: now)
    while !open.isEmpty {
      let effect = open.removeFirst()
      switch effect {
      case .journal(let entries): journal.write(entries)
      case .recall(let step): open += state.on(.recalled(step: step, journal.recall(step: step)), now: now)
      case .send, .record, .log, .finish: all.append(effect)
      }
    }
    effects = all
    return all
  }

  @discardableResult
  mutating func receive(_ message: Message, from peer: PeerAddress) -> [CoordinatorEffect] {
    on(.received(message, from: peer))
  }

  /// Lets time pass: a tick every 50 ms, a heartbeat of each beating peer every 100 ms.
  /// - Returns: all effects meanwhile.
  @discardableResult
  mutating func wait(_ span: Milliseconds) -> [CoordinatorEffect] {
    var all: [CoordinatorEffect] = []
    let end = now + span
    while now < end {
      now = min(end, now + 50)
      if now - beatAt >= 100 {
        beatAt = now
        for peer in beating.keys.sorted() { all += receive(.heartbeat(beating[peer]!), from: peer) }
      }
      all += on(.tick)
    }
    effects = all
    return all
  }

  // MARK: Peers

  static func workerHello(_ number: UInt8, slots: UInt32 = 16, name: String? = nil) -> Hello {
    Hello(
      role: .worker, name: name ?? "w\(number)", incarnation: 100 + UInt64(number), host: "host",
      slots: slots)
  }

  static func learnerHello(incarnation: UInt64 = 50, step: UInt32 = 0, version: UInt64? = nil, cursor: UInt64 = 0)
    -> Hello
  {
    Hello(
      role: .learner, name: "learner", incarnation: incarnation, host: "host",
      policyVersion: PolicyVersion(version ?? UInt64(step)), weightsEndpoint: "tcp://weights", nextStep: step,
      cursor: cursor)
  }

  /// A worker joins and reports that it holds a version and has credit.
  @discardableResult
  mutating func join(
    _ number: UInt8, holding version: UInt64? = 0, slots: UInt32 = 16, credit: UInt32 = 4
  ) -> [CoordinatorEffect] {
    let welcome = receive(.hello(Self.workerHello(number, slots: slots)), from: Self.worker(number))
    return welcome + beat(number, holding: version, credit: credit)
  }

  @discardableResult
  mutating func beat(
    _ number: UInt8, holding version: UInt64?, credit: UInt32 = 4, active: UInt32 = 1
  ) -> [CoordinatorEffect] {
    let heartbeat = Heartbeat(
      incarnation: 100 + UInt64(number), activity: "decoding", policyVersion: version.map { PolicyVersion($0) },
      credit: credit, activeSamples: active)
    beating[Self.worker(number)] = heartbeat
    return receive(.heartbeat(heartbeat), from: Self.worker(number))
  }

  @discardableResult
  mutating func joinLearner(
    at peer: PeerAddress = Bench.learner, incarnation: UInt64 = 50, step: UInt32 = 0, version: UInt64? = nil,
    cursor: UInt64 = 0
  ) -> [CoordinatorEffect] {
    beating[peer] = Heartbeat(incarnation: incarnation, activity: "idle", policyVersion: nil)
    return receive(
      .hello(Self.learnerHello(incarnation: incarnation, step: step, version: version, cursor: cursor)), from: peer)
  }

  /// A peer falls silent.
  mutating func silence(_ peer: PeerAddress) { beating[peer] = nil }

  // MARK: Work

  static func result(_ lease: Lease, zeroVarianceShare: Float = 0) -> GroupResult {
    GroupResult(lease: lease.id, group: SimulatedPolicy.group(for: lease, zeroVarianceShare: zeroVarianceShare))
  }

  /// A worker hands in a result, and says a little later that it has room again.
  @discardableResult
  mutating func finish(_ lease: Lease, by number: UInt8, zeroVarianceShare: Float = 0) -> [CoordinatorEffect] {
    let result = Self.result(lease, zeroVarianceShare: zeroVarianceShare)
    var all = receive(.groupResult(result), from: Self.worker(number))
    if let heartbeat = beating[Self.worker(number)] {
      now += 25
      all += receive(.heartbeat(heartbeat), from: Self.worker(number))
    }
    effects = all
    return all
  }

  /// Has one worker do whatever is leased to it until nothing more is.
  /// - Returns: all effects meanwhile.
  @discardableResult
  mutating func work(_ leases: [Lease], by number: UInt8, zeroVarianceShare: Float = 0) -> [CoordinatorEffect] {
    var all: [CoordinatorEffect] = []
    var open = leases
    while !open.isEmpty {
      let effects = finish(open.removeFirst(), by: number, zeroVarianceShare: zeroVarianceShare)
      open += effects.leases
      all += effects
    }
    effects = all
    return all
  }

  @discardableResult
  mutating func complete(_ step: UInt32, version: UInt64? = nil, from peer: PeerAddress = Bench.learner)
    -> [CoordinatorEffect]
  {
    receive(
      .stepCompleted(
        StepCompleted(step: step, version: PolicyVersion(version ?? UInt64(step) + 1), metrics: ["loss": 0.5])),
      from: peer)
  }

  /// The learner has made a checkpoint behind so many steps.
  @discardableResult
  mutating func saved(_ step: UInt32, incarnation: UInt64 = 50) -> [CoordinatorEffect] {
    receive(
      .heartbeat(Heartbeat(incarnation: incarnation, activity: "idle", policyVersion: nil, savedStep: step)),
      from: Bench.learner)
  }

  /// A worker and a learner, and the leases of the first step.
  mutating func start(worker number: UInt8 = 1) -> [Lease] {
    joinLearner()
    return join(number).leases
  }
}

extension Lease {
  /// What it is for, as its id says.
  var purpose: LeasePurpose { id.value & 1 == 0 ? .train : .evaluate }
}

extension [CoordinatorEffect] {
  func messages(to peer: PeerAddress? = nil) -> [Message] {
    compactMap { effect in
      guard case .send(let message, to: let address) = effect, peer == nil || peer == address else { return nil }
      return message
    }
  }
  var leases: [Lease] { leases() }
  func leases(to number: UInt8? = nil) -> [Lease] {
    messages(to: number.map { Bench.worker($0) }).compactMap { if case .lease(let lease) = $0 { lease } else { nil } }
  }
  var batches: [TrainBatch] { messages().compactMap { if case .trainBatch(let batch) = $0 { batch } else { nil } } }
  var refusals: [String] {
    messages().compactMap { if case .refused(let refused) = $0 { refused.reason } else { nil } }
  }
  func announced(to peer: PeerAddress) -> [PolicyVersion] {
    messages(to: peer).compactMap { if case .policyAnnounced(let policy) = $0 { policy.version } else { nil } }
  }
  func acknowledged(to number: UInt8) -> [LeaseID] {
    messages(to: Bench.worker(number)).compactMap { if case .resultAcknowledged(let id) = $0 { id } else { nil } }
  }
  var rows: [MetricsRow] { compactMap { if case .record(let row) = $0 { row } else { nil } } }
  var logs: [String] { compactMap { if case .log(let line) = $0 { line } else { nil } } }
  var outcome: CoordinatorOutcome? {
    for case .finish(let outcome) in self { return outcome }
    return nil
  }
}
