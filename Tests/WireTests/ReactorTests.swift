import Support
import Testing
import Wire

@Suite(.timeLimit(.minutes(5))) struct ReactorTests {
  private func next(_ reactor: Reactor) async -> TransportEvent? { await reactor.nextMessage() }

  private func server() throws -> Reactor { try Reactor(sockets: [.router(.control, listen: "tcp://127.0.0.1:*")]) }

  private func client(of server: Reactor) throws -> Reactor {
    try Reactor(sockets: [.dealer(.control, connect: server.boundEndpoint(of: .control))])
  }

  @Test("a wildcard port is reported as the real one") func wildcard() throws {
    let server = try server()
    let endpoint = server.boundEndpoint(of: .control)
    #expect(endpoint.hasPrefix("tcp://127.0.0.1:"))
    #expect(Int(endpoint.split(separator: ":").last!) != nil)
  }

  @Test("a message goes to the server and its answer comes back") func exchange() async throws {
    let server = try server()
    let client = try client(of: server)
    #expect(client.send(.statusRequest, on: .control))
    guard case .received(.statusRequest, .control, let peer) = await next(server) else {
      Issue.record("no request arrived")
      return
    }
    server.send(.resultAcknowledged(LeaseID(7)), on: .control, to: peer)
    #expect(await next(client) == .received(.resultAcknowledged(LeaseID(7)), .control, from: .server))
    // The answer may be there before the server's thread has published that it sent it.
    while server.statistics.sent == 0 { try await Task.sleep(for: .milliseconds(5)) }
    #expect(server.statistics.sent == 1)
  }

  @Test("messages arrive in order, none lost, while the reader is behind") func backPressure() async throws {
    let server = try Reactor(sockets: [.router(.control, listen: "tcp://127.0.0.1:*")], eventsMax: 8)
    let client = try client(of: server)
    let count: UInt64 = 200
    for index in 0..<count { client.send(.resultAcknowledged(LeaseID(index)), on: .control) }
    try await Task.sleep(for: .milliseconds(100))
    #expect(server.statistics.received <= 9)
    for index in 0..<count {
      guard case .received(.resultAcknowledged(let lease), _, _) = await next(server) else {
        Issue.record("message \(index) is missing")
        return
      }
      #expect(lease.value == index)
    }
  }

  @Test("ticks come from the monotonic clock and one stands for all that were missed") func ticks() async throws {
    let reactor = try Reactor(sockets: [], tickMilliseconds: 5)
    try await Task.sleep(for: .milliseconds(100))
    var times: [Milliseconds] = []
    for await event in reactor.events {
      if case .tick(let now) = event { times.append(now) }
      if times.count == 4 { break }
    }
    #expect(times[1] - times[0] >= 50)
    #expect(times == times.sorted())
    #expect(times[3] <= MonotonicClock.now())
  }

  @Test("malformed frames are reported once, and a peer that goes on is ignored") func malformed() async throws {
    let server = try server()
    let client = try client(of: server)
    var bad = Evaluated(version: PolicyVersion(0), step: 0, accuracy: 0)
    bad.accuracy = .nan
    for _ in 0..<20 { client.send(.evaluated(bad), on: .control) }
    client.send(.statusRequest, on: .control)
    guard case .malformed(.control, let peer, let reason) = await next(server) else {
      Issue.record("nothing was reported")
      return
    }
    #expect(reason.contains("evaluated.accuracy"))
    guard case .malformed(.control, peer, let last) = await next(server) else {
      Issue.record("the peer was not ignored")
      return
    }
    #expect(last.contains("disconnected"))
    guard case .access(.control, let line) = await next(server) else {
      Issue.record("its address was not reported")
      return
    }
    #expect(line.hasPrefix("rejected 127.0.0.1:"))
    #expect(line.hasSuffix(last))
    // Another peer is still heard.
    let other = try self.client(of: server)
    other.send(.manifestRequest(.policy), on: .control)
    guard case .received(.manifestRequest(.policy), _, let good) = await next(server) else {
      Issue.record("the other peer was not heard")
      return
    }
    #expect(good != peer)
    while server.statistics.ignored < 13 { try await Task.sleep(for: .milliseconds(5)) }
    #expect(server.statistics.malformed == 8)
  }

  @Test("a message to a peer that is gone is counted and dropped") func unroutable() async throws {
    let server = try server()
    server.send(.statusRequest, on: .control, to: PeerAddress(bytes: [1, 2, 3, 4, 5]))
    while server.statistics.unroutable == 0 { try await Task.sleep(for: .milliseconds(5)) }
    #expect(server.statistics.sent == 0)
  }

  @Test("a dealer keeps what it sends before its server is there, the newest 256") func lateServer() async throws {
    let first = try server()
    let endpoint = first.boundEndpoint(of: .control)
    first.close()
    let client = try Reactor(sockets: [.dealer(.control, connect: endpoint)])
    for index in 0..<UInt64(300) { client.send(.resultAcknowledged(LeaseID(index)), on: .control) }
    while client.statistics.dropped < 44 { try await Task.sleep(for: .milliseconds(5)) }
    let second = try Reactor(sockets: [.router(.control, listen: endpoint)])
    guard case .received(.resultAcknowledged(let lease), _, _) = await next(second) else {
      Issue.record("nothing arrived")
      return
    }
    #expect(lease == LeaseID(44))
    #expect(client.statistics.dropped == 44)
  }

  @Test("a dealer changes its server at run time, and what follows goes to the new one") func runTimeConnection()
    async throws
  {
    let a = try server()
    let b = try server()
    let client = try Reactor(sockets: [.dealer(.control)])
    client.connect(.control, to: a.boundEndpoint(of: .control))
    client.send(.statusRequest, on: .control)
    guard case .received = await next(a) else {
      Issue.record("nothing arrived at the first server")
      return
    }
    client.connect(.control, to: b.boundEndpoint(of: .control))
    client.send(.manifestRequest(.policy), on: .control)
    guard case .received(.manifestRequest(.policy), _, _) = await next(b) else {
      Issue.record("nothing arrived at the second server")
      return
    }
    client.connect(.control, to: a.boundEndpoint(of: .control))
    client.send(.statusRequest, on: .control)
    guard case .received(.statusRequest, _, _) = await next(a) else {
      Issue.record("nothing arrived at the first server again")
      return
    }
  }

  @Test("a malformed endpoint is an event, not a trap") func malformedEndpoint() async throws {
    let client = try Reactor(sockets: [.dealer(.control)])
    client.connect(.control, to: "nonsense")
    guard case .connectFailed(.control, "nonsense", _) = await next(client) else {
      Issue.record("no failure was reported")
      return
    }
  }

  @Test("an endpoint that is taken is the opener's error") func taken() throws {
    let server = try server()
    let endpoint = server.boundEndpoint(of: .control)
    let error = #expect(throws: InputError.self) { try Reactor(sockets: [.router(.control, listen: endpoint)]) }
    #expect(error?.place == endpoint)
  }

  @Test("what is sent before closing arrives, and the events end") func closing() async throws {
    let server = try server()
    let client = try client(of: server)
    client.send(.statusRequest, on: .control)
    guard case .received = await next(server) else { return }
    client.send(.goodbye(Goodbye(reason: "done")), on: .control)
    client.close()
    guard case .received(.goodbye(let goodbye), _, _) = await next(server) else {
      Issue.record("the goodbye was lost")
      return
    }
    #expect(goodbye.reason == "done")
    server.close()
    for await _ in server.events {}
  }

  @Test("a reader that is cancelled ends, and another goes on where it stopped") func cancelledReader() async throws {
    let server = try server()
    let reading = Task {
      for await event in server.events {
        if event.isMessage { return false }
      }
      return Task.isCancelled
    }
    try await Task.sleep(for: .milliseconds(20))
    reading.cancel()
    #expect(await reading.value)
    let client = try client(of: server)
    client.send(.statusRequest, on: .control)
    guard case .received(.statusRequest, _, _) = await next(server) else {
      Issue.record("nothing arrived after the first reader")
      return
    }
  }

  @Test("a message longer than any frame may be is an event of its sender") func unsendable() async throws {
    let reactor = try Reactor(sockets: [.dealer(.weights)])
    let bytes = [UInt8](repeating: 0, count: WireLimits.frameByteCountMax)
    let chunk = WeightsChunk(version: PolicyVersion(1), index: 0, encoding: .plain, base: nil, bytes: bytes)
    #expect(!reactor.send(.chunk(chunk), on: .weights))
    guard case .malformed(.weights, from: .server, let reason) = await next(reactor) else {
      Issue.record("nothing was reported")
      return
    }
    #expect(reason.contains("was not sent"))
  }
}

extension TransportEvent {
  /// Neither time nor the line.
  var isMessage: Bool {
    switch self {
    case .tick, .link: false
    case .received, .malformed, .connectFailed, .access: true
    }
  }
}

extension Reactor {
  /// The next event that is neither time nor the line.
  func nextMessage() async -> TransportEvent? {
    for await event in events where event.isMessage { return event }
    return nil
  }
}
