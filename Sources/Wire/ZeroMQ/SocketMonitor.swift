import CZeroMQ
import Glibc

/// The events of a socket's connections, as libzmq reports them.
enum MonitorEvent: Equatable {
  /// The other side took the connection; nothing is proved.
  case connected
  /// A peer connected; its descriptor.
  case accepted(Int32)
  case handshakeSucceeded
  /// The connection was lost before the handshake was done, or it took too long.
  case failedWithoutDetail
  /// A `ZMQ_PROTOCOL_ERROR_` number.
  case failedProtocol(Int32)
  /// The ZAP handler's status: 400.
  case failedAuthentication(Int32)
  case disconnected(Int32)

  init?(number: UInt16, value: Int32) {
    switch Int32(number) {
    case ZMQ_EVENT_CONNECTED: self = .connected
    case ZMQ_EVENT_ACCEPTED: self = .accepted(value)
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED: self = .handshakeSucceeded
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL: self = .failedWithoutDetail
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL: self = .failedProtocol(value)
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH: self = .failedAuthentication(value)
    case ZMQ_EVENT_DISCONNECTED: self = .disconnected(value)
    default: return nil
    }
  }
}

/// The events of one socket, read by the reactor's thread.
///
/// It has to go before its socket: while a socket is monitored and nobody reads, libzmq's I/O thread would wait.
final class SocketMonitor {
  private static let events =
    ZMQ_EVENT_CONNECTED | ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED
    | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH
  /// Read at a time, so that a flood of connections does not keep the sockets waiting.
  private static let eventsPerTurn = 256

  private let watched: UnsafeMutableRawPointer
  private let pair: ZeroMQSocket
  private let frame = ZeroMQFrame()

  /// - Parameter number: unique in the context.
  init(_ socket: borrowing ZeroMQSocket, number: Int, in context: ZeroMQContext) throws {
    watched = socket.handle
    let endpoint = "inproc://monitor-\(number)"
    precondition(
      zmq_socket_monitor(socket.handle, endpoint, Self.events) == 0, "monitor \(number): \(zeroMQErrorText())")
    pair = try ZeroMQSocket(context, kind: ZMQ_PAIR)
    pair.set(ZMQ_LINGER, Int32(0))
    // Unbounded here, because the I/O thread would wait when it is full; every turn of the reactor empties it.
    pair.set(ZMQ_RCVHWM, Int32(0))
    try pair.connect(endpoint)
  }

  deinit { zmq_socket_monitor(watched, nil, 0) }

  var handle: UnsafeMutableRawPointer { pair.handle }

  /// What has happened since the last time, in order.
  func read() -> [MonitorEvent] {
    var events: [MonitorEvent] = []
    while events.count < Self.eventsPerTurn, pair.receive(frame) == .done {
      let bytes = UnsafeRawBufferPointer(frame.bytes)
      if bytes.count >= 6 {
        let number = bytes.loadUnaligned(as: UInt16.self)
        let value = bytes.loadUnaligned(fromByteOffset: 2, as: Int32.self)
        if let event = MonitorEvent(number: number, value: value) { events.append(event) }
      }
      // The endpoint follows: our own.
      while frame.hasMore, pair.receive(frame) == .done {}
    }
    return events
  }
}

/// A TCP connection of libzmq's, by its descriptor, so that it can be cut: libzmq has no call for one peer of a ROUTER.
///
/// The descriptor is libzmq's, who may have closed it, and the system may have given its number to another connection.
/// So the far end is compared first; between comparing and cutting nothing but a few instructions can come. The worst
/// that a mistake could do is to cut a connection that its owner then makes anew.
struct PeerConnection: Equatable {
  private let descriptor: Int32
  /// HOST:PORT of the far end.
  let remote: String

  /// nil for what is no TCP connection, or is gone.
  init?(descriptor: Int32) {
    guard descriptor >= 0, let remote = Self.remote(of: descriptor) else { return nil }
    self.descriptor = descriptor
    self.remote = remote
  }

  /// libzmq finds the connection lost, and the peer too.
  func cut() {
    guard Self.remote(of: descriptor) == remote else { return }
    _ = shutdown(descriptor, Int32(SHUT_RDWR))
  }

  private static func remote(of descriptor: Int32) -> String? {
    var address = sockaddr_storage()
    var byteCount = socklen_t(MemoryLayout<sockaddr_storage>.size)
    return withUnsafeMutablePointer(to: &address) { storage in
      storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        guard getpeername(descriptor, address, &byteCount) == 0 else { return nil }
        var (host, port) = ([CChar](repeating: 0, count: 64), [CChar](repeating: 0, count: 8))
        guard
          getnameinfo(
            address, byteCount, &host, socklen_t(host.count), &port, socklen_t(port.count),
            NI_NUMERICHOST | NI_NUMERICSERV) == 0, address.pointee.sa_family != sa_family_t(AF_UNIX)
        else { return nil }
        func text(_ characters: [CChar]) -> String {
          String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        return text(host) + ":" + text(port)
      }
    }
  }
}
