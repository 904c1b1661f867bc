import Foundation
import Testing

/// The memory that `--dry-run` announces, against the memory that the processes of the same run take.
///
/// Every role logs its peak resident memory (VmHWM) when it ends. Measured, estimate against peak of learner and
/// worker:
///
/// | model | learner | worker |
/// |---|---|---|
/// | created, 12.7M scalars | 309 against 318 MiB (debug build: 335) | 88 against 84 MiB (debug build: 92) |
/// | the same with int8 rollouts | 309 against 332 MiB | 100 against 104 MiB |
/// | SmolLM2-135M | 2.7 against 2.8 GiB | 553 against 563 MiB |
@Suite("The estimate of memory against real processes", .serialized)
struct MemoryEstimateTests {
  /// The share of the measured peak that an estimate may be off.
  private static let tolerance = 0.25

  /// SmolLM2 takes minutes in a debug build.
  private static let smallModel =
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path + "/models/SmolLM2-135M-Instruct.Q4_1.gguf"
  private static let canTrainSmallModel =
    FoveaProcess.binary.contains("release") && FileManager.default.fileExists(atPath: smallModel)

  @Test("A created model of 13 million scalars", .timeLimit(.minutes(3)), arguments: ["exact", "int8"])
  func created(precision: String) async throws {
    let folder = try TemporaryFolder()
    let sizes = [
      "layer_count=8", "hidden_size=384", "feed_forward_size=1024", "head_count=6", "image_size=0",
    ]
    let create = try await FoveaProcess.run(
      ["create", "--output", "model"] + sizes.map { "model.create.\($0)" }, in: folder, seconds: 60)
    #expect(create.exitCode == 0, "\(create)")
    try await compare(
      ["model.path=model", "task.examples=0", "optimizer.micro_batch_tokens=256", "rollout.precision=\(precision)"],
      in: folder)
  }

  @Test(
    "SmolLM2-135M",
    .enabled(if: canTrainSmallModel, "needs a release build and models/SmolLM2-135M-Instruct.Q4_1.gguf (make setup)"),
    .timeLimit(.minutes(3)))
  func smolLM2() async throws {
    try await compare(
      ["model.path=\(Self.smallModel)", "optimizer.micro_batch_tokens=300"], in: try TemporaryFolder())
  }

  /// One step of two prompts with two samples, after a dry run with the same settings.
  private func compare(_ settings: [String], in folder: TemporaryFolder) async throws {
    try folder.write("run: {name: memory}\n", to: "settings.yaml")
    let run =
      ["train", "--config", "settings.yaml", "--run-directory", "run"] + settings + [
        "run.steps=1", "rollout.prompts_per_step=2", "rollout.group_size=2", "rollout.slots=4",
        "rollout.sampling.max_new_tokens=16", "algorithm.dynamic_sampling=false", "evaluation.every=0",
        "evaluation.prompts=1", "farm.workers=1", "farm.worker_threads=1", "farm.learner_threads=1",
      ]
    let plan = try await FoveaProcess.run(run + ["--dry-run"], in: folder)
    #expect(plan.exitCode == 0, "\(plan)")
    let result = try await FoveaProcess.run(run, in: folder, seconds: 150)
    #expect(result.exitCode == 0, "\(result)")
    for (role, log) in [("learner", "learner"), ("workers", "worker-0")] {
      let line = try #require(plan.output.split(separator: "\n").first { $0.hasPrefix(role) }, "\(plan)")
      let figure = try #require(line.firstMatch(of: #/about ([0-9.]+) (MiB|GiB)/#), "\(line)")
      let estimate = try #require(Double(figure.1)) * (figure.2 == "GiB" ? 1024 : 1)
      let text = try String(contentsOfFile: "\(folder.path)/run/logs/\(log).log", encoding: .utf8)
      let measured = try #require(
        text.firstMatch(of: #/memory: (\d+) MiB at most/#).flatMap { Double($0.1) }, "\(text)")
      print("\(role): \(estimate) MiB estimated, \(measured) MiB measured")
      #expect(abs(estimate - measured) <= Self.tolerance * measured, "\(role): \(estimate) against \(measured) MiB")
    }
  }
}
