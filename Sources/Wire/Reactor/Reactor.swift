import Glibc
import Support
import Synchronization

/// Counts of a reactor's messages since it began.
package struct TransportCounters: Equatable, Sendable {
  package var received: UInt64 = 0
  package var sent: UInt64 = 0
  /// Dropped because a queue was full or the process had no connection for too long.
  package var dropped: UInt64 = 0
  /// Dropped because the peer is gone.
  package var unroutable: UInt64 = 0
  /// Frames that were no message.
  package var malformed: UInt64 = 0
  /// Messages of peers that sent too many of those, or too many at all, or lost their key.
  package var ignored: UInt64 = 0
}

/// The counters that the reactor's thread publishes after every turn.
final class SharedCounters: Sendable {
  private let state = Mutex(TransportCounters())
  var value: TransportCounters { state.withLock { $0 } }
  func publish(_ counters: TransportCounters) { state.withLock { $0 = counters } }
}

/// One thread owns every ZeroMQ socket of the process; the rest of the process sends messages and reads events.
///
/// Sending never waits. What is sent may be lost, with a counter, when a peer is gone or its queue is full; every
/// message of the farm is repeated until answered. What is received is never lost here: when the reader is behind, the
/// sockets are not read, and ZeroMQ holds back the senders.
public final class Reactor: Sendable {
  /// Events that wait for the reader before the sockets are left unread, and the bytes of their frames.
  public static let eventsMax = 4096
  static let eventByteCountMax = 256 << 20

  private let outbox: Outbox
  private let queue: EventQueue
  private let counters: SharedCounters
  private let endpoints: [SocketName: String]
  private let thread: Mutex<pthread_t?>

  /// Opens the sockets and starts the thread.
  ///
  /// - Parameters:
  ///   - sockets: at most one of each name.
  ///   - security: of all of them.
  ///   - tickMilliseconds: the interval of `TransportEvent.tick`.
  /// - Throws: `InputError` when an endpoint is malformed, taken, or must not be used without keys.
  public init(
    sockets: [SocketSpecification], security: SocketSecurity = .loopbackOnly, tickMilliseconds: Milliseconds = 50,
    eventsMax: Int = Reactor.eventsMax
  ) throws {
    precondition(Set(sockets.map(\.name)).count == sockets.count, "two sockets of one name")
    precondition(tickMilliseconds > 0, "tick interval \(tickMilliseconds)")
    let outbox = Outbox()
    let queue = EventQueue(countMax: eventsMax, byteCountMax: Self.eventByteCountMax) { outbox.wake() }
    let loop = try ReactorLoop(
      sockets: sockets, security: security, tickMilliseconds: tickMilliseconds, outbox: outbox, events: queue)
    self.outbox = outbox
    self.queue = queue
    counters = loop.counters
    endpoints = loop.boundEndpoints
    thread = Mutex(loop.start())
  }

  deinit { close() }

  /// What happened, in order. One task reads it at a time; it ends after `close` or when that task is cancelled.
  public var events: AsyncStream<TransportEvent> {
    let queue = queue
    return AsyncStream { await queue.next() }
  }

  /// Sends a message: on a ROUTER to a peer, on a DEALER to its server.
  ///
  /// - Returns: false when the message was dropped at once, because too much waits or because no receiver would take a
  ///   frame so long; the latter is also an event.
  @discardableResult
  public func send(_ message: Message, on socket: SocketName, to peer: PeerAddress? = nil) -> Bool {
    let frame = MessageCodec.encodeFrame(message)
    guard frame.bytes.count <= WireLimits.frameByteCountMax else {
      let reason = "a message of \(frame.bytes.count) bytes of ours was not sent: no frame is that long"
      queue.push(.malformed(socket, from: peer ?? .server, reason: reason))
      return false
    }
    return outbox.post(.send(frame, socket, peer ?? .server))
  }

  /// Gives a DEALER its server, in place of the one that it had; the same again changes nothing. What waits to be sent
  /// goes to the new one. An endpoint that is malformed, or must not be used, comes back as `connectFailed`: another
  /// scheme than tcp (and ipc, if this process was given an ipc endpoint itself), or another machine without keys.
  public func connect(_ socket: SocketName, to endpoint: String) { _ = outbox.post(.connect(socket, endpoint)) }

  /// Where a ROUTER listens, with its real port.
  public func boundEndpoint(of socket: SocketName) -> String {
    guard let endpoint = endpoints[socket] else { preconditionFailure("\(socket) is no ROUTER of this process") }
    return endpoint
  }

  /// The counts so far, which the thread publishes after each turn; tests read the dropped and ignored ones.
  package var statistics: TransportCounters {
    var counters = counters.value
    counters.dropped += outbox.dropped
    return counters
  }

  /// Sends what was asked before, waits at most the linger time (1 s) for it to leave, and ends the thread and the
  /// events.
  public func close() {
    let running = thread.withLock { thread in
      defer { thread = nil }
      return thread
    }
    guard let running else { return }
    outbox.beginClosing()
    pthread_join(running, nil)
  }
}
