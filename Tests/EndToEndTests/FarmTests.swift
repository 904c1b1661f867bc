import Foundation
import Glibc
import Support
import Testing
import Wire

/// Whole farms as processes over ZeroMQ, and what becomes of them when processes are killed. One at a time: the
/// machine's cores are what they share.
@Suite(.serialized) struct FarmTests {
  private static let samplesPerStep = Double(Farm.promptsPerStep * Farm.groupSize)

  /// - Parameter unmeasured: steps whose learner told a coordinator that was dead by then: trained once, without a loss
  ///   on record.
  private func expectComplete(_ farm: Farm, steps: UInt32, unmeasured: Int = 0) throws {
    let rows = try farm.steps
    #expect(rows.count { $0.values["loss"]?.isFinite != true } <= unmeasured)
    #expect(rows.map(\.step) == Array(1...steps))
    for row in rows {
      #expect(row.values["samples"] == Self.samplesPerStep)
      #expect(row.values["samples_total"] == Double(row.step) * Self.samplesPerStep)
    }
  }

  @Test("A run of a few steps ends with exact counts", .timeLimit(.minutes(2)))
  func aRunOfAFewStepsEndsWithExactCounts() async throws {
    let farm = try Farm()
    let train = try farm.train()
    let result = await train.wait(seconds: 90)
    #expect(result.exitCode == 0, "\(result)\n\(farm.diagnosis)")
    try expectComplete(farm, steps: 4)
    #expect(try farm.metrics.filter { $0.kind == .evaluation }.map(\.step) == [0, 4])
    #expect(FileManager.default.fileExists(atPath: farm.runPath + "/checkpoints/step-000004/model.safetensors"))
    #expect(result.output.contains("finished: 4 steps, 32 samples"), "\(result)")
    // Every process of the farm names the coordinator's endpoint.
    let left = commandLines().filter { $0.contains(farm.endpoint ?? "no endpoint") }
    #expect(farm.endpoint != nil, "\(left)")
    #expect(left.isEmpty, "\(left)")
    #expect(farm.processes.isEmpty, "\(left)")
  }

  @Test("A killed worker is replaced, and nothing is lost or trained twice", .timeLimit(.minutes(3)))
  func aKilledWorkerIsReplacedAndNothingIsLostOrTrainedTwice() async throws {
    let farm = try Farm()
    // The run must still go on when the replacement is there: a step takes some 0.1 s.
    let train = try farm.train(["run.steps=60"])
    #expect(try await holds(within: 60) { try farm.steps.count >= 2 }, "\(farm.diagnosis)")
    let victim = try #require(farm.processes["worker-0"])
    kill(victim, SIGKILL)
    #expect(await holds(within: 20) { farm.processes["worker-0"].map { $0 != victim } ?? false }, "\(farm.diagnosis)")
    let result = await train.wait(seconds: 120)
    #expect(result.exitCode == 0, "\(result)\n\(farm.diagnosis)")
    #expect(result.output.contains("worker-0 was killed (signal 9); it is started again"), "\(result)")
    try expectComplete(farm, steps: 60)
  }

  @Test("A killed learner comes back from its checkpoint", .timeLimit(.minutes(3)))
  func aKilledLearnerComesBackFromItsCheckpoint() async throws {
    let farm = try Farm()
    // As above: the farm must not be through before its learner is killed.
    let train = try farm.train(["run.steps=60"])
    #expect(try await holds(within: 60) { try farm.steps.count >= 3 }, "\(farm.diagnosis)")
    kill(try #require(farm.processes["learner"]), SIGKILL)
    let result = await train.wait(seconds: 120)
    #expect(result.exitCode == 0, "\(result)\n\(farm.diagnosis)")
    #expect(result.output.contains("learner was killed (signal 9); it is started again"), "\(result)")
    try expectComplete(farm, steps: 60)
  }

  @Test("A whole farm that was killed resumes where it was", .timeLimit(.minutes(4)))
  func aWholeFarmThatWasKilledGoesOnWhereItWas() async throws {
    let broken = try Farm()
    let train = try broken.train(["run.steps=40"])
    #expect(try await holds(within: 60) { try broken.steps.count >= 5 }, "\(broken.diagnosis)")
    let processes = broken.processes
    train.send(SIGKILL)
    // Children die with their parent.
    #expect(await holds(within: 10) { !processes.values.contains(where: isAlive) })
    let atKill = try broken.steps
    #expect(atKill.count < 40, "the run was over before it was killed")

    let resumed = await (try broken.resume()).wait(seconds: 120)
    #expect(resumed.exitCode == 0, "\(resumed)\n\(broken.diagnosis)")
    try expectComplete(broken, steps: 40)
    let rows = try broken.steps
    // What lies before the checkpoint was not done again.
    #expect(rows.prefix(2).map(\.values) == atKill.prefix(2).map(\.values))

    // And the curve is that of a run that was never broken: the same data in the same order, the same weights.
    let whole = try Farm()
    let result = await (try whole.train(["run.steps=40"])).wait(seconds: 120)
    #expect(result.exitCode == 0, "\(result)\n\(whole.diagnosis)")
    for name in ["reward", "loss", "entropy", "tau", "completion_tokens"] {
      #expect(try rows.map { $0.values[name] } == whole.steps.map { $0.values[name] }, "\(name) differs")
    }
  }

  @Test("A worker that starts late on another address contributes", .timeLimit(.minutes(3)))
  func aWorkerThatStartsLateOnAnotherAddressContributes() async throws {
    let farm = try Farm()
    // Stopped when the late worker has contributed; steps long enough that it can catch up with the policy on a busy
    // machine.
    let train = try farm.train([
      "run.steps=2000", "farm.workers=1", "checkpoint.every=0", "rollout.sampling.max_new_tokens=100",
    ])
    #expect(await holds(within: 60) { farm.endpoint != nil }, "\(farm.diagnosis)")
    #expect(try await holds(within: 60) { try farm.steps.count >= 1 }, "\(farm.diagnosis)")
    let endpoint = try #require(farm.endpoint)
    // From 127.0.0.2, as ZeroMQ writes a source address.
    let late = try FoveaProcess(
      [
        "worker", "--connect", endpoint.replacingOccurrences(of: "tcp://", with: "tcp://127.0.0.2:0;"),
        "--name", "late", "--threads", "1", "--slots", "16",
      ], in: farm.folder)
    var groups = 0
    for _ in 0..<300 where groups == 0 && train.isRunning {
      groups = try await groupsDone(by: "late", endpoint: endpoint, farm)
    }
    #expect(groups > 0, "\(late.output)\n\(late.errors)\n\(farm.diagnosis)")
    train.send(SIGTERM)
    let result = await train.wait(seconds: 60)
    #expect(result.exitCode == 0, "\(result)\n\(farm.diagnosis)")
    #expect(await late.wait(seconds: 20).exitCode == 0, "\(late.output)\n\(late.errors)")
  }

  /// As `fovea status --json` tells.
  private func groupsDone(by name: String, endpoint: String, _ farm: Farm) async throws -> Int {
    let result = try await FoveaProcess.run(["status", "--connect", endpoint, "--json"], in: farm.folder)
    guard result.exitCode == 0 else { return 0 }
    let peers = try JSON.parse(Array(result.output.utf8), place: "status")["peers"]?.array ?? []
    return peers.first { $0["name"]?.string == name }?["groups_done"]?.int ?? 0
  }

  @Test("SIGTERM drains the farm, and the run can be resumed", .timeLimit(.minutes(2)))
  func sigtermDrainsAndTheRunCanGoOn() async throws {
    let farm = try Farm()
    let train = try farm.train(["run.steps=200"])
    #expect(try await holds(within: 60) { try farm.steps.count >= 3 }, "\(farm.diagnosis)")
    let processes = farm.processes
    train.send(SIGTERM)
    let result = await train.wait(seconds: 60)
    #expect(result.exitCode == 0, "\(result)\n\(farm.diagnosis)")
    #expect(result.output.contains("next: fovea train --resume"), "\(result)")
    #expect(!processes.values.contains(where: isAlive))
    let done = try farm.steps.count
    let resumed = await (try farm.resume(["run.steps=\(done + 2)"])).wait(seconds: 90)
    #expect(resumed.exitCode == 0, "\(resumed)\n\(farm.diagnosis)")
    try expectComplete(farm, steps: UInt32(done + 2))
  }

  @Test("A second signal ends everything at once", .timeLimit(.minutes(2)))
  func aSecondSignalEndsEverythingAtOnce() async throws {
    let farm = try Farm()
    // A step that takes long, so that draining does.
    let train = try farm.train(["rollout.sampling.max_new_tokens=1000", "rollout.group_size=64"])
    #expect(await holds(within: 60) { farm.processes.count == 4 }, "\(farm.diagnosis)")
    let processes = farm.processes
    train.send(SIGINT)
    #expect(await holds(within: 10) { train.output.contains("asked to stop") }, "\(train.output)")
    train.send(SIGINT)
    let result = await train.wait(seconds: 10)
    #expect(result.exitCode == 130, "\(result)\n\(farm.diagnosis)")
    // It has waited for them: not even the traces of children are left.
    #expect(processes.values.allSatisfy { !FileManager.default.fileExists(atPath: "/proc/\($0)") })
  }

  @Test("A learner that cannot start ends the run with its reason", .timeLimit(.minutes(2)))
  func aLearnerThatCannotStartEndsTheRunWithItsReason() async throws {
    let farm = try Farm()
    let train = try farm.train(["farm.weights_listen=tcp://192.0.2.1:9"])
    let result = await train.wait(seconds: 60)
    #expect(result.exitCode == 3, "\(result)\n\(farm.diagnosis)")
    #expect(result.errors.contains("the farm failed: learner ended with exit code 1"), "\(result)")
    #expect(result.errors.contains("192.0.2.1"), "\(result)")
  }

  @Test("On a terminal the farm is shown live", .timeLimit(.minutes(2)), arguments: [true, false])
  func onATerminalTheFarmIsShownLive(colour: Bool) async throws {
    let farm = try Farm()
    let environment = ["TERM": "xterm", "NO_COLOR": colour ? "" : "1"]
    let train = try farm.train(["run.steps=20"], environment: environment, onTerminal: true)
    let result = await train.wait(seconds: 90)
    #expect(result.exitCode == 0, "\(result)\n\(farm.diagnosis)")
    for part in ["· step ", "█", "worker-1", "reward", "tokens/s", "finished: 20 steps"] {
      #expect(result.output.contains(part), "no \(part) in \(result)")
    }
    #expect(result.output.contains("\u{1B}[1m") == colour)
    for line in result.output.split(whereSeparator: \.isNewline) where !line.contains(farm.folder.path) {
      #expect(line.replacing(#/\u{1B}\[[0-9;]*[A-Za-z]/#, with: "").count <= 110, "\(line)")
    }
  }

  @Test("A killed coordinator comes back where it was, and the others stay", .timeLimit(.minutes(3)))
  func aKilledCoordinatorComesBackWhereItWasAndTheOthersStay() async throws {
    let farm = try Farm()
    let train = try farm.train(["run.steps=60"])
    #expect(try await holds(within: 60) { try farm.steps.count >= 3 }, "\(farm.diagnosis)")
    let before = farm.processes
    kill(try #require(before["coordinator"]), SIGKILL)
    let done = try farm.steps.count
    // Two seconds, and what a busy machine adds.
    #expect(try await holds(within: 10) { try farm.steps.count > done + 1 }, "\(farm.diagnosis)")
    let after = farm.processes
    #expect(["learner", "worker-0", "worker-1"].allSatisfy { before[$0] == after[$0] }, "\(before) \(after)")
    let result = await train.wait(seconds: 120)
    #expect(result.exitCode == 0, "\(result)\n\(farm.diagnosis)")
    #expect(result.output.contains("coordinator was killed (signal 9); it is started again"), "\(result)")
    #expect(farm.log("coordinator").contains("resumes from the journal"))
    try expectComplete(farm, steps: 60)
  }

  @Test("A journal that is damaged or of another run ends the resume with one line", .timeLimit(.minutes(2)))
  func aJournalThatIsDamagedOrOfAnotherRunEndsTheResumeWithOneLine() async throws {
    let farm = try Farm()
    #expect(await (try farm.train(["run.steps=2"])).wait(seconds: 60).exitCode == 0)
    let journal = farm.runPath + "/journal.sqlite"
    let garbage = Data(repeating: 7, count: 5000)
    try garbage.write(to: URL(fileURLWithPath: journal))
    let result = await (try farm.resume(["run.steps=3"])).wait(seconds: 60)
    #expect(result.exitCode == 1, "\(result)")
    #expect(result.errors.contains("the journal at \(journal): expected an undamaged journal of fovea"), "\(result)")
    #expect(try Data(contentsOf: URL(fileURLWithPath: journal)) == garbage)
    // Moved away, the run goes on from the learner's checkpoint.
    try FileManager.default.removeItem(atPath: journal)
    for part in ["-wal", "-shm"] { try? FileManager.default.removeItem(atPath: journal + part) }
    #expect(await (try farm.resume(["run.steps=3"])).wait(seconds: 60).exitCode == 0)
    try expectComplete(farm, steps: 3)
  }

  @Test("A coordinator started again by hand resumes", .timeLimit(.minutes(2)))
  func aCoordinatorStartedAgainByHandGoesOn() async throws {
    let farm = try Farm()
    let folder = farm.folder
    let settings = ["--config", folder.path + "/settings.yaml"]
    let first = try FoveaProcess(
      ["coordinator", "--run-directory", farm.runPath] + settings + ["run.steps=60"], in: folder)
    #expect(await holds(within: 20) { farm.endpoint != nil }, "\(first.errors)")
    let endpoint = try #require(farm.endpoint)
    let connect = ["--connect", endpoint, "--threads", "1"]
    let worker = try FoveaProcess(["worker"] + connect, in: folder)
    let learner = try FoveaProcess(
      ["learner", "--run-directory", farm.runPath] + settings + connect + ["run.steps=60"], in: folder)
    #expect(try await holds(within: 60) { try farm.steps.count >= 3 }, "\(farm.diagnosis)")
    first.send(SIGKILL)
    _ = await first.wait(seconds: 10)
    let second = try FoveaProcess(
      ["coordinator", "--resume", farm.runPath, "farm.listen=\(endpoint)"], in: folder)
    for (name, process) in [("coordinator", second), ("learner", learner), ("worker", worker)] {
      let result = await process.wait(seconds: 60)
      #expect(result.exitCode == 0, "\(name): \(result)\n\(farm.diagnosis)")
    }
    // The measurements of a step whose completion was told to the dead one may be missing; the step is not.
    #expect(try farm.steps.map(\.step) == Array(1...60))
  }

  @Test("Every role can be started by hand", .timeLimit(.minutes(2))) func everyRoleCanBeStartedByHand() async throws {
    let farm = try Farm()
    let folder = farm.folder
    let settings = ["--config", folder.path + "/settings.yaml"]
    let coordinator = try FoveaProcess(
      ["coordinator", "--run-directory", farm.runPath] + settings + ["run.steps=2"], in: folder)
    #expect(await holds(within: 20) { farm.endpoint != nil }, "\(coordinator.errors)")
    let connect = ["--connect", try #require(farm.endpoint), "--threads", "1"]
    let worker = try FoveaProcess(["worker"] + connect, in: folder)
    let learner = try FoveaProcess(
      ["learner", "--run-directory", folder.path + "/elsewhere"] + settings + connect + ["run.steps=2"], in: folder)
    for (name, process) in [("coordinator", coordinator), ("learner", learner), ("worker", worker)] {
      let result = await process.wait(seconds: 60)
      #expect(result.exitCode == 0, "\(name): \(result)\n\(farm.diagnosis)")
    }
    try expectComplete(farm, steps: 2)
    #expect(FileManager.default.fileExists(atPath: folder.path + "/elsewhere/checkpoints/step-000002/config.json"))
  }
}
