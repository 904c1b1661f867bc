import Foundation
import Glibc
import Runs
import Support
import Testing
import Wire

/// An ablation of two variants and two seeds on the tiny model, which is killed, drained and resumed, by the real
/// binary.
@Suite(.serialized) struct AblationTests {
  private let folder: TemporaryFolder
  private var path: String { folder.path + "/ablation" }

  init() throws {
    folder = try TemporaryFolder()
    try TinyModel.write(to: folder.path + "/model")
    try folder.write(
      """
      run: {name: tiny, steps: 3}
      model: {path: model}
      task: {examples: 0, system_prompt: "", largest_operand: 5}
      rollout: {prompts_per_step: 2, group_size: 2, slots: 8, sampling: {max_new_tokens: 8}}
      farm: {workers: 1, worker_threads: 1, learner_threads: 1}
      checkpoint: {every: 1}
      evaluation: {every: 0, prompts: 4}

      """, to: "settings.yaml")
  }

  private static let variants = [
    "--variant", "plain:algorithm.shaping.kind=none", "--variant", "uadt:algorithm.shaping.lambda=0.9",
  ]

  private func ablate(
    _ words: [String] = [], variants: [String] = Self.variants, seeds: Int = 2
  ) throws -> FoveaProcess {
    let options = ["--config", "settings.yaml", "--seeds", "\(seeds)", "--run-directory", "ablation"]
    return try FoveaProcess(["ablate"] + options + variants + words, in: folder)
  }

  private func steps(_ run: String) -> [UInt32] {
    ((try? MetricsFile.read("\(path)/\(run)/metrics.jsonl")) ?? []).filter { $0.kind == .step }.map(\.step)
  }

  private func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: "\(path)/\(name)") }

  @Test("An ablation that is killed and drained ends with the table of all runs", .timeLimit(.minutes(5)))
  func anAblationThatIsKilledAndDrainedEndsWithTheTableOfAllRuns() async throws {
    let planned = await (try ablate(["--dry-run"])).wait(seconds: 30)
    #expect(planned.exitCode == 0, "\(planned)")
    #expect(planned.output.contains("ablation/plain-seed1: to be started"), "\(planned)")
    #expect(!exists(""), "a dry run made a folder")

    // Long runs, so that signals meet one that goes on.
    let long = ["run.steps=30"]
    let killed = try ablate(long)
    #expect(await holds(within: 60) { steps("plain-seed1").count >= 2 }, "\(killed.output)\n\(killed.errors)")
    killed.send(SIGKILL)
    #expect(await killed.wait(seconds: 10).signal == SIGKILL)
    #expect(steps("plain-seed1").count < 30, "the run was over before it was killed")
    #expect(exists("start.json"), "the run was over before it was killed")

    let drained = try ablate(long)
    #expect(
      await holds(within: 90) { exists("plain-seed1/evaluation.json") && steps("uadt-seed1").count >= 2 },
      "\(drained.output)\n\(drained.errors)")
    drained.send(SIGTERM)
    let stopped = await drained.wait(seconds: 60)
    #expect(stopped.exitCode == 0, "\(stopped)")
    #expect(stopped.output.contains("to resume: "), "\(stopped)")
    #expect(stopped.output.contains("missing: uadt-seed1, plain-seed2, uadt-seed2"), "\(stopped)")
    #expect(steps("plain-seed1") == Array(1...30))
    #expect(!exists("plain-seed2"))

    let ended = await (try ablate(long)).wait(seconds: 200)
    #expect(ended.exitCode == 0, "\(ended)")
    #expect(!ended.output.contains("plain-seed1\n"), "\(ended)")
    #expect(ended.output.hasSuffix("\n4 of 4 runs, 4 held-out prompts: ablation/table.md\n"), "\(ended)")
    for run in ["plain-seed1", "uadt-seed1", "plain-seed2", "uadt-seed2"] { #expect(steps(run) == Array(1...30)) }
    let table = try JSON.parse(Files.read(path + "/table.json", operation: "read table"), place: "table.json")
    let titles = table["sections"]?.array?.map { $0["title"]?.string }
    #expect(titles == ["mean over seeds", "gain over the start", "minus plain, seed by seed"])
    let rows = try #require(table["sections"]?.array?[0]["rows"]?.array)
    #expect(
      rows.map { $0["measure"]?.string } == [
        "accuracy", "format", "completion tokens", "entropy at the end, nats", "wall time, s",
      ])
    #expect(rows.allSatisfy { $0["values"]?.array?.allSatisfy { $0["seeds"]?.int == 2 } == true }, "\(rows)")

    // What its runs wrote is what the table says.
    let report = await (try ablate(long + ["--report"])).wait(seconds: 30)
    #expect(report.exitCode == 0, "\(report)")
    #expect(report.output.contains("minus plain, seed by seed"), "\(report)")
    let markdown = try String(contentsOfFile: path + "/table.md", encoding: .utf8)
    #expect(markdown.contains("| measure | start | plain, 2 seeds | uadt, 2 seeds |"))
    let last = try MetricsFile.read(path + "/uadt-seed2/metrics.jsonl").last { $0.kind == .evaluation }
    let run = table["variants"]?.array?[1]["runs"]?.array?[1]
    #expect(run?["figures"]?["accuracy"]?.double == last?.values["heldout_accuracy"])

    // Other settings are another ablation.
    let other = await (try ablate(["run.steps=31"])).wait(seconds: 30)
    #expect(other.exitCode == 1, "\(other)")
    #expect(other.errors.contains("settings.yaml: run.steps: expected 31, found 30"), "\(other)")
  }

  @Test("A variant is checked before anything runs, and a failed run is named", .timeLimit(.minutes(2)))
  func aVariantIsCheckedBeforeAnythingRunsAndAFailedRunIsNamed() async throws {
    let wrong = await (try ablate(variants: ["--variant", "plain:", "--variant", "x:algorithm.shapng.kind=uadt"]))
      .wait(seconds: 30)
    #expect(wrong.exitCode == 1, "\(wrong)")
    #expect(wrong.errors.contains("variant x, override algorithm.shapng.kind"), "\(wrong)")
    #expect(!exists(""))

    // A folder that is no run: it fails, the other one does not.
    try FileManager.default.createDirectory(atPath: path + "/plain-seed1", withIntermediateDirectories: true)
    let end = await (try ablate(seeds: 1)).wait(seconds: 90)
    #expect(end.exitCode == 1, "\(end)")
    #expect(end.errors.contains("plain-seed1: cannot read settings"), "\(end)")
    #expect(end.output.contains("1 of 2 runs"), "\(end)")
    #expect(end.output.contains("missing: plain-seed1"), "\(end)")
    #expect(steps("uadt-seed1") == [1, 2, 3])
  }
}
