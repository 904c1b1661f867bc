import Coordinator
import FoveaTesting
import Settings
import Support
import Synchronization
import Testing
import Wire

/// The shell over real sockets on the loopback.
@Suite("The coordinator's runner", .serialized)
struct CoordinatorRunnerTests {
  private final class Seen: Sendable {
    let rows = Mutex<[MetricsRow]>([])
    let phases = Mutex<[String]>([])
    var observer: CoordinatorObserver {
      CoordinatorObserver(
        status: { status in
          self.phases.withLock { if $0.last != status.phase { $0.append(status.phase) } }
        }, metrics: { row in self.rows.withLock { $0.append(row) } })
    }
  }

  private static var settings: RunSettings {
    var settings = RunSettings()
    settings.run.steps = 3
    settings.rollout.promptsPerStep = 2
    settings.rollout.groupSize = 2
    settings.evaluation.prompts = 3
    settings.evaluation.every = 0
    settings.farm.heartbeatMilliseconds = 50
    return settings
  }

  /// A peer on the simulated states, real sockets and the real clock, until it ends or its task is cancelled.
  private func serve(
    _ endpoint: String, receive: (Message, Milliseconds) -> (send: [Message], ended: Bool),
    tick: (Milliseconds) -> (send: [Message], ended: Bool)
  ) async throws {
    let reactor = try Reactor(sockets: [.dealer(.control, connect: endpoint)], tickMilliseconds: 5)
    defer { reactor.close() }
    for await event in reactor.events {
      let now = MonotonicClock.now()
      let step: (send: [Message], ended: Bool)
      switch event {
      case .received(let message, _, from: _): step = receive(message, now)
      case .tick: step = tick(now)
      default: continue
      }
      for message in step.send { reactor.send(message, on: .control) }
      if step.ended { return }
    }
  }

  /// What the learner serves, as the workers see it.
  private final class Published: Sendable {
    let version = Atomic<UInt64>(0)
  }

  private func serveWorker(_ number: UInt64, at endpoint: String, _ published: Published) async throws {
    var worker = SimulatedWorker(
      name: "w\(number)", incarnation: number, traits: SimulatedWorker.Traits(), seed: 1, now: MonotonicClock.now())
    try await serve(
      endpoint,
      receive: { message, now in
        let (messages, outcome) = worker.receive(message, now: now)
        return (messages, outcome != .lives)
      },
      tick: { now in
        let version = PolicyVersion(published.version.load(ordering: .relaxed))
        let (messages, outcome) = worker.tick(now: now, published: version)
        return (messages, outcome != .lives)
      })
  }

  private func serveLearner(at endpoint: String, _ published: Published) async throws {
    var learner = SimulatedLearner(
      incarnation: 9, stepCount: 3, checkpointEvery: 2, traits: SimulatedLearner.Traits(), seed: 1,
      now: MonotonicClock.now())
    try await serve(
      endpoint,
      receive: { message, now in
        let (messages, outcome) = learner.receive(message, now: now)
        return (messages, outcome != .lives)
      },
      tick: { now in
        let (messages, outcome, _) = learner.tick(now: now)
        published.version.store(learner.published.value, ordering: .relaxed)
        return (messages, outcome != .lives)
      })
  }

  @Test("A farm over sockets trains all its steps and ends", .timeLimit(.minutes(1)))
  func wholeRun() async throws {
    let reactor = try Reactor(sockets: [.router(.control, listen: "tcp://127.0.0.1:*")])
    defer { reactor.close() }
    let endpoint = reactor.boundEndpoint(of: .control)
    let seen = Seen()
    let runner = try CoordinatorRunner(
      settings: Self.settings, runID: "simulated", dataset: SimulatedDataset(heldOutCount: 3),
      journal: Journal(path: ":memory:", runID: "simulated"), reactor: reactor,
      observer: seen.observer)
    let published = Published()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 1...2 as ClosedRange<UInt64> {
        group.addTask { try await serveWorker(number, at: endpoint, published) }
      }
      group.addTask { try await serveLearner(at: endpoint, published) }
      #expect(try await runner.run() == .completed)
      try await group.waitForAll()
    }
    #expect(seen.rows.withLock { $0.filter { $0.kind == .step }.map(\.step) } == [1, 2, 3])
    #expect(seen.rows.withLock { $0.filter { $0.kind == .evaluation }.map(\.step) } == [0, 3])
    #expect(seen.phases.withLock { $0.last } == "finished")
  }

  @Test(
    "An observer is answered, a stranger of another protocol refused, and a drain ends the run", .timeLimit(.minutes(1))
  )
  func drain() async throws {
    let reactor = try Reactor(sockets: [.router(.control, listen: "tcp://127.0.0.1:*")])
    let client = try Reactor(sockets: [.dealer(.control, connect: reactor.boundEndpoint(of: .control))])
    defer {
      client.close()
      reactor.close()
    }
    let runner = try CoordinatorRunner(
      settings: Self.settings, runID: "run", dataset: SimulatedDataset(),
      journal: Journal(path: ":memory:", runID: "run"), reactor: reactor,
      observer: CoordinatorObserver())
    async let outcome = runner.run()
    client.send(.statusRequest, on: .control)
    client.send(
      .hello(
        Hello(
          protocolVersion: 99, role: .worker, name: "old", incarnation: 1, host: "here", slots: 1)),
      on: .control)
    var answers: [Message] = []
    for await case .received(let message, _, from: _) in client.events {
      answers.append(message)
      if answers.count == 2 { break }
    }
    guard case .statusReport(let status)? = answers.first, case .refused(let refused)? = answers.last else {
      return #expect(Bool(false), "\(answers)")
    }
    #expect(status.runID == "run")
    #expect(status.phase == "waiting for a learner")
    #expect(refused.reason.contains("protocol version 99"))
    runner.drain()
    #expect(try await outcome == .drained)
  }
}
