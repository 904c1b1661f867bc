import Foundation
import Glibc
import Support
import Testing
import Wire

/// Real faults on real processes: killed, hung, wrong clocks, peers that send garbage. After each of them the run must
/// be whole: the exact number of samples, each trained once, and the weights of a run that nothing happened to.
///
/// `make test` runs what needs no root and little time, on the loopback; `make faults` (FOVEA_FAULTS=all) more moments
/// and what needs a network (`NetworkFaultTests`) or a disk of its own (`DiskFaultTests`). docs/FAULTS.md lists them
/// all.
@Suite(.serialized) struct FaultTests {
  static let isWhole = ProcessInfo.processInfo.environment["FOVEA_FAULTS"] == "all"
  static let isLeftOut: Comment = "left out of make test: make faults runs it"

  // MARK: Killed

  /// Whoever it hits, wherever it is: in a rollout, an update, a checkpoint, its own start.
  @Test("Any process may be killed at any moment", .timeLimit(.minutes(5)), arguments: isWhole ? Array(1...6) : [1])
  func anyProcessMayBeKilledAtAnyMoment(seed: UInt64) async throws {
    let network = Self.isWhole && TestNetwork.isAvailable ? try ScatteredFarm.network(workers: 3) : nil
    let farm = try ScatteredFarm(workers: 3, network: network)
    var random = RandomStream(seed: seed, purpose: .test)
    try await farm.start(untilStep: 1)
    var killed: [String: Int] = [:]
    while try farm.farm.steps.count < ScatteredFarm.steps - 10 {
      // Workers are three of the five names: each role is as likely.
      let role = Int.random(in: 0...2, using: &random)
      let name = [ScatteredFarm.coordinator, ScatteredFarm.learner, "w\(Int.random(in: 0...2, using: &random))"][role]
      try await Task.sleep(for: .milliseconds(Int.random(in: 0...800, using: &random)))
      await farm.kill(name)
      killed[["coordinator", "learner", "worker"][role], default: 0] += 1
      try await Task.sleep(for: .milliseconds(Int.random(in: 0...300, using: &random)))
      try await farm.start(name)
      #expect(killed.values.reduce(0, +) < 100, "no progress\n\(farm.diagnosis)")
    }
    print("killed, seed \(seed): \(killed.sorted { $0.key < $1.key })")
    try await farm.expectWhole()
  }

  @Test("A dead worker's leases are given out again within four heartbeats", .timeLimit(.minutes(2)))
  func aDeadWorkersLeasesAreGivenOutAgainWithinFourHeartbeats() async throws {
    // Two groups that take long, for three workers: one of them is idle.
    let heartbeat = 1.0
    let farm = try ScatteredFarm(
      workers: 3,
      settings: [
        "run.steps=1", "rollout.group_size=1000", "rollout.sampling.max_new_tokens=1500", "evaluation.prompts=1",
        "farm.heartbeat_milliseconds=\(Int(heartbeat * 1000))",
      ])
    for name in farm.names { try await farm.start(name) }
    let watch = try StatusWatch(farm.endpoint)
    defer { watch.close() }
    func holders(_ status: FarmStatus) -> Set<String> {
      Set(status.peers.filter { $0.role == .worker && $0.leases > 0 }.map(\.name))
    }
    let before = holders(try #require(await watch.status(within: 60) { holders($0).count == 2 }, "\(farm.diagnosis)"))
    let victim = try #require(before.first)
    let killed = ContinuousClock.now
    farm.send(SIGKILL, to: victim)
    // A worker without a lease gets one, and none is left but the victim's.
    var free = Set(farm.workers).subtracting(before)
    let after = await watch.status(within: 10) { status in
      let holders = holders(status)
      if !holders.contains(victim), !free.isDisjoint(with: holders) { return true }
      free.formUnion(Set(farm.workers).subtracting(holders))
      return false
    }
    let seconds = (ContinuousClock.now - killed) / .seconds(1)
    #expect(after != nil, "\(farm.diagnosis)")
    #expect(seconds <= 4 * heartbeat, "out again after \(seconds) s")
    print("a dead worker's lease is out again after \(seconds) s, \(seconds / heartbeat) heartbeats")
  }

  @Test("A coordinator is back within two seconds of its restart", .timeLimit(.minutes(2)))
  func aCoordinatorIsBackWithinTwoSecondsOfItsRestart() async throws {
    let farm = try ScatteredFarm(workers: 2)
    try await farm.start()
    for downtime in Self.isWhole ? [0.0, 1.0, 3.0] : [1.0] {
      await farm.kill(ScatteredFarm.coordinator)
      let done = try farm.farm.steps.count
      try await Task.sleep(for: .seconds(downtime))
      let restarted = ContinuousClock.now
      try await farm.start(ScatteredFarm.coordinator)
      let watch = try StatusWatch(farm.endpoint)
      defer { watch.close() }
      #expect(await watch.status(within: 10) { $0.peers.count == 3 } != nil, "\(farm.diagnosis)")
      let seconds = (ContinuousClock.now - restarted) / .seconds(1)
      #expect(seconds <= 2, "back after \(seconds) s")
      print("coordinator, down for \(downtime) s: back with all its peers \(seconds) s after its restart")
      try await farm.train(untilStep: done + 2)
    }
    try await farm.expectWhole()
  }

  // MARK: Hung

  /// SIGSTOP, for longer than the coordinator believes in anyone's life, and SIGCONT.
  @Test(
    "A process that hangs comes back", .timeLimit(.minutes(3)),
    arguments: [["w0"]] + (isWhole ? [["learner"], ["coordinator"], ["coordinator", "learner", "w0", "w1"]] : []))
  func aProcessThatHangsComesBack(names: [String]) async throws {
    let farm = try ScatteredFarm(workers: 2)
    try await farm.start()
    for hung in Self.isWhole ? [0.4, 2.0] : [2.0] {
      let done = try farm.farm.steps.count
      for name in names { farm.send(SIGSTOP, to: name) }
      try await Task.sleep(for: .seconds(hung))
      for name in names { farm.send(SIGCONT, to: name) }
      try await farm.train(untilStep: min(done + 3, ScatteredFarm.steps))
    }
    try await farm.expectWhole()
    let log = farm.log(ScatteredFarm.coordinator)
    let last = try #require(farm.farm.steps.last?.values)
    switch names {
    case ["w0"]:
      #expect(log.contains("worker w0 is lost"), "\(log)")
      #expect(log.contains("worker w0 is back"), "\(log)")
    case ["learner"]:
      #expect(log.contains("learner learner is lost"), "\(log)")
      #expect(log.contains("is back"), "\(log)")
    // A coordinator that hung itself was not there to hear anyone: nobody is lost for it.
    default: #expect(last["workers_lost"] == 0, "\(log)")
    }
  }

  // MARK: Garbage

  @Test("A peer that sends garbage disturbs nobody", .timeLimit(.minutes(3)))
  func aPeerThatSendsGarbageDisturbsNobody() async throws {
    let farm = try ScatteredFarm(workers: 2)
    try await farm.start()
    let weights = try #require(farm.log("learner").firstMatch(of: #/serves weights at (\S+?),/#).map { String($0.1) })
    let coordinator = try #require(farm.processes[ScatteredFarm.coordinator]).processID
    let before = try residentByteCount(coordinator)
    var peers = try [farm.endpoint, weights].enumerated().map { index, endpoint in
      GarbagePeer(
        port: try #require(endpoint.split(separator: ":").last.flatMap { UInt16($0) }), seed: UInt64(index))
    }
    for round in 0..<(Self.isWhole ? 20 : 4) {
      for attack in GarbagePeer.Attack.allCases {
        for index in peers.indices { peers[index].attack(attack) }
      }
      if round % 2 == 1 { for index in peers.indices { peers[index].hangUp() } }
    }
    let growth = try residentByteCount(coordinator) - before
    #expect(growth < 64 << 20, "the coordinator grew by \(growth >> 20) MiB")
    try await farm.expectWhole()
    for index in peers.indices { peers[index].hangUp() }
    for name in ["coordinator", "learner"] { #expect(farm.log(name).contains("malformed"), "\(farm.log(name))") }
    // A damaged hello may be a whole one, of a worker that is never heard again.
    for name in farm.workers { #expect(!farm.log("coordinator").contains("worker \(name) is lost")) }
  }

  // MARK: Clocks

  /// A day forward, and two back, under one process after the other, as when a person or NTP sets a machine's clock
  /// (`Tests/Clocks/wall_clock.c`).
  @Test("A wall clock that jumps moves nothing", .enabled(if: isWhole, isLeftOut), .timeLimit(.minutes(3)))
  func aWallClockThatJumpsMovesNothing() async throws {
    let farm = try ScatteredFarm(workers: 2)
    let folder = farm.farm.folder
    let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    try command(
      "clang", "-shared", "-fPIC", "-O2", tests.path + "/Clocks/wall_clock.c", "-o", folder.path + "/clock.so")
    let names = ["coordinator", "learner", "w0"]
    for name in names {
      try folder.write("0", to: "clock-\(name)")
      farm.surroundings[name] = ScatteredFarm.Surroundings(
        environment: ["LD_PRELOAD": folder.path + "/clock.so", "FOVEA_WALL_CLOCK": folder.path + "/clock-\(name)"])
    }
    try await farm.start()
    for name in names {
      for seconds in [86_400, -86_400] {
        try folder.write("\(seconds)", to: "clock-\(name)")
        try await farm.train(untilStep: try farm.farm.steps.count + 3)
      }
    }
    try await farm.expectWhole()
    #expect(try farm.farm.steps.last?.values["workers_lost"] == 0)
    // The clocks did jump: w0's log begins on one day, and ends on another.
    let days = Set(farm.log("w0").split(separator: "\n").map { $0.prefix(10) })
    #expect(days.count == 2, "\(days)")
  }

  /// Monotonic clocks of machines have nothing to do with each other, and that of a machine that was started again is
  /// young.
  @Test(
    "Machines need no common monotonic clock", .enabled(if: isWhole, isLeftOut),
    .enabled(if: TestNetwork.isAvailable, TestNetwork.needs),
    .timeLimit(.minutes(3)))
  func machinesNeedNoCommonMonotonicClock() async throws {
    let farm = try ScatteredFarm(workers: 2)
    func upFor(_ name: String, seconds: Int) {
      let options = ["--time", "--monotonic", "\(seconds)", "--boottime", "\(seconds)"]
      farm.surroundings[name] = ScatteredFarm.Surroundings(prefix: ["unshare"] + options)
    }
    upFor("coordinator", seconds: 10_000_000)
    upFor("w0", seconds: 5_000_000)
    try await farm.start(untilStep: 4)
    for name in ["coordinator", "w0"] {
      await farm.kill(name)
      farm.surroundings[name] = nil
      try await farm.start(name)
      try await farm.train(untilStep: try farm.farm.steps.count + 3)
    }
    try await farm.expectWhole()
    #expect(try farm.farm.steps.last?.values["seconds_elapsed"].map { (0..<3600).contains($0) } == true)
  }

  private func residentByteCount(_ process: pid_t) throws -> Int {
    let status = try String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
    let kibibytes = try #require(status.firstMatch(of: #/VmRSS:\s*(\d+)/#).flatMap { Int($0.1) })
    return kibibytes << 10
  }
}

/// Asks a coordinator for its status, fifty times a second.
final class StatusWatch {
  private let reactor: Reactor

  init(_ endpoint: String) throws {
    reactor = try Reactor(sockets: [.dealer(.control, connect: endpoint)], tickMilliseconds: 20)
  }

  func close() { reactor.close() }

  /// The first status that a condition holds for; nil when there is none in time.
  func status(within seconds: Double, _ condition: (FarmStatus) -> Bool) async -> FarmStatus? {
    let deadline = ContinuousClock.now + .seconds(seconds)
    for await event in reactor.events {
      switch event {
      case .received(.statusReport(let status), _, _): if condition(status) { return status }
      case .tick: reactor.send(.statusRequest, on: .control)
      default: break
      }
      if ContinuousClock.now >= deadline { return nil }
    }
    return nil
  }
}
