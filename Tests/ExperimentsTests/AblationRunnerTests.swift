import Evaluation
import Experiments
import Foundation
import Runs
import Settings
import Support
import Testing
import Wire

/// Plays the runs of an ablation: a run leaves its settings, one row of metrics and the folder of its last checkpoint.
private final class PlayedHost: AblationHost {
  /// Runs that end with an exit code instead.
  var exitCodes: [String: Int32] = [:]
  /// Runs that leave a folder and stop.
  var stopping: Set<String> = []
  var isInterrupted = false
  private(set) var calls: [String] = []
  private(set) var shown: [String] = []
  private(set) var complaints: [String] = []

  func train(_ run: AblationFolder.Run, isBegun: Bool) async throws -> Int32 {
    calls.append("\(isBegun ? "resume" : "train") \(run.name)")
    if let code = exitCodes[run.name] { return code }
    let directory = RunDirectory.at(run.path)
    try Files.makeFolder(run.path)
    try Files.write(Array(run.settings.described().utf8), to: directory.settingsPath)
    if stopping.contains(run.name) {
      isInterrupted = true
      return 0
    }
    let values = ["entropy": Double(run.plan.seed), "step_seconds": 2]
    try MetricsFile(path: directory.metricsPath).append(
      MetricsRow(kind: .step, step: 1, version: PolicyVersion(1), values: values))
    try Files.makeFolder(directory.checkpoints.path(step: UInt32(run.settings.run.steps)))
    return 0
  }

  func evaluate(_ model: String, name: String) throws -> [Figure] {
    calls.append("evaluate \(name)")
    if model == "broken" { throw InputError("load", at: model, expected: "a model", found: "none") }
    return [Figure("accuracy", name.hasPrefix("b") ? 0.75 : 0.5)]
  }

  func show(_ lines: [String]) { shown += lines }
  func complain(_ line: String) { complaints.append(line) }
}

@Suite("An ablation")
struct AblationRunnerTests {
  private final class Temporary {
    let path = NSTemporaryDirectory() + "fovea-ablation-\(UUID().uuidString)"
    init() throws { try Files.makeFolder(path) }
    deinit { try? FileManager.default.removeItem(atPath: path) }
  }

  private let temporary: Temporary
  private var path: String { temporary.path + "/ablation" }

  init() throws { temporary = try Temporary() }

  private func folder(
    _ overrides: [String] = [], seeds: Int = 2, start: String? = nil, promptCount: Int = 4
  ) throws -> AblationFolder {
    let config = temporary.path + "/settings.yaml"
    try Files.write(Array("run: {seed: 7, steps: 3}\n".utf8), to: config)
    let plan = try AblationPlan(
      config: config, overrides: overrides, variants: ["a:", "b:algorithm.shaping.lambda=0.25"], seedCount: seeds)
    return try AblationFolder(path, plan: plan, start: start, promptCount: promptCount)
  }

  private let all = ["a-seed7", "b-seed7", "a-seed8", "b-seed8"]

  @Test("evaluates the start once, trains and evaluates every run, and reports the table")
  func whole() async throws {
    let host = PlayedHost()
    let folder = try folder()
    #expect(try await AblationRunner(folder, host: host).run() == 0)
    #expect(host.calls == ["evaluate start"] + all.flatMap { ["train \($0)", "evaluate \($0)"] })
    #expect(host.complaints.isEmpty)
    #expect(host.shown.last == "4 of 4 runs, 4 held-out prompts: \(path)/table.md")
    let run = folder.runs[3]
    #expect(
      folder.state(of: run)
        == .ended([Figure("accuracy", 0.75), Figure("entropy at the end, nats", 8), Figure("wall time, s", 2)]))
    let table = try JSON.parse(Files.read(path + "/table.json", operation: "read table"), place: "table.json")
    #expect(table["start"]?["accuracy"]?.double == 0.5)

    // The same again has nothing to do.
    let again = PlayedHost()
    #expect(try await AblationRunner(self.folder(), host: again).run() == 0)
    #expect(again.calls.isEmpty)
  }

  @Test("that was interrupted resumes the run that was begun, and skips those that have ended")
  func interrupted() async throws {
    let host = PlayedHost()
    host.stopping = ["b-seed7"]
    #expect(try await AblationRunner(folder(), host: host).run() == 0)
    #expect(host.calls == ["evaluate start", "train a-seed7", "evaluate a-seed7", "train b-seed7"])
    #expect(host.shown.contains("missing: b-seed7, a-seed8, b-seed8"))
    let folder = try folder()
    #expect(
      folder.runs.map { folder.state(of: $0).described } == ["ended", "to be resumed"]
        + Array(repeating: "to be started", count: 2))
    let next = PlayedHost()
    #expect(try await AblationRunner(folder, host: next).run() == 0)
    #expect(next.calls.prefix(3) == ["resume b-seed7", "evaluate b-seed7", "train a-seed8"])
  }

  @Test("names a run that fails, runs the others, and ends with its exit code")
  func failure() async throws {
    let host = PlayedHost()
    host.exitCodes = ["a-seed7": 3]
    #expect(try await AblationRunner(folder(), host: host).run() == 3)
    #expect(host.complaints == ["a-seed7 failed; the next run is started"])
    #expect(host.calls.filter { $0.hasPrefix("evaluate") }.count == 4)
    #expect(host.shown.contains("missing: a-seed7"))
  }

  @Test("refuses a run that has other settings than it would get now")
  func settings() async throws {
    _ = try await AblationRunner(folder(), host: PlayedHost()).run()
    let error = #expect(throws: InputError.self) { try folder(["run.steps=4"]) }
    #expect(error?.place == "\(path)/a-seed7/settings.yaml: run.steps")
    #expect(error?.expected == "4")
  }

  @Test("asks again when the evaluation set has changed, and reads the records of earlier versions")
  func records() async throws {
    _ = try await AblationRunner(folder(seeds: 1), host: PlayedHost()).run()
    let changed = try folder(seeds: 1, promptCount: 5)
    #expect(changed.startFigures == nil)
    guard case .trained = changed.state(of: changed.runs[0]) else {
      Issue.record("\(changed.state(of: changed.runs[0]))")
      return
    }
    let run = path + "/a-seed7"
    try Files.move(run + "/evaluation.json", to: run + "/exam.json")
    let folder = try folder(seeds: 1)
    #expect(folder.figures(of: folder.runs[0])?.first == Figure("accuracy", 0.5))
  }

  @Test("starts every run from the same model, and ends when that cannot be evaluated")
  func start() async throws {
    let folder = try folder(start: "broken")
    #expect(Set(folder.runs.map(\.settings.model.path)) == ["broken"])
    #expect(folder.runs.map(\.settings.run.seed) == [7, 7, 8, 8])
    await #expect(throws: InputError.self) { try await AblationRunner(folder, host: PlayedHost()).run() }
  }

  @Test("that is only planned makes nothing, and says what it would do")
  func dryRun() throws {
    let lines = try folder(seeds: 1).described
    #expect(lines.contains("evaluation  4 held-out prompts"))
    #expect(
      lines.suffix(2) == [
        "\(path)/a-seed7: to be started", "\(path)/b-seed7: to be started, algorithm.shaping.lambda=0.25",
      ])
    #expect(!Files.exists(path))
  }
}
