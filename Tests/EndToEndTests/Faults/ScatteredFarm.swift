import Foundation
import Glibc
import Support
import Testing
import Wire

/// A farm whose processes the test itself starts, kills and starts again: each on a machine of its own when there is a
/// network, else on the loopback. It trains the tiny model by settings under which every gradient depends on what was
/// sampled.
///
/// `expectWhole` is what every fault must leave behind: each sample trained once, and the weights of an undisturbed
/// run.
final class ScatteredFarm {
  /// How a process is started beside its own words.
  struct Surroundings {
    var prefix: [String] = []
    var environment: [String: String] = [:]
  }

  static let steps = 60
  static let settings = [
    "run.steps=\(steps)", "checkpoint.every=4", "algorithm.loss.kl_coefficient=1", "optimizer.weight_decay=0.1",
    "optimizer.learning_rate=0.01", "rollout.sampling.max_new_tokens=32",
  ]
  static let coordinator = "coordinator"
  static let learner = "learner"
  private static let port = 5555

  let farm: Farm
  let workers: [String]
  let network: TestNetwork?
  /// Folder of the farm's keys; nil is a farm in the clear.
  private let keys: KeyDirectory?
  private let overrides: [String]
  var surroundings: [String: Surroundings] = [:]
  private(set) var processes: [String: FoveaProcess] = [:]
  /// Every process that ever ran under a name.
  private var logs: [String: [FoveaProcess]] = [:]

  /// - Parameters:
  ///   - network: has the machines `coordinator`, `learner` and one for each worker.
  ///   - keys: made, with the keys of all workers.
  init(
    workers: Int, network: TestNetwork? = nil, settings: [String] = settings, farm: Farm? = nil,
    keys: KeyDirectory? = nil
  ) throws {
    self.farm = try farm ?? Farm()
    self.workers = Self.names(workers)
    self.network = network
    self.keys = keys
    var overrides = settings
    if let keys {
      overrides.append("farm.keys=\(keys.path)")
    } else if network != nil {
      overrides.append("farm.insecure=true")
    }
    self.overrides = overrides
  }

  /// A network for so many workers.
  static func network(workers: Int, others: [String] = []) throws -> TestNetwork {
    try TestNetwork([coordinator, learner] + names(workers) + others)
  }

  private static func names(_ workers: Int) -> [String] { (0..<workers).map { "w\($0)" } }

  var names: [String] { [Self.coordinator, Self.learner] + workers }

  var endpoint: String {
    get throws {
      if let network { return "tcp://\(network[Self.coordinator].address):\(Self.port)" }
      return try #require(farm.endpoint, "the coordinator does not listen")
    }
  }

  // MARK: Processes

  /// Starts everything, and waits until so many steps are trained.
  func start(untilStep step: Int = 2) async throws {
    for name in names { try await start(name) }
    try await train(untilStep: step)
  }

  /// Waits until so many steps are trained.
  func train(untilStep step: Int, within seconds: Double = 120) async throws {
    let isThere = try await holds(within: seconds) { try farm.steps.count >= step }
    try #require(isThere, "step \(step) is not trained after \(seconds) s\n\(diagnosis)")
  }

  /// Starts a process, the first time or again.
  func start(_ name: String) async throws {
    let process: FoveaProcess
    switch name {
    case Self.coordinator: process = try startCoordinator()
    case Self.learner:
      var words = ["--run-directory", farm.runPath, "--config", farm.folder.path + "/settings.yaml"]
      words += ["--connect", try endpoint, "--threads", "1"] + overrides
      if let network { words.append("farm.weights_listen=tcp://\(network[name].address):*") }
      process = try launch(name, ["learner"] + words)
    default:
      var words = ["--connect", try endpoint, "--threads", "1", "--slots", "16", "--name", name]
      if let keys { words += ["--keys", keys.workerPath(name)] } else if network != nil { words.append("--insecure") }
      process = try launch(name, ["worker"] + words)
    }
    processes[name] = process
    logs[name, default: []].append(process)
    if name == Self.coordinator {
      let isListening = await holds(within: 30) { farm.log(name).contains("coordinator at") }
      try #require(isListening, "the coordinator does not listen\n\(process.errors)")
    }
  }

  private func startCoordinator() throws -> FoveaProcess {
    let isAgain = FileManager.default.fileExists(atPath: farm.runPath)
    let listen = network == nil && !isAgain ? [] : ["farm.listen=\(try endpoint)"]
    let words =
      isAgain
      ? ["--resume", farm.runPath]
      : ["--config", farm.folder.path + "/settings.yaml", "--run-directory", farm.runPath] + overrides
    return try launch(Self.coordinator, ["coordinator"] + words + listen)
  }

  private func launch(_ name: String, _ words: [String]) throws -> FoveaProcess {
    let around = surroundings[name] ?? Surroundings()
    return try FoveaProcess(
      words, in: farm.folder, environment: around.environment, prefix: (network?[name].prefix ?? []) + around.prefix)
  }

  /// Runs a command of fovea on a machine.
  func run(_ words: [String], on machine: String) async throws -> FoveaProcess.Result {
    try await FoveaProcess(words, in: farm.folder, prefix: network?[machine].prefix ?? []).wait(seconds: 30)
  }

  func send(_ signal: Int32, to name: String) { processes[name]?.send(signal) }

  /// Kills a process, as a power cut would, and waits until it is gone.
  func kill(_ name: String) async {
    send(SIGKILL, to: name)
    _ = await processes[name]?.wait(seconds: 10)
  }

  // MARK: What must be left

  /// Waits for the end of the run: every process ends in order, and nothing is lost or trained twice.
  func expectWhole() async throws {
    for name in names {
      let result = try await #require(processes[name]).wait(seconds: name == Self.coordinator ? 240 : 20)
      #expect(result.exitCode == 0, "\(name): \(result)\n\(diagnosis)")
    }
    try farm.expectEachSampleOnce(steps: Self.steps)
    let undisturbed = try await UndisturbedRun.shared.weights()
    #expect(try farm.checksum(step: Self.steps) == undisturbed, "other weights\n\(diagnosis)")
  }

  /// What a process has said, over all its lives.
  func log(_ name: String) -> String {
    name == Self.coordinator ? farm.log(name) : (logs[name] ?? []).map(\.output).joined()
  }

  var diagnosis: String {
    names.map { name in
      let complaints = (logs[name] ?? []).map(\.errors).joined()
      return "--- \(name)\n\(log(name).suffix(2500))\(complaints)"
    }.joined(separator: "\n")
  }
}

extension Farm {
  /// Every step's samples were trained, each once, by the coordinator's books and by those of the learner.
  func expectEachSampleOnce(steps: Int, promptsPerStep: Int = Self.promptsPerStep) throws {
    let rows = try self.steps
    let samplesPerStep = Double(promptsPerStep * Self.groupSize)
    #expect(rows.map(\.step) == (1...max(1, steps)).map(UInt32.init), "\(diagnosis)")
    #expect(rows.allSatisfy { $0.values["samples"] == samplesPerStep })
    #expect(rows.allSatisfy { $0.values["samples_total"] == Double($0.step) * samplesPerStep })
    let place = checkpoint(step: steps) + "/trainer_state.json"
    let state = try JSON.parse(Files.read(place, operation: "read the trainer's state"), place: place)
    #expect(state["next_step"]?.int == steps)
    #expect(state["update_count"]?.int == steps)
    #expect(state["samples_trained"]?.int == steps * Int(samplesPerStep))
    #expect(state["cursor"]?.int == steps * promptsPerStep)
  }
}

/// The run that nothing happens to: one worker, under `fovea train`, on the loopback.
actor UndisturbedRun {
  static let shared = UndisturbedRun()
  private var checksum: Task<String, any Error>?

  /// The sha256 of its final weights.
  func weights() async throws -> String {
    let task =
      checksum
      ?? Task {
        let farm = try Farm()
        let result = try await farm.train(ScatteredFarm.settings + ["farm.workers=1"]).wait(seconds: 240)
        #expect(result.exitCode == 0, "\(result)\n\(farm.diagnosis)")
        try farm.expectEachSampleOnce(steps: ScatteredFarm.steps)
        return try farm.checksum(step: ScatteredFarm.steps)
      }
    checksum = task
    return try await task.value
  }
}
