import CZeroMQ
import Support

/// From the events of a ROUTER's socket to who was turned away and why, as a pure value.
///
/// libzmq tells of a failure first and of its connection, by the descriptor, right after. A connection that is gone before it
/// is looked at has no address any more. Invariant: at most one line a
/// minute for each host and reason, however often a peer tries.
struct DoorWatch {
  private static let repeatMilliseconds: Milliseconds = 60_000
  private static let recordsMax = 4096

  private let hasKeys: Bool
  private var remotes: [Int32: String] = [:]
  private var reason: String?
  private var toldAt: [String: Milliseconds] = [:]

  init(hasKeys: Bool) { self.hasKeys = hasKeys }

  /// - Parameter remote: HOST:PORT of a descriptor.
  mutating func on(
    _ event: MonitorEvent, now: Milliseconds, remote: (Int32) -> String?
  ) -> String? {
    switch event {
    case .accepted(let descriptor):
      if remotes.count >= Self.recordsMax { remotes = [:] }
      remotes[descriptor] = remote(descriptor)
    case .failedProtocol(ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH):
      reason =
        hasKeys ? "it speaks in the clear, this process has keys" : "it has keys, this process speaks in the clear"
    case .failedProtocol(ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC):
      reason = "its handshake is for another server key"
    case .failedProtocol: reason = "its handshake makes no sense"
    case .failedWithoutDetail:
      reason =
        "it left during the handshake: "
        + (hasKeys ? "it has no keys, or another server's" : "it has keys, or is no peer of this kind")
    // Whoever judged the key has said so.
    case .failedAuthentication, .connected, .handshakeSucceeded: break
    case .disconnected(let descriptor):
      let peer = remotes.removeValue(forKey: descriptor) ?? "an unknown address"
      defer { reason = nil }
      return reason.flatMap { turnedAway(peer, $0, now: now) }
    }
    return nil
  }

  /// The line about somebody who is turned away; nil when it was told a moment ago.
  /// - Parameter peer: HOST:PORT, or what is known of it.
  mutating func turnedAway(_ peer: String, _ reason: String, now: Milliseconds) -> String? {
    let host = peer.lastIndex(of: ":").map { String(peer[..<$0]) } ?? peer
    let key = "\(host) \(reason)"
    if let last = toldAt[key], now - last < Self.repeatMilliseconds { return nil }
    if toldAt.count >= Self.recordsMax { toldAt = [:] }
    toldAt[key] = now
    return "turned away \(peer): \(reason)"
  }
}
