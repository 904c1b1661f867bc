import CZeroMQ
import Glibc
import Support

/// The body of the reactor's thread. Once it runs, everything here is touched by that thread alone.
final class ReactorLoop {
  /// Messages read from one socket before the others have their turn.
  static let readsPerTurn = 64

  let counters = SharedCounters()
  private let outbox: Outbox
  private let events: EventQueue
  private let tickMilliseconds: Milliseconds
  private let usesLocalPaths: Bool
  /// Before the endpoints, which need it as long as they live.
  private var authentication: ZAPHandler?
  private var endpoints: [ReactorEndpoint]
  private let incoming = ZeroMQFrame()
  private var counts = TransportCounters()

  /// Opens the sockets on the caller's thread, so that an endpoint that is taken is the caller's error.
  init(
    sockets: [SocketSpecification], security: SocketSecurity, tickMilliseconds: Milliseconds, outbox: Outbox,
    events: EventQueue
  ) throws {
    self.outbox = outbox
    self.events = events
    self.tickMilliseconds = tickMilliseconds
    usesLocalPaths = sockets.contains { $0.endpoint?.hasPrefix("ipc://") ?? false }
    let context = ZeroMQContext()
    if let keys = security.keys, let path = keys.allowListPath {
      authentication = try ZAPHandler(keys: keys, allowListPath: path, in: context)
    }
    endpoints = try sockets.enumerated().map { index, specification in
      try ReactorEndpoint(specification, index: index, security: security, in: context)
    }
  }

  /// Where each ROUTER listens.
  var boundEndpoints: [SocketName: String] {
    Dictionary(uniqueKeysWithValues: endpoints.filter(\.isRouter).map { ($0.name, $0.socket.lastEndpoint) })
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
      let now = MonotonicClock.now()
      authenticate(now)
      for endpoint in endpoints {
        for event in endpoint.news(now: now) { events.push(event) }
        flush(endpoint)
        if mayRead && !isClosing { read(endpoint, now) }
      }
      if now >= nextTick {
        events.push(.tick(now: now))
        nextTick = max(nextTick + tickMilliseconds, now + 1)
      }
      counters.publish(counts)
      if isClosing { break }
    }
    endpoints = []
    authentication = nil
    events.finish()
  }

  private func wait(until deadline: Milliseconds, mayRead: Bool) {
    var items: [zmq_pollitem_t] = []
    func watch(_ socket: UnsafeMutableRawPointer?, descriptor: Int32 = 0, _ interest: Int32) {
      items.append(zmq_pollitem_t(socket: socket, fd: descriptor, events: Int16(interest), revents: 0))
    }
    for endpoint in endpoints {
      watch(endpoint.socket.handle, (mayRead ? ZMQ_POLLIN : 0) | (endpoint.waiting.isEmpty ? 0 : ZMQ_POLLOUT))
      if let monitor = endpoint.monitor { watch(monitor.handle, ZMQ_POLLIN) }
    }
    if let handle = authentication?.handle { watch(handle, ZMQ_POLLIN) }
    watch(nil, descriptor: outbox.wakeUp, ZMQ_POLLIN)
    let milliseconds = max(0, deadline - MonotonicClock.now())
    let status = zmq_poll(&items, Int32(items.count), Int(milliseconds))
    precondition(status >= 0 || zmq_errno() == EINTR, "poll: \(zeroMQErrorText())")
  }

  private func endpoint(_ name: SocketName) -> ReactorEndpoint {
    guard let endpoint = endpoints.first(where: { $0.name == name }) else {
      preconditionFailure("the process has no \(name) socket")
    }
    return endpoint
  }

  // MARK: Sending

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
        // A peer named it: it may name no path, unless this process was started with ipc endpoints.
        guard text.hasPrefix("tcp://") || usesLocalPaths && text.hasPrefix("ipc://") else {
          throw InputError("connect", at: text, expected: "an address, as tcp://HOST:PORT", found: "something else")
        }
        try endpoint(name).change(server: text)
      } catch {
        events.push(.connectFailed(name, endpoint: text, reason: "\(error)"))
      }
    }
  }

  private func send(_ frame: ZeroMQFrame, to peer: PeerAddress, _ endpoint: ReactorEndpoint) {
    precondition(!peer.bytes.isEmpty, "a message on the \(endpoint.name) ROUTER needs a peer")
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

  private func flush(_ endpoint: ReactorEndpoint) {
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

  // MARK: Reading

  private func read(_ endpoint: ReactorEndpoint, _ now: Milliseconds) {
    for _ in 0..<Self.readsPerTurn {
      guard events.hasRoom(), endpoint.socket.receive(incoming) == .done else { return }
      var peer = PeerAddress.server
      var hasFrame = true
      if endpoint.isRouter {
        peer = PeerAddress(bytes: Array(incoming.bytes))
        hasFrame = incoming.hasMore && endpoint.socket.receive(incoming) == .done
        if endpoint.ledger[peer] == nil { meet(peer, endpoint, now) }
        peer.owner = endpoint.ledger[peer]?.owner ?? ""
      }
      // The frame is the message when it is the only one.
      let isWhole = hasFrame && !incoming.hasMore
      while incoming.hasMore, endpoint.socket.receive(incoming) == .done {}
      if endpoint.isRouter, !follow(endpoint.ledger.arrived(from: peer, now: now), peer, endpoint, now) { continue }
      if isWhole { accept(endpoint, peer, now) } else { reject(endpoint, peer, "not one frame", now) }
    }
  }

  /// The first message of a connection has come.
  private func meet(_ peer: PeerAddress, _ endpoint: ReactorEndpoint, _ now: Milliseconds) {
    let connection = PeerConnection(descriptor: incoming.sourceDescriptor)
    let key = incoming.key
    endpoint.ledger.add(PeerLedger.Record(connection: connection, key: key, now: now), for: peer)
    if let reason = reasonToShut(key, now) { shut(peer, endpoint, reason, now) }
  }

  private func accept(_ endpoint: ReactorEndpoint, _ peer: PeerAddress, _ now: Milliseconds) {
    let bytes = UnsafeRawBufferPointer(incoming.bytes)
    do {
      let message = try MessageCodec.decode(bytes)
      try checkRole(message, peer, endpoint)
      counts.received += 1
      events.push(.received(message, endpoint.name, from: peer), byteCount: bytes.count)
    } catch {
      reject(endpoint, peer, "\(error)", now)
    }
  }

  /// With keys, only the server's own makes a learner: else any worker could hand out weights.
  private func checkRole(_ message: Message, _ peer: PeerAddress, _ endpoint: ReactorEndpoint) throws {
    guard case .hello(let hello) = message, hello.role == .learner, endpoint.isRouter, let authentication,
      endpoint.ledger[peer]?.key != authentication.gate.serverKey
    else { return }
    let reason = "a learner needs the server's key (--keys with server.key_secret), not a worker's"
    send(MessageCodec.encodeFrame(.refused(Refused(reason: reason))), to: peer, endpoint)
    throw InputError("admit learner", at: "hello", expected: "the server's key", found: "a worker's")
  }

  private func reject(_ endpoint: ReactorEndpoint, _ peer: PeerAddress, _ reason: String, _ now: Milliseconds) {
    counts.malformed += 1
    guard endpoint.isRouter else {
      endpoint.malformedCount += 1
      if endpoint.malformedCount == 1 { events.push(.malformed(endpoint.name, from: peer, reason: reason)) }
      return
    }
    guard let verdict = endpoint.ledger.malformed(from: peer, reason: reason) else { return }
    _ = follow(verdict, peer, endpoint, now)
  }

  /// - Returns: true when the message is to be read.
  private func follow(
    _ verdict: PeerLedger.Verdict, _ peer: PeerAddress, _ endpoint: ReactorEndpoint, _ now: Milliseconds
  ) -> Bool {
    switch verdict {
    case .read: return true
    case .ignore: counts.ignored += 1
    case .complain(let reason): events.push(.malformed(endpoint.name, from: peer, reason: reason))
    case .cut(let reason):
      events.push(.malformed(endpoint.name, from: peer, reason: reason))
      if let key = endpoint.ledger[peer]?.key { authentication?.ban(key, now: now) }
      shut(peer, endpoint, reason, now)
    }
    return false
  }

  // MARK: Access

  /// Answers libzmq's questions about keys, and cuts the connections of keys that are no longer on the list.
  private func authenticate(_ now: Milliseconds) {
    guard authentication != nil else { return }
    for refusal in authentication?.answer(now: now) ?? [] {
      guard let endpoint = endpoints.first(where: { $0.name.rawValue == refusal.domain }),
        let event = endpoint.rejected(refusal.address, refusal.reason, now: now)
      else { continue }
      events.push(event)
    }
    do {
      guard try authentication?.reread(now: now) ?? false else { return }
    } catch {
      for endpoint in endpoints where endpoint.isRouter {
        events.push(.access(endpoint.name, line: "\(error); the list before stays in force"))
      }
      return
    }
    for endpoint in endpoints {
      for (peer, record) in endpoint.ledger.records where !record.isShut {
        if let reason = reasonToShut(record.key, now) { shut(peer, endpoint, reason, now) }
      }
    }
  }

  /// Why a connection is not, or no longer, to be read; nil in the clear.
  private func reasonToShut(_ key: PublicKey?, _ now: Milliseconds) -> String? {
    guard let authentication, case .refused(let reason) = authentication.gate.judge(key, now: now) else { return nil }
    return reason
  }

  private func shut(_ peer: PeerAddress, _ endpoint: ReactorEndpoint, _ reason: String, _ now: Milliseconds) {
    let connection = endpoint.ledger[peer]?.connection
    endpoint.ledger.shut(peer)
    connection?.cut()
    if let event = endpoint.rejected(connection?.remote ?? "an unknown address", reason, now: now) {
      events.push(event)
    }
  }
}
