import CZeroMQ
import Support

/// One socket of the reactor and what belongs to it: its monitor, what waits to be sent, what is known of its peers.
final class ReactorEndpoint {
  private let context: ZeroMQContext
  private let security: SocketSecurity
  private(set) var specification: SocketSpecification
  private(set) var socket: ZeroMQSocket
  private(set) var monitor: SocketMonitor?
  /// Monitors need names of their own in a context.
  private static let stride = 16
  private var monitorNumber: Int
  /// A DEALER's messages that wait for a connection.
  var waiting = WaitingFrames()
  /// A ROUTER's connections.
  var ledger = PeerLedger()
  /// Frames from a DEALER's server that were no messages.
  var malformedCount = 0
  private var link: LinkWatch
  private var accessLog: AccessLog

  var name: SocketName { specification.name }
  var isRouter: Bool {
    if case .router = specification.kind { true } else { false }
  }

  /// - Parameter index: of the socket in its process.
  init(
    _ specification: SocketSpecification, index: Int, security: SocketSecurity, in context: ZeroMQContext
  ) throws {
    self.context = context
    self.security = security
    self.specification = specification
    monitorNumber = index
    link = Self.freshLink(security)
    accessLog = AccessLog(hasKeys: security.keys != nil)
    socket = try ZeroMQSocket(context, kind: specification.zeroMQKind)
    try open()
  }

  deinit { monitor = nil }

  /// The monitor is there before the first connection can be.
  private func open() throws {
    monitor = try SocketMonitor(socket, number: monitorNumber, in: context)
    try specification.open(socket, security: security)
  }

  private static func freshLink(_ security: SocketSecurity) -> LinkWatch {
    LinkWatch(
      hasKeys: security.keys != nil, handshakeMilliseconds: Milliseconds(SocketSpecification.handshakeMilliseconds))
  }

  /// Gives a DEALER another server, by a fresh socket: on the old one a message could still go to the old server, even
  /// after zmq_disconnect.
  ///
  /// - Throws: `InputError` when the endpoint is malformed or must not be used; then the DEALER has no server.
  func change(server endpoint: String) throws {
    guard case .dealer(let before) = specification.kind, endpoint != before else { return }
    monitor = nil
    specification.kind = .dealer(connect: nil)
    link = Self.freshLink(security)
    monitorNumber += Self.stride
    socket = try ZeroMQSocket(context, kind: specification.zeroMQKind)
    try open()
    try specification.connect(socket, to: endpoint, security: security)
    specification.kind = .dealer(connect: endpoint)
  }

  /// What happened to the connections since the last time.
  func news(now: Milliseconds) -> [TransportEvent] {
    guard let monitor else { return [] }
    return monitor.read().compactMap { event in
      if isRouter {
        accessLog.on(event, now: now) { PeerConnection(descriptor: $0)?.remote }.map { .access(name, line: $0) }
      } else {
        link.on(event, now: now).map { .link(name, $0) }
      }
    }
  }

  /// A connection was rejected by a judgement of ours; nil when the same was logged a moment ago.
  func rejected(_ peer: String, _ reason: String, now: Milliseconds) -> TransportEvent? {
    accessLog.rejected(peer, reason, now: now).map { .access(name, line: $0) }
  }
}
