import Core
import Wire

/// The simplest worker that keeps the protocol: hello until welcomed, fetch what is announced, do leases of the version
/// held, repeat results until acknowledged. Samples come from `SimulatedPolicy`.
public struct SimulatedWorker: Sendable {
  /// How a worker behaves.
  public struct Traits: Equatable, Sendable {
    public var slots: UInt32 = 8
    /// From starting a lease to its result.
    public var leaseTime: ClosedRange<Milliseconds> = 20...120
    public var fetchTime: ClosedRange<Milliseconds> = 5...40
    public var heartbeat: Milliseconds = 100
    public var zeroVarianceShare: Float = 0
    /// Prompts whose leases kill the worker.
    public var poison: Set<UInt64> = []
    public init() {}
  }

  /// What it does besides sending.
  public enum Outcome: Equatable, Sendable {
    case lives
    /// Refused, or told goodbye.
    case ended(String)
    /// A prompt killed it.
    case crashed
  }

  private struct Work: Sendable {
    var lease: Lease
    var doneAt: Milliseconds
  }

  public let incarnation: UInt64
  public let name: String
  public private(set) var held: PolicyVersion?
  private let traits: Traits
  private var random: RandomStream
  private var coordinator: UInt64?
  private var helloAt: Milliseconds
  private var heartbeatAt: Milliseconds = 0
  private var target: PolicyVersion?
  private var fetchedAt: Milliseconds = 0
  private var work: [LeaseID: Work] = [:]
  private var results: [LeaseID: (result: GroupResult, resendAt: Milliseconds)] = [:]
  private var groupsDone: UInt64 = 0

  public init(name: String, incarnation: UInt64, traits: Traits, seed: UInt64, now: Milliseconds) {
    self.name = name
    self.incarnation = incarnation
    self.traits = traits
    random = RandomStream(seed: seed, purpose: .test, 2, UInt32(truncatingIfNeeded: incarnation))
    helloAt = now
  }

  /// A message of the coordinator.
  public mutating func receive(_ message: Message, now: Milliseconds) -> (send: [Message], outcome: Outcome) {
    switch message {
    case .welcome(let welcome):
      let isNewProcess = coordinator != nil && coordinator != welcome.incarnation
      coordinator = welcome.incarnation
      helloAt = .max
      return ((isNewProcess ? [hello] : []) + [heartbeat(now: now)], .lives)
    case .policyAnnounced(let announced):
      if announced.version > max(held ?? PolicyVersion(0), target ?? PolicyVersion(0)) || (held == nil && target == nil)
      {
        target = announced.version
        fetchedAt = now + draw(traits.fetchTime)
      }
    case .lease(let lease):
      if traits.poison.contains(lease.prompt) && lease.purpose == .train { return ([], .crashed) }
      if let done = results[lease.id] { return ([.groupResult(done.result)], .lives) }
      guard lease.policyVersion == held else {
        return (
          [
            .leaseReturned(
              LeaseReturned(lease: lease.id, attempt: lease.attempt, cause: .versionNotHeld, reason: "not held"))
          ], .lives
        )
      }
      if work[lease.id] == nil {
        work[lease.id] = Work(lease: lease, doneAt: now + draw(traits.leaseTime))
      } else {
        work[lease.id]?.lease.attempt = lease.attempt
      }
    case .resultAcknowledged(let id):
      results[id] = nil
      work[id] = nil
    case .refused(let refusal): return ([], .ended(refusal.reason))
    case .goodbye(let goodbye): return ([], .ended(goodbye.reason))
    default: break
    }
    return ([], .lives)
  }

  /// - Parameter published: the version that the learner serves now; nil while it is down.
  public mutating func tick(now: Milliseconds, published: PolicyVersion?) -> [Message] {
    var messages: [Message] = []
    if now >= helloAt {
      helloAt = now + 300
      messages.append(hello)
    }
    if let wanted = target, now >= fetchedAt, let published, work.isEmpty {
      // The learner serves its newest; one that has come back from a checkpoint is behind for a while.
      if published >= wanted {
        held = published
        target = nil
      } else {
        fetchedAt = now + draw(traits.fetchTime)
      }
    }
    for id in work.filter({ $0.value.doneAt <= now }).keys.sorted() {
      guard let lease = work.removeValue(forKey: id)?.lease else { continue }
      groupsDone += 1
      let group = SimulatedPolicy.group(for: lease, zeroVarianceShare: traits.zeroVarianceShare)
      let result = GroupResult(lease: id, attempt: lease.attempt, group: group, milliseconds: 1)
      results[id] = (result, now + 500)
      messages.append(.groupResult(result))
    }
    for id in results.keys.sorted() {
      if let waiting = results[id], waiting.resendAt <= now {
        results[id]?.resendAt = now + 500
        messages.append(.groupResult(waiting.result))
      }
    }
    if coordinator != nil && now >= heartbeatAt { messages.append(heartbeat(now: now)) }
    return messages
  }

  private var hello: Message {
    .hello(
      Hello(
        role: .worker, name: name, incarnation: incarnation, host: "simulated", processID: 1, slots: traits.slots,
        policyVersion: held))
  }

  private mutating func heartbeat(now: Milliseconds) -> Message {
    heartbeatAt = now + traits.heartbeat
    let active = work.values.reduce(UInt32(0)) { $0 + $1.lease.groupSize }
    return .heartbeat(
      Heartbeat(
        incarnation: incarnation, activity: active > 0 ? "decoding" : "idle", policyVersion: held,
        credit: held == nil ? 0 : (traits.slots > active ? max(1, (traits.slots - active) / 4) : 0),
        activeSamples: active, groupsDone: groupsDone))
  }

  private mutating func draw(_ range: ClosedRange<Milliseconds>) -> Milliseconds {
    range.lowerBound + Milliseconds(random.integer(below: UInt64(range.upperBound - range.lowerBound) + 1))
  }
}
