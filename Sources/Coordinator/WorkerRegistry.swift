import Support
import Wire

/// A worker, as the coordinator knows it.
package struct WorkerRecord: Equatable, Sendable {
  /// Random per process, and what identifies a worker: its address changes when it connects again.
  package let incarnation: UInt64
  package var address: PeerAddress
  package var name: String
  package let host: String
  /// Samples that it decodes at once.
  package let slots: Int
  package var joinedAt: Milliseconds
  package var heardAt: Milliseconds
  /// Since when it counts as lost; nil while it lives.
  package var lostAt: Milliseconds?
  package var heldVersion: PolicyVersion?
  package var announcedAt: Milliseconds = 0
  /// Samples that it has room for: its free slots by its last heartbeat, less what was granted since; 0 while it takes
  /// no work. (A heartbeat's `credit` counts groups.)
  private(set) package var freeSlots = 0
  /// Grants that a heartbeat may have crossed on its way.
  private var recentGrants: [Grant] = []
  package var activity = "joining"
  package var tokensPerSecond: Float = 0
  package var groupsDone: UInt64 = 0
  /// Heartbeats in a row that report nothing being decoded although leases are out.
  package var idleHeartbeats = 0
  /// Malformed frames and results that it has sent.
  package var violations = 0
  /// A hello in its name that came from elsewhere while it lives.
  fileprivate var challenge: Challenge?

  fileprivate struct Challenge: Equatable, Sendable {
    var address: PeerAddress
    var since: Milliseconds
  }

  private struct Grant: Equatable, Sendable {
    var at: Milliseconds
    var samples: Int
  }
  /// The longest that a heartbeat is supposed to travel. When one takes longer, a worker gets a group too early, which
  /// waits there.
  private static let travelMax: Milliseconds = 20

  init(
    incarnation: UInt64, address: PeerAddress, name: String, host: String, slots: Int, heldVersion: PolicyVersion?,
    now: Milliseconds
  ) {
    self.incarnation = incarnation
    self.address = address
    self.name = name
    self.host = host
    self.slots = slots
    self.heldVersion = heldVersion
    joinedAt = now
    heardAt = now
  }

  /// Samples that it decodes, or is about to.
  package var busySlots: Int { slots - freeSlots }

  /// Takes what a heartbeat says of its room.
  package mutating func report(takesWork: Bool, activeSamples: UInt32, now: Milliseconds) {
    recentGrants.removeAll { $0.at < now - Self.travelMax }
    let free = slots - min(slots, Int(activeSamples)) - recentGrants.reduce(0) { $0 + $1.samples }
    freeSlots = takesWork ? max(0, free) : 0
  }

  package mutating func grant(samples: Int, now: Milliseconds) {
    freeSlots = max(0, freeSlots - samples)
    idleHeartbeats = 0
    recentGrants.removeAll { $0.at < now - Self.travelMax }
    recentGrants.append(Grant(at: now, samples: samples))
  }

  /// A lease came back undone.
  package mutating func giveBack(samples: Int) { freeSlots = min(slots, freeSlots + samples) }

  /// It takes no work until it says so.
  package mutating func takesNothing() { freeSlots = 0 }
}

/// The workers of the farm: membership, incarnations, heartbeats, room for work, and which were lost.
///
/// A worker is lost when it is silent for `silenceMax`; it comes back with any message of the same incarnation. Lost
/// ones are kept, the newest `lostCountMax`, so that they can. Invariants: incarnations, and addresses, of records are
/// unique; names of live workers are unique; the order is that of joining, so that iterating is deterministic.
package struct WorkerRegistry: Equatable, Sendable {
  private static let lostCountMax = 256
  package static let liveCountMax = 4096
  package static let violationsMax = 3

  package let silenceMax: Milliseconds
  /// Live and lost, in the order of joining.
  private(set) package var records: [WorkerRecord] = []
  private var indices: [PeerAddress: Int] = [:]

  package init(silenceMax: Milliseconds) { self.silenceMax = silenceMax }

  package var live: [WorkerRecord] { records.filter { $0.lostAt == nil } }
  package var liveCount: Int { records.reduce(0) { $0 + ($1.lostAt == nil ? 1 : 0) } }

  package func index(at address: PeerAddress) -> Int? { indices[address] }
  package func index(of incarnation: UInt64) -> Int? { records.firstIndex { $0.incarnation == incarnation } }

  package subscript(index: Int) -> WorkerRecord {
    get { records[index] }
    set {
      precondition(newValue.incarnation == records[index].incarnation, "a record keeps its worker")
      precondition(newValue.address == records[index].address, "addresses change by rebind")
      records[index] = newValue
    }
  }

  /// Adds a worker that is not known yet. Its name is made unique among the live.
  /// - Returns: its index.
  package mutating func join(_ hello: Hello, at address: PeerAddress, now: Milliseconds) -> Int {
    precondition(index(of: hello.incarnation) == nil && indices[address] == nil, "already here")
    records.append(
      WorkerRecord(
        incarnation: hello.incarnation, address: address, name: uniqueName(hello.name), host: printable(hello.host),
        slots: Int(hello.slots), heldVersion: hello.policyVersion, now: now))
    indices[address] = records.count - 1
    return records.count - 1
  }

  /// Whether a hello is the worker's own.
  package enum Claim: Equatable, Sendable {
    case own
    /// The worker itself has connected again, or somebody repeats what it once said: that shows shortly.
    case wait
    case replayed
  }

  /// Judges a hello of a known worker. A worker that is still heard at its address, or has another key, did not
  /// send it.
  package mutating func claim(_ index: Int, at address: PeerAddress, now: Milliseconds) -> Claim {
    let record = records[index]
    if record.address.owner != address.owner { return .replayed }
    if record.address == address || record.lostAt != nil { return .own }
    if record.challenge?.address != address {
      records[index].challenge = WorkerRecord.Challenge(address: address, since: now)
    }
    guard let since = records[index].challenge?.since, record.heardAt > since + silenceMax / 2 else { return .wait }
    return .replayed
  }

  /// A known worker speaks from `address`: it connected again.
  package mutating func rebind(_ index: Int, to address: PeerAddress) {
    guard records[index].address != address else { return }
    indices[records[index].address] = nil
    records[index].address = address
    records[index].challenge = nil
    indices[address] = index
  }

  /// The worker was heard. One that comes back gets another name when its own is taken meanwhile.
  /// - Returns: true when it had been lost until now.
  package mutating func heard(_ index: Int, now: Milliseconds) -> Bool {
    records[index].heardAt = now
    guard records[index].lostAt != nil else { return false }
    records[index].name = uniqueName(records[index].name)
    records[index].lostAt = nil
    records[index].idleHeartbeats = 0
    records[index].takesNothing()
    return true
  }

  /// Marks those silent for too long as lost.
  /// - Returns: the newly lost.
  package mutating func loseSilent(now: Milliseconds) -> [WorkerRecord] {
    var lost: [WorkerRecord] = []
    for i in records.indices where records[i].lostAt == nil && now - records[i].heardAt > silenceMax {
      records[i].lostAt = now
      records[i].takesNothing()
      lost.append(records[i])
    }
    if !lost.isEmpty { forgetOldestLost() }
    return lost
  }

  /// The worker is gone for good: it left, was evicted, or another process has its address.
  @discardableResult
  package mutating func remove(_ index: Int) -> WorkerRecord {
    let record = records.remove(at: index)
    reindex()
    return record
  }

  /// The coordinator itself did not run for a while: that was nobody's silence.
  package mutating func extendDeadlines(by span: Milliseconds, now: Milliseconds) {
    for i in records.indices where records[i].lostAt == nil {
      records[i].heardAt = min(now, records[i].heardAt + span)
    }
  }

  private mutating func forgetOldestLost() {
    let lost = records.compactMap { $0.lostAt }.sorted()
    guard lost.count > Self.lostCountMax else { return }
    let oldestKept = lost[lost.count - Self.lostCountMax]
    records.removeAll { $0.lostAt.map { $0 < oldestKept } ?? false }
    reindex()
  }

  private mutating func reindex() {
    indices = [:]
    for (i, record) in records.enumerated() { indices[record.address] = i }
  }

  private func uniqueName(_ wanted: String) -> String {
    let base = printable(wanted).isEmpty ? "worker" : printable(wanted)
    let taken = Set(live.map(\.name))
    guard taken.contains(base) else { return base }
    var suffix = 2
    while taken.contains("\(base)-\(suffix)") { suffix += 1 }
    return "\(base)-\(suffix)"
  }
}

/// A peer's text, safe to show in a terminal and bounded: control characters are left out.
package func printable(_ text: String, countMax: Int = 64) -> String {
  String(
    String.UnicodeScalarView(
      text.unicodeScalars.lazy.filter {
        $0.properties.generalCategory != .control && $0.properties.generalCategory != .format
      }
      .prefix(countMax)))
}
