import Support

/// What a ROUTER knows of the connections that it reads from: the key of each, and how it behaves.
///
/// A connection that sends too much, or too much that makes no sense, is cut, and with keys its key is banned for a
/// minute. Nothing is lost by that: every message of the farm is repeated until it is answered. Invariant: bounded; the
/// connections that were silent for longest are forgotten first.
package struct PeerLedger {
  package struct Record {
    /// nil for ipc, whose connections cannot be distinguished.
    let connection: PeerConnection?
    /// nil for a connection in the clear.
    package let key: PublicKey?
    /// The key as text.
    let owner: String
    /// What it sends is not read any more.
    package fileprivate(set) var isShut = false
    fileprivate var malformed = 0
    fileprivate var allowance = Double(PeerLedger.burst)
    fileprivate var refilledAt: Milliseconds
    fileprivate var surplus = 0

    init(connection: PeerConnection?, key: PublicKey?, now: Milliseconds) {
      self.connection = connection
      self.key = key
      owner = key?.description ?? ""
      refilledAt = now
    }
  }

  package enum Verdict: Equatable {
    case read
    /// Too much: dropped.
    case ignore
    /// A line to log once.
    case complain(String)
    /// The connection is to be closed, with a line for the log.
    case cut(String)
  }

  /// Messages a second that a peer may send for long. A worker sends a few, one that fetches weights a few hundred.
  package static let messagesPerSecond = 1000
  /// Messages that it may send at once: more than queues hold for a process that hung.
  package static let burst = 8192
  /// Beyond both, messages that are dropped before the peer is cut.
  package static let surplusMax = 8192
  package static let recordsMax = 8192

  package private(set) var records: [PeerAddress: Record] = [:]

  package init() {}

  /// The record of a peer; nil before its first message.
  package subscript(peer: PeerAddress) -> Record? { records[peer] }

  /// A peer without a connection that could be cut.
  package mutating func add(_ peer: PeerAddress, now: Milliseconds) {
    add(Record(connection: nil, key: nil, now: now), for: peer)
  }

  mutating func add(_ record: Record, for peer: PeerAddress) {
    if records.count >= Self.recordsMax {
      let kept = records.sorted { $0.value.refilledAt > $1.value.refilledAt }.prefix(Self.recordsMax / 2)
      records = Dictionary(uniqueKeysWithValues: kept.map { ($0.key, $0.value) })
    }
    records[peer] = record
  }

  /// A message of a known peer has come.
  package mutating func arrived(from peer: PeerAddress, now: Milliseconds) -> Verdict {
    guard var record = records[peer] else { preconditionFailure("no record of \(peer)") }
    defer { records[peer] = record }
    if record.isShut { return .ignore }
    let span = Double(max(0, now - record.refilledAt)) / 1000
    record.allowance = min(Double(Self.burst), record.allowance + span * Double(Self.messagesPerSecond))
    record.refilledAt = max(record.refilledAt, now)
    if record.allowance >= 1 {
      record.allowance -= 1
      record.surplus = max(0, record.surplus - 1)
      return .read
    }
    record.surplus += 1
    if record.surplus == 1 {
      return .complain("more than \(Self.messagesPerSecond) messages a second; the rest is dropped")
    }
    guard record.surplus >= Self.surplusMax else { return .ignore }
    record.isShut = true
    return .cut("more than \(Self.messagesPerSecond) messages a second for long; disconnected")
  }

  /// A known peer has sent what is no message.
  /// - Returns: nil when that is only counted.
  package mutating func malformed(from peer: PeerAddress, reason: String) -> Verdict? {
    guard var record = records[peer] else { preconditionFailure("no record of \(peer)") }
    defer { records[peer] = record }
    record.malformed += 1
    if record.malformed == WireLimits.malformedFramesMax {
      record.isShut = true
      return .cut("\(reason); \(record.malformed) malformed frames, disconnected and ignored from now on")
    }
    return record.malformed == 1 ? .complain(reason) : nil
  }

  package mutating func shut(_ peer: PeerAddress) { records[peer]?.isShut = true }
}
