import Prompts
import RolloutWorker
import Support
import Wire

/// The real worker state on simulated time: fetching, loading and decoding take a random while, samples come from
/// `SimulatedPolicy`, and weights are manifests without tensors.
public struct SimulatedWorker: Sendable {
  /// How a worker behaves.
  public struct Traits: Equatable, Sendable {
    public var slots: UInt32 = 8
    /// From starting a lease to its result.
    public var leaseTime: ClosedRange<Milliseconds> = 20...120
    /// Share of leases that take ten times as long.
    public var stragglerShare: Float = 0
    public var fetchTime: ClosedRange<Milliseconds> = 5...40
    public var loadTime: ClosedRange<Milliseconds> = 1...10
    public var zeroVarianceShare: Float = 0
    /// Prompts whose leases kill the worker.
    public var poison: Set<UInt64> = []
    /// Share of groups that are sampled with another version than the lease's, and say so.
    public var carelessShare: Float = 0
    /// Share of groups that lack a sample.
    public var incompleteShare: Float = 0
    public init() {}
  }

  public enum Outcome: Equatable, Sendable {
    case lives
    /// It ended because it was refused, drained, or received a goodbye.
    case ended(String)
    /// A prompt killed it.
    case crashed
  }

  private let traits: Traits
  private var state: RolloutState
  private var random: RandomStream
  /// The newest version announced.
  private var announced = PolicyVersion(0)
  /// When the learner answers the worker's question for a manifest; nil when nothing is asked.
  private var fetchedAt: Milliseconds?
  private var load: (weights: FetchedWeights, at: Milliseconds)?
  private var decoding: [LeaseID: (lease: Lease, at: Milliseconds)] = [:]
  private var messages: [Message] = []
  private var outcome = Outcome.lives

  public init(name: String, incarnation: UInt64, traits: Traits, seed: UInt64, now: Milliseconds) {
    self.traits = traits
    random = RandomStream(seed: seed, purpose: .test, 2, UInt32(truncatingIfNeeded: incarnation ^ incarnation >> 28))
    state = RolloutState(
      as: FarmMember(
        Hello(
          role: .worker, runID: "simulated", name: name, incarnation: incarnation, host: "simulated",
          threads: 1,
          slots: traits.slots)))
    on(.started, now: now)
  }

  /// The version in its engine.
  public var held: PolicyVersion? { state.policyVersion }

  /// A message of the coordinator.
  /// - Returns: what it sends to the coordinator, and whether it lives on.
  public mutating func receive(_ message: Message, now: Milliseconds) -> (send: [Message], outcome: Outcome) {
    if case .policyAnnounced(let policy) = message { announced = max(announced, policy.version) }
    on(.received(message), now: now)
    return takeMessages()
  }

  /// Time has come to `now`.
  /// - Parameter published: the version that the learner serves; nil while it is down.
  /// - Returns: what it sends to the coordinator, and whether it lives on.
  public mutating func tick(now: Milliseconds, published: PolicyVersion?) -> (send: [Message], outcome: Outcome) {
    if let at = fetchedAt, at <= now {
      // The learner serves its newest version; one that has come back from a checkpoint is behind for a while.
      if let published, published >= announced {
        fetchedAt = nil
        on(.receivedFromLearner(.manifest(SimulatedPolicy.weights(of: published))), now: now)
      } else {
        fetchedAt = now + time(traits.fetchTime)
      }
    }
    if let (weights, at) = load, at <= now {
      load = nil
      on(.loaded(weights.payload()), now: now)
    }
    for id in decoding.filter({ $0.value.at <= now }).keys.sorted() {
      guard let lease = decoding.removeValue(forKey: id)?.lease else { continue }
      for _ in 0..<lease.groupSize { on(.sampleFinished(id), now: now) }
      on(.groupDecoded(id), now: now)
      on(.groupFinished(id, group(for: lease)), now: now)
    }
    on(.tick(tokensSampled: 0), now: now)
    return takeMessages()
  }

  /// Any of the samples may be those that are finished.
  private mutating func finishPartially(_ id: LeaseID, sizeMin: Int, now: Milliseconds) {
    guard let lease = decoding.removeValue(forKey: id)?.lease else { return }
    var group = group(for: lease)
    while group.rollouts.count > sizeMin, random.uniform() < 0.7 {
      group.rollouts.remove(at: Int(random.integer(below: UInt64(group.rollouts.count))))
    }
    on(.groupDecoded(id), now: now)
    on(.groupFinished(id, group), now: now)
  }

  private mutating func group(for lease: Lease) -> RolloutGroup {
    var lease = lease
    if random.uniform() < traits.carelessShare, lease.policyVersion.value > 0 {
      let version = lease.policyVersion.value
      lease.policyVersion = PolicyVersion(random.uniform() < 0.5 ? version - 1 : version + 1)
    }
    var group = SimulatedPolicy.group(for: lease, zeroVarianceShare: traits.zeroVarianceShare)
    if random.uniform() < traits.incompleteShare { group.rollouts.removeLast() }
    return group
  }

  private mutating func on(_ event: RolloutState.Event, now: Milliseconds) {
    guard outcome == .lives else { return }
    for effect in state.on(event, now: now) {
      switch effect {
      case .send(let message): messages.append(message)
      case .connectToLearner: break
      case .sendToLearner: fetchedAt = fetchedAt ?? now + time(traits.fetchTime)
      case .load(let weights): load = (weights, now + time(traits.loadTime))
      case .generate(let lease):
        // Held-out prompts are answered greedily.
        if traits.poison.contains(lease.prompt) && lease.sampling.temperature > 0 { outcome = .crashed }
        let factor: Milliseconds = random.uniform() < traits.stragglerShare ? 10 : 1
        decoding[lease.id] = (lease, now + factor * time(traits.leaseTime))
      case .cancel(let id): decoding[id] = nil
      case .finishPartially(let id, let sizeMin): finishPartially(id, sizeMin: sizeMin, now: now)
      case .log: break
      case .end(.finished(let reason)), .end(.failed(let reason)): outcome = .ended(reason)
      }
    }
  }

  private mutating func takeMessages() -> (send: [Message], outcome: Outcome) {
    defer { messages = [] }
    return (messages, outcome)
  }

  private mutating func time(_ range: ClosedRange<Milliseconds>) -> Milliseconds {
    range.lowerBound + Milliseconds(random.integer(below: UInt64(range.upperBound - range.lowerBound) + 1))
  }
}
