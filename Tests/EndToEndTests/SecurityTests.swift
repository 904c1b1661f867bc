import Console
import Foundation
import Glibc
import Testing
import Wire

/// Farms with keys as real processes, over an address that is not the usual loopback one.
@Suite(.serialized) struct SecurityTests {
  private static let listens = ["farm.listen=tcp://127.0.0.2:*", "farm.weights_listen=tcp://127.0.0.2:*"]

  private func makeKeys(_ farm: Farm) async throws -> KeyDirectory {
    let result = try await FoveaProcess.run(["keys", "init"], in: farm.folder)
    #expect(result.exitCode == 0, "\(result)")
    return KeyDirectory(farm.folder.path + "/keys")
  }

  /// A coordinator that waits for its learner, and its endpoint.
  private func startCoordinator(_ farm: Farm, _ options: [String]) async throws -> (FoveaProcess, String) {
    let coordinator = try FoveaProcess(
      ["coordinator", "--config", farm.folder.path + "/settings.yaml", "--run-directory", farm.runPath] + options,
      in: farm.folder)
    #expect(await holds(within: 30) { farm.endpoint != nil }, "\(coordinator.errors)")
    return (coordinator, try #require(farm.endpoint))
  }

  private func worker(_ farm: Farm, _ endpoint: String, _ options: [String]) throws -> FoveaProcess {
    try FoveaProcess(["worker", "--connect", endpoint, "--threads", "1"] + options, in: farm.folder)
  }

  @Test("A farm with keys trains and writes no secret and no file for others", .timeLimit(.minutes(3)))
  func aFarmWithKeysTrainsAndWritesNoSecretAndNoFileForOthers() async throws {
    let farm = try Farm()
    let keys = try await makeKeys(farm)
    let train = try farm.train(["--keys", "keys"] + Self.listens)
    let result = await train.wait(seconds: 120)
    #expect(result.exitCode == 0, "\(result)\n\(farm.diagnosis)")
    #expect(try farm.steps.map(\.step) == [1, 2, 3, 4])
    #expect(farm.endpoint?.hasPrefix("tcp://127.0.0.2:") == true)
    let dry = try await FoveaProcess.run(
      ["train", "--config", "settings.yaml", "--keys", "keys", "--dry-run"], in: farm.folder)
    #expect(dry.exitCode == 0, "\(dry)")
    #expect(dry.output.contains("only with the keys of keys"), "\(dry)")

    let secrets = try ["server.key_secret", "workers/local/worker.key_secret"].map { name in
      let text = try String(contentsOfFile: "\(keys.path)/\(name)", encoding: .utf8)
      return String(try #require(text.firstMatch(of: #/secret-key = "(.+)"/#)).1)
    }
    var fileCount = 0
    for case let name as String in FileManager.default.enumerator(atPath: farm.runPath) ?? .init() {
      let path = farm.runPath + "/" + name
      let attributes = try FileManager.default.attributesOfItem(atPath: path)
      let isFolder = attributes[.type] as? FileAttributeType == .typeDirectory
      #expect((attributes[.posixPermissions] as? Int).map { $0 & 0o077 } == 0, "\(name) is open to others")
      if isFolder { continue }
      fileCount += 1
      let text = String(decoding: try #require(FileManager.default.contents(atPath: path)), as: UTF8.self)
      for secret in secrets { #expect(!text.contains(secret), "\(name) holds a secret") }
    }
    #expect(fileCount > 10)
    for secret in secrets { #expect(![result.output, result.errors, dry.output].contains { $0.contains(secret) }) }
  }

  @Test("A peer that does not belong is refused, and both sides say why", .timeLimit(.minutes(3)))
  func whoeverDoesNotBelongIsRefusedAndBothSidesSayWhy() async throws {
    let farm = try Farm()
    let keys = try await makeKeys(farm)
    try keys.addWorker("w1")
    let (coordinator, endpoint) = try await startCoordinator(farm, ["--keys", "keys"] + Self.listens)
    let stranger = KeyDirectory(farm.folder.path + "/stranger")
    _ = try stranger.createWorker(serverKey: keys.serverKey)
    let elsewhere = KeyDirectory(farm.folder.path + "/elsewhere")
    _ = try elsewhere.createWorker(serverKey: KeyPair.generate().publicKey)
    let refused = [
      (
        try worker(farm, endpoint, ["--keys", stranger.path]), "not in the server's allow-list",
        "is not in the allow-list"
      ),
      (
        try worker(farm, endpoint, ["--keys", elsewhere.path]), "another key than server.key", "for another server key"
      ),
      (try worker(farm, endpoint, []), "takes only peers with keys", "keys"),
      (
        try worker(farm, endpoint, ["--keys", keys.workerPath("local"), "--run", "another"]),
        "this is run run, not another",
        "this is run run, not another"
      ),
    ]
    let listed = try worker(farm, endpoint, ["--keys", keys.workerPath("w1"), "--name", "w1"])
    #expect(await holds(within: 20) { farm.log("coordinator").contains("worker w1 on") }, "\(farm.diagnosis)")
    for (process, said, logged) in refused {
      let result = await process.wait(seconds: 60)
      #expect(result.exitCode == ExitCode.input.rawValue, "\(result)")
      #expect(result.errors.contains(said), "\(result)")
      #expect(farm.log("coordinator").contains(logged), "\(farm.log("coordinator"))")
    }
    #expect(listed.isRunning)
    let revoking = try await FoveaProcess.run(["keys", "revoke", "w1"], in: farm.folder)
    #expect(revoking.exitCode == 0, "\(revoking)")
    let result = await listed.wait(seconds: 20)
    #expect(result.exitCode == ExitCode.input.rawValue, "\(result)")
    #expect(result.errors.contains("or revoked"), "\(result)")
    #expect(coordinator.isRunning)
  }

  @Test("Nothing that a peer sends is used as a path or a command", .timeLimit(.minutes(1)))
  func whatAPeerSendsNamesNoPathAndNoCommand() async throws {
    let farm = try Farm()
    let (coordinator, endpoint) = try await startCoordinator(farm, [])
    func files() -> Set<String> {
      Set((FileManager.default.enumerator(atPath: farm.folder.path) ?? .init()).compactMap { $0 as? String })
    }
    let before = files()
    let peer = try Reactor(sockets: [.dealer(.control, connect: endpoint)])
    defer { peer.close() }
    let mark = "fovea-\(UUID().uuidString)"
    for (index, evil) in [
      "../../../tmp/\(mark)", "/tmp/\(mark)", "$(touch /tmp/\(mark))", "; touch /tmp/\(mark) #", "`touch /tmp/\(mark)`",
      "| touch /tmp/\(mark)", "logs/\(mark).log", "checkpoints/\(mark)", "\(mark)\0.yaml",
    ].enumerated() {
      let incarnation = UInt64(index + 1)
      func hello(_ role: Role) -> Message {
        .hello(
          Hello(
            role: role, runID: role == .observer ? evil : "", name: evil, incarnation: incarnation, host: evil,
            slots: 4, policyVersion: PolicyVersion(0), weightsEndpoint: evil))
      }
      for role in [Role.observer, .worker, .learner] { peer.send(hello(role), on: .control) }
      peer.send(
        .heartbeat(Heartbeat(incarnation: incarnation, activity: evil, policyVersion: PolicyVersion(0), credit: 9)),
        on: .control)
      peer.send(
        .leaseReturned(LeaseReturned(lease: LeaseID(0), attempt: 1, cause: .impossible, reason: evil)), on: .control)
      peer.send(
        .stepCompleted(StepCompleted(step: 0, version: PolicyVersion(1), metrics: [evil: 1])), on: .control)
      peer.send(.goodbye(Goodbye(reason: evil)), on: .control)
    }
    peer.send(.statusRequest, on: .control)
    var isAnswered = false
    for await event in peer.events {
      if case .received(.statusReport, _, _) = event { isAnswered = true }
      if isAnswered { break }
    }
    #expect(coordinator.isRunning)
    // What the coordinator itself writes while it runs.
    let own = ["-wal", "-shm", "run/status", "run/status.new"]
    let new = files().subtracting(before).filter { name in !own.contains { name.hasSuffix($0) } }
    #expect(new.isEmpty, "\(new)")
    #expect(!new.contains { $0.contains(mark) }, "\(new)")
    #expect(!FileManager.default.fileExists(atPath: "/tmp/\(mark)"))
  }

  @Test("Nothing listens in the clear beyond the machine unless asked to", .timeLimit(.minutes(1)))
  func nothingListensInTheClearBeyondTheMachineUnlessAsked() async throws {
    let farm = try Farm()
    let arguments = [
      "coordinator", "--config", farm.folder.path + "/settings.yaml", "--run-directory", farm.runPath,
      "farm.listen=tcp://0.0.0.0:*",
    ]
    let refused = try await FoveaProcess.run(arguments, in: farm.folder)
    #expect(refused.exitCode == ExitCode.input.rawValue, "\(refused)")
    #expect(refused.errors.contains("--insecure"), "\(refused)")
    let open = try FoveaProcess(arguments + ["--insecure"], in: farm.folder)
    #expect(await holds(within: 20) { farm.log("coordinator").contains("INSECURE") }, "\(open.errors)")
  }
}
