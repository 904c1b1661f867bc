import CZeroMQ
import Core
import Glibc

/// The body of the reactor's thread. Once it runs, everything here is touched by that thread alone.
final class ReactorLoop {
  private final class Endpoint {
    private let context: ZeroMQContext
    private(set) var specification: SocketSpecification
    private(set) var socket: ZeroMQSocket
    /// A DEALER's messages that wait for a connection.
    var waiting = WaitingFrames()
    /// Malformed frames of each peer that sent any.
    var malformed: [PeerAddress: Int] = [:]

    var isRouter: Bool {
      if case .router = specification.kind { true } else { false }
    }

    init(_ specification: SocketSpecification, in context: ZeroMQContext) throws {
      self.context = context
      self.specification = specification
      socket = try specification.open(in: context)
    }

    /// Gives a DEALER another server, or none, by a fresh socket: on the old one a message could still go to the old
    /// server, even after zmq_disconnect.
    func change(server endpoint: String?) throws {
      guard case .dealer(let before) = specification.kind, endpoint != before else { return }
      var changed = specification
      changed.kind = .dealer(connect: endpoint)
      socket = try changed.open(in: context)
      specification = changed
    }
  }

  /// Peers whose malformed frames are counted; beyond that counting starts anew.
  static let malformedPeersMax = 4096
  /// Messages read from one socket before the others have their turn.
  static let readsPerTurn = 64

  let counters = SharedCounters()
  private let outbox: Outbox
  private let events: EventQueue
  private let tickMilliseconds: Milliseconds
  private var endpoints: [Endpoint]
  private let incoming = ZeroMQFrame()
  private var counts = TransportCounters()

  /// Opens the sockets on the caller's thread, so that an endpoint that is taken is the caller's error.
  init(sockets: [SocketSpecification], tickMilliseconds: Milliseconds, outbox: Outbox, events: EventQueue) throws {
    self.outbox = outbox
    self.events = events
    self.tickMilliseconds = tickMilliseconds
    let context = ZeroMQContext()
    endpoints = try sockets.map { try Endpoint($0, in: context) }
  }

  /// Where each ROUTER listens.
  var boundEndpoints: [SocketName: String] {
    Dictionary(
      uniqueKeysWithValues: endpoints.filter(\.isRouter).map { ($0.specification.name, $0.socket.lastEndpoint) })
  }

  /// Hands everything over to a new thread, which takes no signals: those are for the process's main thread.
  func start() -> pthread_t {
    var all = sigset_t()
    var before = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_SETMASK, &all, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    var thread = pthread_t()
    let status = pthread_create(
      &thread, nil,
      { loop in
        Unmanaged<ReactorLoop>.fromOpaque(loop!).takeRetainedValue().run()
        return nil
      }, Unmanaged.passRetained(self).toOpaque())
    precondition(status == 0, "no thread for the reactor: \(status)")
    return thread
  }

  private func run() {
    var nextTick = MonotonicClock.now() + tickMilliseconds
    while true {
      let mayRead = events.hasRoom()
      wait(until: nextTick, mayRead: mayRead)
      let (commands, isClosing) = outbox.takeAll()
      for command in commands { execute(command) }
      for endpoint in endpoints {
        flush(endpoint)
        if mayRead && !isClosing { read(endpoint) }
      }
      let now = MonotonicClock.now()
      if now >= nextTick {
        events.push(.tick(now: now))
        nextTick = max(nextTick + tickMilliseconds, now + 1)
      }
      counters.publish(counts)
      if isClosing { break }
    }
    endpoints = []
    events.finish()
  }

  private func wait(until deadline: Milliseconds, mayRead: Bool) {
    var items = endpoints.map { endpoint in
      var interest: Int32 = 0
      if mayRead { interest |= ZMQ_POLLIN }
      if !endpoint.waiting.isEmpty { interest |= ZMQ_POLLOUT }
      return zmq_pollitem_t(socket: endpoint.socket.handle, fd: 0, events: Int16(interest), revents: 0)
    }
    items.append(zmq_pollitem_t(socket: nil, fd: outbox.wakeUp, events: Int16(ZMQ_POLLIN), revents: 0))
    let milliseconds = max(0, deadline - MonotonicClock.now())
    let status = zmq_poll(&items, Int32(items.count), Int(milliseconds))
    precondition(status >= 0 || zmq_errno() == EINTR, "poll: \(zeroMQErrorText())")
  }

  private func endpoint(_ name: SocketName) -> Endpoint {
    guard let endpoint = endpoints.first(where: { $0.specification.name == name }) else {
      preconditionFailure("the process has no \(name) socket")
    }
    return endpoint
  }

  private func execute(_ command: Outbox.Command) {
    switch command {
    case .send(let frame, let name, let peer):
      let endpoint = endpoint(name)
      if endpoint.isRouter {
        send(frame, to: peer, endpoint)
      } else {
        counts.dropped += UInt64(endpoint.waiting.append(frame))
      }
    case .connect(let name, let text):
      do {
        try endpoint(name).change(server: text)
      } catch {
        events.push(.connectFailed(name, endpoint: text, reason: "\(error)"))
      }
    case .disconnect(let name, let text):
      let endpoint = endpoint(name)
      guard endpoint.specification.kind == .dealer(connect: text) else { return }
      try? endpoint.change(server: nil)
      counts.dropped += UInt64(endpoint.waiting.removeAll())
    }
  }

  private func send(_ frame: ZeroMQFrame, to peer: PeerAddress, _ endpoint: Endpoint) {
    precondition(!peer.bytes.isEmpty, "a message on the \(endpoint.specification.name) ROUTER needs a peer")
    switch endpoint.socket.send(ZeroMQFrame(peer.bytes), more: true) {
    case .done:
      let outcome = endpoint.socket.send(frame)
      precondition(outcome == .done, "second frame: \(outcome)")
      counts.sent += 1
    case .unroutable: counts.unroutable += 1
    case .wouldBlock: counts.dropped += 1
    case .failed(let reason): preconditionFailure("send: \(reason)")
    }
  }

  private func flush(_ endpoint: Endpoint) {
    while let frame = endpoint.waiting.first {
      switch endpoint.socket.send(frame) {
      case .done:
        endpoint.waiting.removeFirst()
        counts.sent += 1
      case .wouldBlock, .unroutable: return
      case .failed(let reason): preconditionFailure("send: \(reason)")
      }
    }
  }

  private func read(_ endpoint: Endpoint) {
    for _ in 0..<Self.readsPerTurn {
      guard events.hasRoom(), endpoint.socket.receive(incoming) == .done else { return }
      var peer = PeerAddress.server
      if endpoint.isRouter {
        peer = PeerAddress(bytes: Array(incoming.bytes))
        guard incoming.hasMore, endpoint.socket.receive(incoming) == .done else {
          reject(endpoint, peer, reason: "no frame")
          continue
        }
      }
      if incoming.hasMore {
        while incoming.hasMore, endpoint.socket.receive(incoming) == .done {}
        reject(endpoint, peer, reason: "more than one frame")
      } else if endpoint.isRouter, endpoint.malformed[peer, default: 0] >= WireLimits.malformedFramesMax {
        counts.ignored += 1
      } else {
        accept(endpoint, peer)
      }
    }
  }

  private func accept(_ endpoint: Endpoint, _ peer: PeerAddress) {
    let bytes = UnsafeRawBufferPointer(incoming.bytes)
    do {
      let message = try MessageCodec.decode(bytes)
      counts.received += 1
      events.push(.received(message, endpoint.specification.name, from: peer), byteCount: bytes.count)
    } catch {
      reject(endpoint, peer, reason: "\(error)")
    }
  }

  private func reject(_ endpoint: Endpoint, _ peer: PeerAddress, reason: String) {
    counts.malformed += 1
    if endpoint.malformed.count >= Self.malformedPeersMax { endpoint.malformed = [:] }
    let count = endpoint.malformed[peer, default: 0] + 1
    endpoint.malformed[peer] = count
    let name = endpoint.specification.name
    if count == 1 {
      events.push(.malformed(name, from: peer, reason: reason))
    } else if count == WireLimits.malformedFramesMax, endpoint.isRouter {
      events.push(.malformed(name, from: peer, reason: "\(reason); \(count) malformed frames, ignored from now on"))
    }
  }
}

/// What a DEALER would send while it has no connection. Bounded in frames and bytes: the oldest goes first, for it is the
/// most outdated; the newest always stays.
struct WaitingFrames {
  static let countMax = 256
  static let byteCountMax = 64 << 20

  private var frames: [ZeroMQFrame] = []
  private var byteCount = 0

  var isEmpty: Bool { frames.isEmpty }
  var first: ZeroMQFrame? { frames.first }

  /// Returns how many frames were dropped for it.
  mutating func append(_ frame: ZeroMQFrame) -> Int {
    frames.append(frame)
    byteCount += frame.bytes.count
    var dropped = 0
    while frames.count > Self.countMax || byteCount > Self.byteCountMax && frames.count > 1 {
      byteCount -= frames.removeFirst().bytes.count
      dropped += 1
    }
    return dropped
  }

  mutating func removeFirst() {
    // A sent frame is empty; its bytes are counted by what remains.
    frames.removeFirst()
    byteCount = frames.reduce(0) { $0 + $1.bytes.count }
  }

  mutating func removeAll() -> Int {
    defer { self = WaitingFrames() }
    return frames.count
  }
}
