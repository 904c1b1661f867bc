import CZeroMQ
import Support

/// The state of a DEALER's connection to its server, as far as it is known.
public enum LinkState: Hashable, Sendable {
  case up
  /// No connection, or none any more; ZeroMQ keeps trying.
  case down
  /// The server takes the connection and says nothing: it hangs, or is no server of this kind.
  case silent
  /// The server ends every handshake; the reason is the most likely one.
  case failing(reason: String)
  /// The server has refused this process for good.
  case refused(reason: String)

  /// A description for logs and errors: "no connection".
  public var described: String {
    switch self {
    case .up: "connected"
    case .down: "no connection"
    case .silent: "it takes the connection and says nothing"
    case .failing(let reason), .refused(let reason): reason
    }
  }
}

/// Follows the state of a DEALER's connection by the events of its socket. A pure value.
///
/// A key that is refused, or a server that speaks otherwise, is final. A handshake that the server only cuts short may
/// be a server that is just ending, or a tunnel without one behind it: it is reported after three times.
struct LinkWatch {
  private static let cutsMax = 3

  private let hasKeys: Bool
  private let handshakeMilliseconds: Milliseconds
  private(set) var state = LinkState.down
  private var connectedAt: Milliseconds = 0
  private var cuts = 0

  init(hasKeys: Bool, handshakeMilliseconds: Milliseconds) {
    self.hasKeys = hasKeys
    self.handshakeMilliseconds = handshakeMilliseconds
  }

  /// - Returns: the new state, when it is another one.
  mutating func on(_ event: MonitorEvent, now: Milliseconds) -> LinkState? {
    let before = state
    switch event {
    case .connected: connectedAt = now
    case .accepted: break
    case .handshakeSucceeded:
      state = .up
      cuts = 0
    case .disconnected: if state == .up { state = .down }
    case .failedAuthentication:
      state = .refused(
        reason:
          "the server refuses this process's key: it is not in the server's allow-list (fovea keys add), or revoked")
    case .failedProtocol(ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH):
      state = .refused(
        reason: hasKeys
          ? "the server speaks in the clear, this process has keys (--keys)"
          : "the server takes only peers with keys, this process has none (--keys)")
    case .failedProtocol where hasKeys:
      state = .refused(
        reason: "the server does not prove that it has the key of server.key: another server, or another key")
    case .failedProtocol: state = .refused(reason: "what answers there does not speak this protocol")
    case .failedWithoutDetail: failedWithoutDetail(now)
    }
    return state == before ? nil : state
  }

  private mutating func failedWithoutDetail(_ now: Milliseconds) {
    if now - connectedAt >= handshakeMilliseconds / 2 {
      state = .silent
      return
    }
    cuts += 1
    guard cuts >= Self.cutsMax else { return }
    state = .failing(
      reason: hasKeys
        ? "the server ends the handshake: it has another key than server.key, or takes no keys"
        : "the server ends the handshake: it takes only peers with keys (--keys), or is no server of this kind")
  }
}
