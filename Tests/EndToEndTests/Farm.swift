import Foundation
import Glibc
import Runs
import Support
import Testing
import Wire

/// A farm of real processes on the loopback that trains a tiny model, in a folder of its own.
struct Farm {
  let folder: TemporaryFolder
  let runPath: String

  static let promptsPerStep = 2
  static let groupSize = 4

  /// A run of the farm in `folder` that lies elsewhere.
  init(folder: TemporaryFolder, runPath: String) { (self.folder, self.runPath) = (folder, runPath) }

  /// - Parameter makeModel: makes the model at a path.
  init(makeModel: (_ path: String) throws -> Void = { try TinyModel.write(to: $0) }) throws {
    folder = try TemporaryFolder()
    runPath = folder.path + "/run"
    try makeModel(folder.path + "/model")
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
    guard let bytes = try? Files.read(runPath + "/processes.json", operation: "read processes"),
      let object = try? JSON.parse(bytes, place: "processes.json").object
    else { return [:] }
    return object.compactMapValues { $0.int.map(pid_t.init) }
  }

  /// The coordinator's endpoint, from its log.
  var endpoint: String? {
    log("coordinator").matches(of: #/coordinator at (tcp:\S+)/#).last.map { String($0.1) }
  }

  /// SHA-256 of the weights that the checkpoint after a step holds.
  func checksum(step: Int) throws -> String {
    let text = try command("sha256sum", checkpoint(step: step) + "/model.safetensors")
    return String(text.prefix { $0 != " " })
  }

  func checkpoint(step: Int) -> String { String(format: "\(runPath)/checkpoints/step-%06d", step) }

  func log(_ name: String) -> String {
    (try? String(contentsOfFile: "\(runPath)/logs/\(name).log", encoding: .utf8)) ?? ""
  }

  /// Everything that helps to see why a run went wrong.
  var diagnosis: String {
    ["coordinator", "learner", "worker-0", "worker-1"].map { "--- \($0)\n\(log($0).suffix(2000))" }
      .joined(separator: "\n")
  }
}

/// A command that failed.
struct CommandFailure: Error, CustomStringConvertible {
  var description: String
}

/// Runs a program of the system to its end.
/// - Returns: what it wrote to standard output.
@discardableResult
func command(_ words: String...) throws -> String {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
  process.arguments = words
  let (output, errors) = (Pipe(), Pipe())
  (process.standardOutput, process.standardError) = (output, errors)
  try process.run()
  let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
  let complaint = String(decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
  process.waitUntilExit()
  guard process.terminationStatus == 0 else {
    throw CommandFailure(description: "\(words.joined(separator: " ")): \(complaint)")
  }
  return text
}
