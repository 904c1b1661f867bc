import Console
import Core
import Foundation
import Glibc
import Testing
import Wire

/// A farm of real processes on the loopback that trains the tiny model, in a folder of its own.
struct Farm {
  let folder: TemporaryFolder
  let runPath: String

  static let promptsPerStep = 2
  static let groupSize = 4

  /// - Parameter settings: overrides beyond the small defaults of these tests.
  init() throws {
    folder = try TemporaryFolder()
    runPath = folder.path + "/run"
    try TinyModel.write(to: folder.path + "/model")
    try folder.write(
      """
      run:
        name: tiny
        steps: 4
      model:
        path: "\(folder.path)/model"
      task:
        examples: 0
        system_prompt: ""
      rollout:
        prompts_per_step: \(Self.promptsPerStep)
        group_size: \(Self.groupSize)
        sampling:
          max_new_tokens: 12
        slots: 16
      farm:
        workers: 2
        worker_threads: 1
        learner_threads: 1
        heartbeat_milliseconds: 200
      checkpoint:
        every: 2
      evaluation:
        every: 0
        prompts: 4

      """, to: "settings.yaml")
  }

  /// Starts `fovea train`.
  func train(
    _ overrides: [String] = [], environment: [String: String] = [:], onTerminal: Bool = false
  ) throws -> FoveaProcess {
    try FoveaProcess(
      ["train", "--config", folder.path + "/settings.yaml", "--run-directory", runPath] + overrides, in: folder,
      environment: environment, onTerminal: onTerminal)
  }

  /// Starts `fovea train --resume`.
  func resume(_ overrides: [String] = []) throws -> FoveaProcess {
    try FoveaProcess(["train", "--resume", runPath] + overrides, in: folder)
  }

  /// The rows of metrics.jsonl.
  var metrics: [MetricsRow] { get throws { try MetricsFile.read(runPath + "/metrics.jsonl") } }
  var steps: [MetricsRow] { get throws { try metrics.filter { $0.kind == .step } } }

  /// Process ids by name; empty when the farm does not run.
  var processes: [String: pid_t] {
    guard let bytes = try? readFile(runPath + "/processes.json", operation: "read processes"),
      let object = try? JSON.parse(bytes, place: "processes.json").object
    else { return [:] }
    return object.compactMapValues { $0.int.map(pid_t.init) }
  }

  /// The coordinator's endpoint, from its log.
  var endpoint: String? {
    log("coordinator").matches(of: #/coordinator at (tcp:\S+)/#).last.map { String($0.1) }
  }

  func log(_ name: String) -> String {
    (try? String(contentsOfFile: "\(runPath)/logs/\(name).log", encoding: .utf8)) ?? ""
  }

  /// Everything that helps to see why a run went wrong.
  var diagnosis: String {
    ["coordinator", "learner", "worker-0", "worker-1"].map { "--- \($0)\n\(log($0).suffix(2000))" }
      .joined(separator: "\n")
  }
}
