import CZeroMQ
import Support

/// The lines about connections that a ROUTER rejects, made from the events of its socket and from the judgements of
/// `AccessGate`. A pure value.
///
/// libzmq reports a failure first and its connection, by the descriptor, right after. A connection that is gone before
/// it is looked at has no address any more. Invariant: at most one line a minute for each host and reason, however
/// often a peer tries.
struct AccessLog {
  private static let repeatMilliseconds: Milliseconds = 60_000
  private static let recordsMax = 4096

  private let hasKeys: Bool
  private var remotes: [Int32: String] = [:]
  private var reason: String?
  /// When a host and reason were last logged.
  private var loggedAt: [String: Milliseconds] = [:]

  init(hasKeys: Bool) { self.hasKeys = hasKeys }

  /// Takes an event of the socket.
  /// - Parameter remote: HOST:PORT of a descriptor.
  /// - Returns: a line for the log, if the event makes one.
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
    // The judgement of the key is logged by itself.
    case .failedAuthentication, .connected, .handshakeSucceeded: break
    case .disconnected(let descriptor):
      let peer = remotes.removeValue(forKey: descriptor) ?? "an unknown address"
      defer { reason = nil }
      return reason.flatMap { rejected(peer, $0, now: now) }
    }
    return nil
  }

  /// The line about a connection that is rejected; nil when the same was logged a moment ago.
  /// - Parameter peer: HOST:PORT, or what is known of it.
  mutating func rejected(_ peer: String, _ reason: String, now: Milliseconds) -> String? {
    let host = peer.lastIndex(of: ":").map { String(peer[..<$0]) } ?? peer
    let key = "\(host) \(reason)"
    if let last = loggedAt[key], now - last < Self.repeatMilliseconds { return nil }
    if loggedAt.count >= Self.recordsMax { loggedAt = [:] }
    loggedAt[key] = now
    return "rejected \(peer): \(reason)"
  }
}
