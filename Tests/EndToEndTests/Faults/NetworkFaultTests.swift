import Foundation
import Glibc
import Testing
import Wire

/// Faults of the network between machines, which are network namespaces here: partitions, a slow link, strangers.
@Suite(
  .serialized, .enabled(if: FaultTests.isWhole, FaultTests.isLeftOut),
  .enabled(if: TestNetwork.isAvailable, TestNetwork.needs))
struct NetworkFaultTests {
  @Test("Leftovers of a killed process are swept, and nothing else")
  func whatAKilledProcessLeftIsSweptAndNothingElse() throws {
    // Process ids end at 2^22.
    let (left, own) = ("fovea-4194999-0123ABCD-w0", "fovea-\(getpid())-0123ABCD-w0")
    let others = ["fovea-somebody", "somebody-4194999-0123ABCD-w0"]
    for name in [left, own] + others { try command("ip", "netns", "add", name) }
    defer { for name in [own] + others { _ = try? command("ip", "netns", "delete", name) } }
    TestNetwork.sweep()
    let names = TestNetwork.namespaces
    #expect(!names.contains(left), "\(names)")
    #expect(Set([own] + others).isSubset(of: names), "\(names)")
  }

  /// No packet passes, in either direction, and no connection is closed.
  @Test("A worker that is cut off comes back", .timeLimit(.minutes(4)), arguments: [2.0, 8.0, 30.0])
  func aWorkerThatIsCutOffAndComesBack(seconds: Double) async throws {
    let network = try ScatteredFarm.network(workers: 2)
    let farm = try ScatteredFarm(workers: 2, network: network)
    try await farm.start()
    for server in ["coordinator", "learner"] { try network.cut(network["w0"], from: network[server]) }
    let isLost = await holds(within: 5) { farm.log(ScatteredFarm.coordinator).contains("worker w0 is lost") }
    #expect(isLost, "\(farm.diagnosis)")
    // The rest of the farm goes on alone; held back then, so that there is still a run to come back to.
    try await farm.train(untilStep: try farm.farm.steps.count + 2)
    farm.send(SIGSTOP, to: "w1")
    try await Task.sleep(for: .seconds(seconds))
    try network.heal(network["w0"])
    let done = try farm.farm.steps.count
    // It is w0 that samples them.
    try await farm.train(untilStep: done + 2)
    farm.send(SIGCONT, to: "w1")
    try await farm.expectWhole()
    #expect(farm.log(ScatteredFarm.coordinator).contains("worker w0 is back"))
  }

  @Test(
    "Learner and coordinator that are cut off from each other come back", .timeLimit(.minutes(4)),
    arguments: [2.0, 8.0, 30.0])
  func learnerAndCoordinatorThatAreCutOffFromEachOther(seconds: Double) async throws {
    let network = try ScatteredFarm.network(workers: 2)
    let farm = try ScatteredFarm(workers: 2, network: network)
    try await farm.start()
    try network.cut(network["learner"], from: network["coordinator"])
    try await Task.sleep(for: .seconds(seconds))
    let done = try farm.farm.steps.count
    #expect(done < ScatteredFarm.steps - 2)
    try network.heal(network["learner"])
    let healed = ContinuousClock.now
    try await farm.train(untilStep: done + 2)
    print("learner, cut off for \(seconds) s: the next steps \((ContinuousClock.now - healed) / .seconds(1)) s after")
    try await farm.expectWhole()
  }

  /// Two workers fetch some 30 KB a step through the learner's link, which passes 250 KB a second.
  @Test("A slow link costs time and nothing else", .timeLimit(.minutes(4)))
  func aSlowLinkCostsTimeAndNothingElse() async throws {
    let network = try ScatteredFarm.network(workers: 2)
    try network.slow(network["learner"], kilobitsPerSecond: 2000)
    let farm = try ScatteredFarm(workers: 2, network: network)
    try await farm.start()
    try await farm.expectWhole()
    let elapsed = try farm.farm.steps.last?.values["seconds_elapsed"] ?? 0
    #expect(elapsed > 12, "the link was not what the farm waited for: \(elapsed) s")
    print("slow link: \(ScatteredFarm.steps) steps in \(elapsed) s")
    let log = farm.log(ScatteredFarm.coordinator)
    #expect(!log.contains("is lost"), "\(log)")
  }

  @Test("A farm with keys trains across machines", .timeLimit(.minutes(3)))
  func aFarmWithKeysAcrossMachines() async throws {
    let network = try ScatteredFarm.network(workers: 2, others: ["stranger"])
    let base = try Farm()
    let keys = KeyDirectory(base.folder.path + "/keys")
    func fovea(_ words: String..., on machine: String = "coordinator") async throws -> FoveaProcess.Result {
      try await FoveaProcess(words, in: base.folder, prefix: network[machine].prefix).wait(seconds: 30)
    }
    for words in [["init"], ["add", "w0"], ["add", "w1"]] {
      let made = try await FoveaProcess.run(["keys"] + words, in: base.folder)
      #expect(made.exitCode == 0, "\(made)")
    }
    let farm = try ScatteredFarm(workers: 2, network: network, farm: base, keys: keys)
    try await farm.start()
    let stranger = KeyDirectory(base.folder.path + "/stranger")
    _ = try stranger.createWorker(serverKey: keys.serverKey)
    let endpoint = try farm.endpoint
    let refused = try await fovea("worker", "--connect", endpoint, "--keys", stranger.path, on: "stranger")
    #expect(refused.exitCode == 1, "\(refused)")
    #expect(refused.errors.contains("not in the server's allow-list"), "\(refused)")
    let mute = try await fovea("worker", "--connect", endpoint, "--insecure", on: "stranger")
    #expect(mute.exitCode == 1, "\(mute)")
    #expect(mute.errors.contains("takes only peers with keys"), "\(mute)")
    try await farm.expectWhole()
    #expect(farm.log(ScatteredFarm.coordinator).contains(network["stranger"].address))
  }
}
