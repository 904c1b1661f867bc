import Coordinator
import Settings
import Testing
import Wire

@Suite("Membership")
struct MembershipTests {
  struct BadHello: Sendable, CustomTestStringConvertible {
    var name: String
    var reason: String
    var hello: Hello
    var testDescription: String { name }
    init(_ name: String, says reason: String, _ change: (inout Hello) -> Void) {
      self.name = name
      self.reason = reason
      hello = Bench.workerHello(1)
      change(&hello)
    }
  }

  @Test(
    "A peer that does not belong is refused, and told why",
    arguments: [
      BadHello("old protocol", says: "protocol version 0") { $0.protocolVersion = 0 },
      BadHello("another run", says: "run run, not other") { $0.runID = "other" },
      BadHello("no slots", says: "at least one slot") { $0.slots = 0 },
      BadHello("second coordinator", says: "one coordinator") { $0.role = .coordinator },
      BadHello("learner without weights", says: "needs weights") { $0.role = .learner },
      BadHello("learner of a longer run", says: "the run has 2 steps") {
        $0 = Bench.learnerHello(step: 3)
      },
      BadHello("impossible cursor", says: "cursor") { $0 = Bench.learnerHello(cursor: .max) },
    ])
  func refusals(_ bad: BadHello) {
    var bench = Bench()
    let refusals = bench.receive(.hello(bad.hello), from: Bench.worker(1)).refusals
    #expect(refusals.count == 1, "\(refusals)")
    #expect(refusals.first?.contains(bad.reason) == true, "\(refusals)")
    #expect(bench.state.tally.refused == 1)
    #expect(bench.state.status(now: 0).peers.isEmpty)
  }

  @Test("A worker that joins is welcomed, then hears of the policy, and gets work only once it holds it")
  func joining() {
    var bench = Bench()
    bench.joinLearner(version: 9)
    let joined = bench.receive(.hello(Bench.workerHello(1)), from: Bench.worker(1)).messages(to: Bench.worker(1))
    guard case .welcome(let welcome) = joined.first else { return #expect(Bool(false), "\(joined)") }
    #expect(welcome.runID == "run")
    #expect(welcome.incarnation == 7)
    #expect(welcome.heartbeatMilliseconds == 100)
    #expect(
      joined.dropFirst() == [
        .policyAnnounced(PolicyAnnounced(version: PolicyVersion(9), weightsEndpoint: "tcp://weights"))
      ])
    #expect(bench.beat(1, holding: nil).leases.isEmpty)
    #expect(bench.beat(1, holding: 8).leases.isEmpty)
    #expect(bench.beat(1, holding: 9).leases.count == 3)
  }

  @Test("The policy is announced again to a worker that still lacks it")
  func announcingAgain() {
    var bench = Bench()
    bench.joinLearner()
    bench.join(1, holding: nil)
    let announced = bench.wait(1000).announced(to: Bench.worker(1))
    #expect(announced.count >= 2)
    #expect(announced.allSatisfy { $0 == PolicyVersion(0) })
    bench.beat(1, holding: 0)
    #expect(bench.wait(1000).announced(to: Bench.worker(1)).isEmpty)
  }

  @Test("Names of live workers are unique and printable")
  func names() {
    var bench = Bench()
    for number in 1...3 as ClosedRange<UInt8> {
      bench.receive(.hello(Bench.workerHello(number, name: "gpu\u{1B}[2J")), from: Bench.worker(number))
    }
    #expect(bench.state.status(now: 0).peers.map(\.name) == ["gpu[2J", "gpu[2J-2", "gpu[2J-3"])
  }

  @Test("A heartbeat of a stranger is answered by a welcome, which tells it to say hello")
  func stranger() {
    var bench = Bench()
    let answers = bench.beat(1, holding: nil).messages(to: Bench.worker(1))
    guard case .welcome(let welcome)? = answers.first else { return #expect(Bool(false), "\(answers)") }
    #expect(answers.count == 1)
    #expect(welcome.incarnation == 7)
  }

  @Test("A silent worker is lost after three heartbeats, and its leases are given out again within a second")
  func silence() {
    var bench = Bench()
    let first = bench.start()
    #expect(first.count == 3)
    bench.join(2)
    bench.silence(Bench.worker(1))
    #expect(bench.wait(300).leases.isEmpty, "three heartbeats are not over yet")
    let again = bench.wait(1000).leases(to: 2)
    #expect(again.map(\.id) == first.map(\.id))
    #expect(again.allSatisfy { $0.attempt == 2 && $0.seed == first[0].seed })
    #expect(bench.state.tally.workersLost == 1)
    #expect(bench.state.tally.requeued == 3)
  }

  @Test("Silence is noticed with short heartbeats too")
  func shortHeartbeats() {
    var bench = Bench { $0.farm.heartbeatMilliseconds = 10 }
    _ = bench.start()
    bench.silence(Bench.worker(1))
    bench.wait(300)
    #expect(bench.state.tally.workersLost == 1)
  }

  @Test("A lost worker that comes back is counted in again, and its late result still counts if it is the first")
  func comingBack() {
    var bench = Bench()
    let first = bench.start()
    bench.silence(Bench.worker(1))
    bench.wait(1000)
    #expect(bench.state.status(now: bench.now).peers.contains { $0.state.hasPrefix("silent") })
    let effects = bench.finish(first[0], by: 1)
    #expect(effects.acknowledged(to: 1) == [first[0].id])
    #expect(bench.state.status(now: bench.now).groupsDone == 1)
    #expect(!bench.state.status(now: bench.now).peers.contains { $0.state.hasPrefix("silent") })
  }

  @Test("A new process at a known address ends the one before")
  func reincarnation() {
    var bench = Bench()
    let first = bench.start()
    var hello = Bench.workerHello(1)
    hello.incarnation = 999
    bench.receive(.hello(hello), from: Bench.worker(1))
    #expect(bench.state.tally.workersLost == 1)
    #expect(bench.state.tally.requeued == UInt64(first.count))
    #expect(bench.state.brokenInvariants.isEmpty)
  }

  @Test("A worker that connects again keeps its leases at its new address")
  func reconnecting() {
    var bench = Bench()
    let first = bench.start()
    let heartbeat = bench.beating[Bench.worker(1)]!
    bench.silence(Bench.worker(1))
    bench.beating[Bench.worker(9)] = heartbeat
    bench.wait(2000)
    #expect(bench.state.tally.workersLost == 0)
    #expect(bench.finish(first[0], by: 9).acknowledged(to: 9) == [first[0].id])
    #expect(bench.state.status(now: bench.now).groupsDone == 1)
  }

  @Test("A coordinator that stood still itself takes nobody's silence for death")
  func standingStill() {
    var bench = Bench()
    _ = bench.start()
    bench.now += 60_000
    bench.on(.tick)
    #expect(bench.state.tally.workersLost == 0)
    bench.wait(1000)
    #expect(bench.state.tally.workersLost == 0)
  }

  @Test("A worker that keeps sending malformed frames is evicted and not let in again; the rest go on")
  func malformed() {
    var bench = Bench()
    let first = bench.start()
    bench.join(2, credit: 0)
    for _ in 0..<3 { bench.on(.malformed(from: Bench.worker(1), reason: "bytes")) }
    #expect(bench.effects.refusals.count == 1)
    #expect(bench.state.tally.requeued == UInt64(first.count))
    #expect(bench.receive(.hello(Bench.workerHello(1)), from: Bench.worker(1)).refusals.count == 1)
    #expect(bench.beat(2, holding: 0).leases(to: 2).map(\.id) == first.map(\.id))
  }

  @Test("A worker that leaves gives its leases back, and that is no failed attempt")
  func leaving() {
    var bench = Bench { $0.farm.attemptsMax = 1 }
    let first = bench.start()
    bench.join(2)
    let again = bench.receive(.goodbye(Goodbye(reason: "drained")), from: Bench.worker(1)).leases(to: 2)
    #expect(again.map(\.id) == first.map(\.id))
    #expect(bench.state.tally.quarantined == 0)
  }

  @Test("A worker that holds a newer version than the run has is evicted: it never steps back")
  func ahead() {
    var bench = Bench()
    bench.joinLearner(version: 5)
    #expect(bench.join(1, holding: 6).refusals.count == 1)
  }

  @Test("A message of a role that is not the coordinator's to hear is counted and changes nothing")
  func foreign() {
    var bench = Bench()
    let leases = bench.start()
    let before = bench.state.tally.foreign
    bench.receive(.lease(leases[0]), from: Bench.worker(1))
    bench.receive(.manifestRequest(.policy), from: Bench.worker(1))
    #expect(bench.state.tally.foreign == before + 2)
    #expect(bench.effects.isEmpty)
  }
}

/// A hello that somebody else once said: with keys an outsider cannot send it, a process with another key of the farm
/// can.
@Suite("Repeated hellos")
struct RepeatedHelloTests {
  static let elsewhere = PeerAddress(bytes: [9, 9])

  @Test("A worker's hello from elsewhere is refused while the worker is heard, and the worker stays what it was")
  func worker() {
    var bench = Bench()
    _ = bench.start()
    let hello = Message.hello(Bench.workerHello(1))
    #expect(bench.receive(hello, from: Self.elsewhere).isEmpty)
    bench.wait(500)
    let effects = bench.receive(hello, from: Self.elsewhere)
    #expect(effects.refusals.count == 1)
    #expect(effects.refusals.first?.contains("repeated") == true)
    #expect(effects.logs.contains { $0.contains("refused worker w1") && $0.contains("repeated") })
    #expect(bench.state.status(now: bench.now).peers.map(\.name) == ["learner", "w1"])
    #expect(bench.beat(1, holding: 0).refusals.isEmpty)
  }

  @Test("With another key it is refused at once, alive or not, and so is a heartbeat")
  func otherKey() {
    var bench = Bench()
    _ = bench.start()
    let thief = PeerAddress(bytes: [9, 9], owner: "another key")
    #expect(bench.receive(.hello(Bench.workerHello(1)), from: thief).refusals.count == 1)
    let beat = Heartbeat(incarnation: 101, activity: "decoding", policyVersion: PolicyVersion(0), credit: 9)
    #expect(bench.receive(.heartbeat(beat), from: thief).leases.isEmpty)
    bench.silence(Bench.worker(1))
    bench.wait(1000)
    #expect(bench.receive(.hello(Bench.workerHello(1)), from: thief).refusals.count == 1)
  }

  @Test("A worker that has connected again is welcomed as soon as its old connection is silent")
  func reconnection() {
    var bench = Bench()
    _ = bench.start()
    bench.silence(Bench.worker(1))
    let hello = Message.hello(Bench.workerHello(1))
    #expect(bench.receive(hello, from: Self.elsewhere).isEmpty)
    bench.wait(400)
    let answers = bench.receive(hello, from: Self.elsewhere).messages(to: Self.elsewhere)
    guard case .welcome(let welcome)? = answers.first else { return #expect(Bool(false), "\(answers)") }
    #expect(welcome.name == "w1")
  }

  @Test("A learner's hello from elsewhere is refused while the learner is heard")
  func learner() {
    var bench = Bench()
    bench.joinLearner()
    let hello = Message.hello(Bench.learnerHello())
    #expect(bench.receive(hello, from: Self.elsewhere).isEmpty)
    bench.wait(500)
    #expect(bench.receive(hello, from: Self.elsewhere).refusals.first?.contains("is here already") == true)
    bench.silence(Bench.learner)
    bench.wait(500)
    let answers = bench.receive(hello, from: Self.elsewhere).messages(to: Self.elsewhere)
    guard case .welcome? = answers.first else { return #expect(Bool(false), "\(answers)") }
  }
}
