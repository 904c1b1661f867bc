import Foundation
import Support
import Testing
import Wire

/// Reactors with keys over the loopback: who gets in, who does not, and what each side says.
@Suite("Sockets with keys", .timeLimit(.minutes(2))) struct CurveReactorTests {
  /// Keys of a farm, its server, and clients of all kinds.
  private final class Bench {
    let folder: KeyFolder
    let server: Reactor
    var endpoint: String { server.boundEndpoint(of: .control) }

    init() throws {
      folder = try KeyFolder()
      try folder.keys.create()
      try folder.keys.addWorker("w1")
      server = try Reactor(
        sockets: [.router(.control, listen: "tcp://127.0.0.1:*")], security: folder.keys.serverSecurity(),
        tickMilliseconds: 10)
    }

    func client(_ security: SocketSecurity) throws -> Reactor {
      try Reactor(sockets: [.dealer(.control, connect: endpoint)], security: security, tickMilliseconds: 10)
    }

    var worker: SocketSecurity { get throws { try KeyDirectory(folder.keys.workerPath("w1")).clientSecurity() } }
  }

  /// The first event that the function makes something of.
  private func first<Value>(_ reactor: Reactor, _ value: (TransportEvent) -> Value?) async -> Value? {
    for await event in reactor.events {
      if let value = value(event) { return value }
    }
    return nil
  }

  /// Why a DEALER cannot go on.
  private func reason(_ reactor: Reactor) async -> String? {
    await first(reactor) { event in
      switch event {
      case .link(_, .failing(let reason)), .link(_, .refused(let reason)): reason
      case .received(let message, _, _): "received \(message)"
      default: nil
      }
    }
  }

  /// The next line about access to a ROUTER.
  private func accessLine(_ reactor: Reactor) async -> String? {
    await first(reactor) { event in
      switch event {
      case .access(_, let line): line
      case .received(let message, _, _): "received \(message)"
      default: nil
      }
    }
  }

  @Test("A listed key talks to the server and is known by it") func listed() async throws {
    let bench = try Bench()
    let client = try bench.client(bench.worker)
    client.send(.statusRequest, on: .control)
    guard case .received(.statusRequest, .control, let peer)? = await bench.server.nextMessage() else {
      return #expect(Bool(false), "no request arrived")
    }
    #expect(try peer.owner == "\(#require(bench.folder.keys.allowList.entries.last).key)")
    bench.server.send(.resultAcknowledged(LeaseID(7)), on: .control, to: peer)
    #expect(await client.nextMessage() == .received(.resultAcknowledged(LeaseID(7)), .control, from: .server))
  }

  @Test("Whoever has no listed key, the wrong server's, or none, is refused within seconds, and both sides say why")
  func refusals() async throws {
    let bench = try Bench()
    let stranger = KeyDirectory(bench.folder.path + "/stranger")
    _ = try stranger.createWorker(serverKey: bench.folder.keys.serverKey)
    let elsewhere = KeyDirectory(bench.folder.path + "/elsewhere")
    _ = try elsewhere.createWorker(serverKey: KeyPair.generate().publicKey)
    let started = MonotonicClock.now()
    for (security, client, server) in [
      (try stranger.clientSecurity(), "not in the server's allow-list", ["is not in the allow-list"]),
      (try elsewhere.clientSecurity(), "another key than server.key", ["for another server key"]),
      (.loopbackOnly, "takes only peers with keys", ["no keys", "in the clear"]),
    ] {
      let reactor = try bench.client(security)
      reactor.send(.statusRequest, on: .control)
      let said = await reason(reactor)
      #expect(said?.contains(client) == true, "\(said ?? "nothing")")
      // The peer before may still be trying.
      let told = await first(bench.server) { event -> String? in
        if case .access(_, let line) = event, server.contains(where: { line.contains($0) }) { line } else { nil }
      }
      #expect(told?.hasPrefix("rejected ") == true)
      reactor.close()
    }
    #expect(MonotonicClock.now() - started < 45_000)
    #expect(bench.server.statistics.received == 0)
  }

  @Test("A process with keys refuses a server without") func clearServer() async throws {
    let bench = try Bench()
    let clear = try Reactor(sockets: [.router(.control, listen: "tcp://127.0.0.1:*")])
    let client = try Reactor(
      sockets: [.dealer(.control, connect: clear.boundEndpoint(of: .control))], security: bench.worker)
    client.send(.statusRequest, on: .control)
    let said = await reason(client)
    #expect(said?.contains("speaks in the clear") == true || said?.contains("takes no keys") == true, "\(said ?? "")")
    #expect(clear.statistics.received == 0)
  }

  @Test("A revoked key is cut at once and not let in again, without a restart; another goes on")
  func revocation() async throws {
    let bench = try Bench()
    let client = try bench.client(bench.worker)
    let other = try bench.client(KeyDirectory(bench.folder.keys.workerPath(KeyDirectory.localName)).clientSecurity())
    for reactor in [client, other] {
      reactor.send(.statusRequest, on: .control)
      guard case .received? = await bench.server.nextMessage() else { return #expect(Bool(false), "not heard") }
    }
    let revoked = MonotonicClock.now()
    _ = try bench.folder.keys.revoke("w1")
    let told = await accessLine(bench.server)
    #expect(told?.contains("not in the allow-list") == true, "\(told ?? "nothing")")
    let said = await reason(client)
    #expect(said?.contains("revoked") == true, "\(said ?? "nothing")")
    #expect(MonotonicClock.now() - revoked < 15_000)
    other.send(.manifestRequest(.policy), on: .control)
    let next = await first(bench.server) { if case .received(let message, _, _) = $0 { message } else { nil } }
    #expect(next == .manifestRequest(.policy))
  }

  @Test("A key that is added while the server runs is let in") func addition() async throws {
    let bench = try Bench()
    let late = KeyDirectory(bench.folder.path + "/late")
    try bench.folder.keys.add(try late.createWorker(serverKey: bench.folder.keys.serverKey), name: "late")
    try await Task.sleep(for: .milliseconds(1200))
    let client = try bench.client(late.clientSecurity())
    client.send(.statusRequest, on: .control)
    #expect(await bench.server.nextMessage().map { if case .received = $0 { true } else { false } } == true)
  }

  @Test("A broken allow-list is reported, and the one before goes on to count") func brokenList() async throws {
    let bench = try Bench()
    try bench.folder.write("nonsense\n", to: "keys/allowed.keys")
    let told = await accessLine(bench.server)
    #expect(told?.contains("allowed.keys:1") == true, "\(told ?? "nothing")")
    let client = try bench.client(bench.worker)
    client.send(.statusRequest, on: .control)
    #expect(await bench.server.nextMessage().map { if case .received = $0 { true } else { false } } == true)
  }

  @Test("A worker's key makes no learner; the server's does") func learnerRole() async throws {
    let bench = try Bench()
    let hello = Message.hello(
      Hello(
        role: .learner, name: "l", incarnation: 1, host: "h", policyVersion: PolicyVersion(0),
        weightsEndpoint: "tcp://127.0.0.1:1"))
    let worker = try bench.client(bench.worker)
    worker.send(hello, on: .control)
    guard case .received(.refused(let refused), _, _)? = await worker.nextMessage() else {
      return #expect(Bool(false), "not refused")
    }
    #expect(refused.reason.contains("server's key"))
    guard case .malformed(.control, _, let reason)? = await bench.server.nextMessage() else {
      return #expect(Bool(false), "not reported")
    }
    #expect(reason.contains("a worker's"))
    let learner = try bench.client(bench.folder.keys.clientSecurity())
    learner.send(hello, on: .control)
    #expect(
      await bench.server.nextMessage().map { if case .received(hello, _, _) = $0 { true } else { false } } == true)
  }

  @Test("A misbehaving key is cut off, and stays out for a while") func misbehaviour() async throws {
    let bench = try Bench()
    let client = try bench.client(bench.worker)
    var bad = Evaluated(version: PolicyVersion(0), step: 0, accuracy: 0)
    bad.accuracy = .nan
    for _ in 0..<WireLimits.malformedFramesMax { client.send(.evaluated(bad), on: .control) }
    let said = await reason(client)
    #expect(said?.contains("refuses this process's key") == true, "\(said ?? "nothing")")
    var told = await accessLine(bench.server)
    #expect(told?.contains("malformed frames") == true, "\(told ?? "nothing")")
    told = await accessLine(bench.server)
    #expect(told?.contains("w1 is banned") == true, "\(told ?? "nothing")")
  }

  @Test("Without keys nothing leaves the machine, unless a person asks for it") func insecurity() throws {
    for socket in [
      SocketSpecification.router(.control, listen: "tcp://0.0.0.0:*"), .dealer(.control, connect: "tcp://10.0.0.1:1"),
    ] {
      let error = #expect(throws: InputError.self) { try Reactor(sockets: [socket]) }
      #expect(error?.expected.contains("--insecure") == true)
      #expect(throws: Never.self) { try Reactor(sockets: [socket], security: .insecure).close() }
    }
  }

  @Test(
    "An endpoint that a peer names is a network address, and no path",
    arguments: ["ipc:///tmp/fovea-peer", "inproc://x", "tcp://10.0.0.1:1", "pgm://eth0;239.192.1.1:5555"])
  func namedEndpoint(endpoint: String) async throws {
    let worker = try Reactor(sockets: [.dealer(.weights)])
    worker.connect(.weights, to: endpoint)
    guard case .connectFailed(.weights, endpoint, _)? = await worker.nextMessage() else {
      return #expect(Bool(false), "it was taken")
    }
  }

  @Test("A line that is lost and found again is told") func link() async throws {
    let server = try Reactor(sockets: [.router(.control, listen: "tcp://127.0.0.1:*")])
    let endpoint = server.boundEndpoint(of: .control)
    let client = try Reactor(sockets: [.dealer(.control, connect: endpoint)])
    func state() async -> LinkState? { await first(client) { if case .link(_, let state) = $0 { state } else { nil } } }
    #expect(await state() == .up)
    server.close()
    #expect(await state() == .down)
    let again = try Reactor(sockets: [.router(.control, listen: endpoint)])
    #expect(await state() == .up)
    again.close()
  }
}
