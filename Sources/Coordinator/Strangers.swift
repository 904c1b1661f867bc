import Support
import Wire

/// Processes that are not members of the farm: those that were evicted, and those that the coordinator does not know.
///
/// Invariant: bounded. Each table starts again when it is full; a process that is forgotten is asked for a hello once
/// more, which it answers once, and at worst a line stands in the log a second time.
package struct Strangers: Equatable, Sendable {
  private static let countMax = 4096

  /// Processes that are not let in again, and why.
  private var evicted: [UInt64: String] = [:]
  /// When a process was last asked for a hello.
  private var askedAt: [PeerAddress: Milliseconds] = [:]
  /// Processes whose refusal stands in the log.
  private var refusedInLog: Set<UInt64> = []

  package init() {}

  /// A process that was known will not be heard again.
  package mutating func evict(_ incarnation: UInt64, because reason: String) {
    if evicted.count >= Self.countMax { evicted = [:] }
    evicted[incarnation] = reason
  }

  /// Why a process was evicted; nil when it was not.
  package func reasonForEviction(of incarnation: UInt64) -> String? { evicted[incarnation] }

  /// Whether a process is to be asked for a hello now: once an interval, so that answers to answers cannot pile up.
  package mutating func asks(_ peer: PeerAddress, every interval: Milliseconds, now: Milliseconds) -> Bool {
    if let asked = askedAt[peer], now - asked < interval { return false }
    if askedAt.count >= Self.countMax { askedAt = [:] }
    askedAt[peer] = now
    return true
  }

  /// Whether a refusal is to be logged: the first of each process, however often it asks.
  package mutating func logsRefusal(of incarnation: UInt64) -> Bool {
    if refusedInLog.count >= Self.countMax { refusedInLog = [] }
    return refusedInLog.insert(incarnation).inserted
  }
}
