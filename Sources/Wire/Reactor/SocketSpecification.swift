import CZeroMQ
import Support

/// The sockets of a process. Control and weights never share one, so that a heartbeat does not wait behind a gigabyte.
public enum SocketName: String, Hashable, Sendable, CaseIterable {
  case control
  case weights
}

/// How a socket is made: what it is, where it listens or connects, and its bounds.
///
/// A ROUTER answers many peers, each by the address that the ROUTER gave it; a DEALER has one, its server.
public struct SocketSpecification: Equatable, Sendable {
  public enum Kind: Equatable, Sendable {
    /// Listens at an endpoint; `tcp://127.0.0.1:*` lets the system choose the port.
    case router(listen: String)
    /// Connects to an endpoint, or to none before `Reactor.connect`.
    case dealer(connect: String?)
  }

  public var name: SocketName
  public var kind: Kind
  /// Bytes of the longest frame taken; a peer that sends a longer one is disconnected by ZeroMQ.
  public var frameByteCountMax = WireLimits.frameByteCountMax
  /// Messages that wait for one peer, in each direction. A full queue of a ROUTER drops what is sent to that peer, and
  /// one that is read slowly holds back the sender.
  public var queueLengthMax: Int

  public init(_ name: SocketName, _ kind: Kind) {
    self.name = name
    self.kind = kind
    switch name {
    case .control: queueLengthMax = 1024
    // A chunk has a megabyte, and a worker has few under way.
    case .weights: queueLengthMax = 64
    }
    // All that a server of weights is sent is what is wanted.
    if name == .weights, case .router = kind { frameByteCountMax = WireLimits.requestByteCountMax }
  }

  public static func router(_ name: SocketName, listen endpoint: String) -> Self {
    Self(name, .router(listen: endpoint))
  }

  public static func dealer(_ name: SocketName, connect endpoint: String? = nil) -> Self {
    Self(name, .dealer(connect: endpoint))
  }

  /// How long closing waits for bytes that are not sent yet.
  static let lingerMilliseconds: Int32 = 1000
  static let reconnectMilliseconds: Int32 = 100
  static let reconnectMillisecondsMax: Int32 = 2000
  /// ZeroMQ's own pings find connections that died without a word; they run on its I/O thread, however busy the process
  /// is.
  static let pingMilliseconds: Int32 = 5000
  static let pingTimeoutMilliseconds: Int32 = 20_000

  /// How long a peer may take to say and prove who it is.
  static let handshakeMilliseconds: Int32 = 5000

  var zeroMQKind: Int32 {
    switch kind {
    case .router: ZMQ_ROUTER
    case .dealer: ZMQ_DEALER
    }
  }

  /// Where it listens or connects, if anywhere.
  var endpoint: String? {
    switch kind {
    case .router(let endpoint): endpoint
    case .dealer(let endpoint): endpoint
    }
  }

  /// Sets a fresh socket up, and binds or connects it.
  ///
  /// - Throws: `InputError` when the endpoint is malformed, taken, or must not be used without keys.
  func open(_ socket: borrowing ZeroMQSocket, security: SocketSecurity) throws {
    socket.set(ZMQ_LINGER, Self.lingerMilliseconds)
    socket.set(ZMQ_SNDHWM, Int32(clamping: queueLengthMax))
    socket.set(ZMQ_RCVHWM, Int32(clamping: queueLengthMax))
    socket.set(ZMQ_MAXMSGSIZE, Int64(frameByteCountMax))
    socket.set(ZMQ_HANDSHAKE_IVL, Self.handshakeMilliseconds)
    socket.set(ZMQ_TCP_KEEPALIVE, Int32(1))
    socket.set(ZMQ_TCP_KEEPALIVE_IDLE, Int32(60))
    socket.set(ZMQ_TCP_KEEPALIVE_INTVL, Int32(10))
    socket.set(ZMQ_HEARTBEAT_IVL, Self.pingMilliseconds)
    socket.set(ZMQ_HEARTBEAT_TIMEOUT, Self.pingTimeoutMilliseconds)
    switch kind {
    case .router(let endpoint):
      try security.check(endpoint, operation: "listen")
      // An unknown or overfull peer is an outcome of sending, not silence. Peers choose no identity of their own, so
      // ZMQ_ROUTER_HANDOVER has nothing to hand over.
      socket.set(ZMQ_ROUTER_MANDATORY, Int32(1))
      if endpoint.contains("[") { socket.set(ZMQ_IPV6, Int32(1)) }
      if let keys = security.keys {
        guard keys.allowListPath != nil else {
          throw InputError(
            "listen", at: endpoint, expected: "the server's keys, a folder with server.key_secret",
            found: "a worker's keys")
        }
        socket.set(ZMQ_CURVE_SERVER, Int32(1))
        socket.set(ZMQ_CURVE_SECRETKEY, keys.own.secret)
        socket.set(ZMQ_ZAP_DOMAIN, Array(name.rawValue.utf8))
      }
      try socket.bind(endpoint)
    case .dealer(let endpoint):
      // Queue only where there is a connection: what waits for a lost server is kept, and bounded, by the reactor.
      socket.set(ZMQ_IMMEDIATE, Int32(1))
      socket.set(ZMQ_RECONNECT_IVL, Self.reconnectMilliseconds)
      socket.set(ZMQ_RECONNECT_IVL_MAX, Self.reconnectMillisecondsMax)
      if let keys = security.keys {
        socket.set(ZMQ_CURVE_SERVERKEY, keys.serverKey.bytes)
        socket.set(ZMQ_CURVE_PUBLICKEY, keys.own.publicKey.bytes)
        socket.set(ZMQ_CURVE_SECRETKEY, keys.own.secret)
      }
      if let endpoint { try connect(socket, to: endpoint, security: security) }
    }
  }

  /// - Throws: `InputError` when the endpoint is malformed or must not be used without keys.
  func connect(_ socket: borrowing ZeroMQSocket, to endpoint: String, security: SocketSecurity) throws {
    try security.check(endpoint, operation: "connect")
    if endpoint.contains("[") { socket.set(ZMQ_IPV6, Int32(1)) }
    try socket.connect(endpoint)
  }
}
