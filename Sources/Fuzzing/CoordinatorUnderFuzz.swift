import Coordinator
import FoveaTesting
import Settings
import Support
import Wire

/// A coordinator whose peers say anything: an input is a run of events, most of them frames that the input wrote, or
/// spoilt.
///
/// A learner and two workers do their work between, so that a spoilt frame meets a farm in the middle of a step. After
/// every event the coordinator's invariants hold, and at the end its journal makes a coordinator again.
struct CoordinatorUnderFuzz {
  private static let learner = PeerAddress(bytes: [1])
  private static let workers = [PeerAddress(bytes: [2, 1]), PeerAddress(bytes: [2, 2])]
  private static let strangers = [PeerAddress(bytes: [3])]

  private let settings: RunSettings
  private var state: CoordinatorState
  private var journal = SimulatedJournal()
  private var now: Milliseconds = 0
  /// Granted, not yet answered.
  private var leases: [(lease: Lease, worker: PeerAddress)] = []
  private var batch: TrainBatch?
  private var version: UInt64 = 0

  static func run(_ input: FuzzInput) {
    var input = input
    var farm = CoordinatorUnderFuzz(straggler: Int(input.byte()))
    input.events { farm.event(&$0) }
    promise(
      try CoordinatorState(
        settings: farm.settings, runID: "run", incarnation: 8, dataset: SimulatedDataset(heldOutCount: 2),
        from: farm.journal.contents, now: farm.now
      ).brokenInvariants == [], "a journal makes its coordinator again")
  }

  private init(straggler: Int) {
    var settings = SimulatedFarm.smallSettings
    settings.run.steps = 3
    settings.rollout.promptsPerStep = 2
    settings.rollout.groupSize = 2
    settings.evaluation.every = 2
    settings.evaluation.prompts = 2
    settings.farm.attemptsMax = 3
    settings.farm.stragglers = [.wait, .hedge, .partial][straggler % 3]
    settings.rollout.maxStaleness = straggler / 3 % 3
    self.settings = settings
    do {
      state = try CoordinatorState(
        settings: settings, runID: "run", incarnation: 7, dataset: SimulatedDataset(heldOutCount: 2), now: 0)
    } catch { fatalError("\(error)") }
  }

  private mutating func event(_ input: inout FuzzInput) {
    switch input.byte() % 8 {
    case 0:
      now += Milliseconds(input.byte()) * 4
      on(.tick)
    case 1: on(.received(.hello(hello(Self.learner)), from: Self.learner))
    case 2: on(.received(stepCompleted, from: Self.learner))
    case 3:
      let worker = Self.workers[input.integer(below: 2)]
      on(.received(.hello(hello(worker)), from: worker))
      on(.received(heartbeat(worker), from: worker))
    case 4:
      guard let (lease, worker) = leases.popLast() else { return }
      on(.received(.groupResult(result(lease)), from: worker))
      on(.received(heartbeat(worker), from: worker))
    case 5: if input.byte() == 255 { on(.drain) }
    default:
      let peers = [Self.learner] + Self.workers + Self.strangers
      let peer = peers[input.integer(below: peers.count)]
      switch input.received(honest(peer, kind: input.byte())) {
      case .success(let message): on(.received(message, from: peer))
      case .failure(let error): on(.malformed(from: peer, reason: "\(error)"))
      }
    }
  }

  private mutating func on(_ event: CoordinatorEvent) {
    var effects = state.on(event, now: now)
    while !effects.isEmpty {
      switch effects.removeFirst() {
      case .journal(let entries): journal.write(entries)
      case .recall(let step): effects += state.on(.recalled(step: step, journal.recall(step: step)), now: now)
      case .send(let message, let peer): sent(message, to: peer)
      case .record, .log, .finish: break
      }
    }
    let broken = state.brokenInvariants
    promise(broken.isEmpty, "\(broken)")
  }

  /// What the coordinator sends can be sent, and read again.
  private mutating func sent(_ message: Message, to peer: PeerAddress) {
    let frame = MessageCodec.encode(message)
    promise(try MessageCodec.encode(MessageCodec.decode(frame)) == frame, "a peer can read \(message)")
    switch message {
    case .lease(let lease): if Self.workers.contains(peer) { leases.append((lease, peer)) }
    case .trainBatch(let batch): self.batch = batch
    case .policyAnnounced(let policy): version = policy.version.value
    default: break
    }
  }

  // MARK: What sound peers say

  private func honest(_ peer: PeerAddress, kind: UInt8) -> Message {
    switch kind % 6 {
    case 0: .hello(hello(peer))
    case 1: heartbeat(peer)
    case 2: leases.last.map { .groupResult(result($0.lease)) } ?? heartbeat(peer)
    case 3:
      leases.first.map {
        .leaseReturned(LeaseReturned(lease: $0.lease.id, attempt: $0.lease.attempt, cause: .impossible, reason: ""))
      } ?? .statusRequest
    case 4: stepCompleted
    default: .goodbye(Goodbye(reason: "done"))
    }
  }

  private func hello(_ peer: PeerAddress) -> Hello {
    Hello(
      role: peer == Self.learner ? .learner : .worker, runID: "run", name: "peer", incarnation: incarnation(peer),
      host: "host", slots: 8, policyVersion: PolicyVersion(version), weightsEndpoint: "tcp://weights",
      nextStep: UInt32(version))
  }

  private func heartbeat(_ peer: PeerAddress) -> Message {
    .heartbeat(
      Heartbeat(
        incarnation: incarnation(peer), activity: "decoding", policyVersion: PolicyVersion(version), credit: 2,
        activeSamples: 1))
  }

  private func incarnation(_ peer: PeerAddress) -> UInt64 { 100 + UInt64(peer.bytes.last ?? 0) }

  private func result(_ lease: Lease) -> GroupResult {
    GroupResult(lease: lease.id, group: SimulatedPolicy.group(for: lease))
  }

  private var stepCompleted: Message {
    let step = batch?.step ?? 0
    return .stepCompleted(StepCompleted(step: step, version: PolicyVersion(UInt64(step) + 1), metrics: ["loss": 0.5]))
  }
}
