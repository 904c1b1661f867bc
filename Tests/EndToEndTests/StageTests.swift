import Architecture
import Foundation
import Glibc
import ModelFiles
import Runs
import Tensor
import Testing
import Wire

/// The stage before reinforcement learning, by the real binary on the tiny model.
@Suite struct StageTests {
  private let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder()
    try TinyModel.write(to: folder.path + "/model")
    try folder.write(
      """
      run: {name: tiny, seed: 3}
      model: {path: model}
      task: {examples: 0, system_prompt: "", largest_operand: 5}
      sft: {steps: 6, examples_per_step: 4, learning_rate: 0.01, warmup_steps: 0}
      rollout: {prompts_per_step: 2, group_size: 2, slots: 4, sampling: {max_new_tokens: 8}}
      farm: {workers: 1, worker_threads: 1, learner_threads: 1}
      checkpoint: {every: 2}
      evaluation: {every: 3, prompts: 4}

      """, to: "settings.yaml")
  }

  private func sft(_ arguments: [String]) async throws -> FoveaProcess.Result {
    try await FoveaProcess.run(["sft"] + arguments, in: folder, seconds: 60)
  }

  private func files(_ run: String, step: Int) throws -> [String: Data] {
    let path = "\(folder.path)/\(run)/checkpoints/step-00000\(step)"
    let names = try FileManager.default.contentsOfDirectory(atPath: path)
    return try Dictionary(
      uniqueKeysWithValues: names.map { ($0, try Data(contentsOf: URL(fileURLWithPath: "\(path)/\($0)"))) })
  }

  @Test("Fine-tuning learns, shows it, and resumes with the same bytes", .timeLimit(.minutes(3)))
  func sftLearnsShowsItAndResumesWithTheSameBytes() async throws {
    let whole = try await sft(["--config", "settings.yaml", "--run-directory", "whole"])
    #expect(whole.exitCode == 0, "\(whole)")
    #expect(whole.output.contains("step 6/6  entropy"), "\(whole)")
    #expect(whole.output.contains("tokens/s"), "\(whole)")
    #expect(whole.output.contains("next: fovea train --config FILE --from whole"), "\(whole)")
    let rows = try MetricsFile.read(folder.path + "/whole/metrics.jsonl")
    #expect(rows.filter { $0.kind == .step }.map(\.step) == [1, 2, 3, 4, 5, 6])
    let evaluations = rows.filter { $0.kind == .evaluation }
    #expect(evaluations.map(\.step) == [0, 3, 6])
    #expect(evaluations.allSatisfy { $0.values["heldout_accuracy"] != nil })
    #expect(evaluations.allSatisfy { $0.values["heldout_prompts"] == 4 })
    let losses = evaluations.compactMap { $0.values["heldout_loss"] }
    try #require(losses.count == 3, "\(losses)")
    #expect(losses[2] < losses[0], "\(losses)")

    let part = try await sft(["--config", "settings.yaml", "--run-directory", "parts", "sft.steps=6"])
    #expect(part.exitCode == 0, "\(part)")
    // What a process that died after step 4 would have left.
    try FileManager.default.removeItem(atPath: folder.path + "/parts/checkpoints/step-000006")
    let resumed = try await sft(["--resume", "parts"])
    #expect(resumed.exitCode == 0, "\(resumed)")
    #expect(resumed.output.contains("resumes from"), "\(resumed)")
    #expect(try files("parts", step: 6) == files("whole", step: 6))
    #expect(try MetricsFile.read(folder.path + "/parts/metrics.jsonl").map(\.step) == rows.map(\.step))
  }

  @Test("A signal ends a stage with a checkpoint from which it resumes", .timeLimit(.minutes(3)))
  func aSignalEndsAStageWithACheckpointFromWhichItGoesOn() async throws {
    let long = ["--config", "settings.yaml", "--run-directory", "run", "sft.steps=100000", "evaluation.every=0"]
    let process = try FoveaProcess(["sft"] + long, in: folder)
    #expect(await holds(within: 30) { process.output.contains("step      2/100000") }, "\(process.output)")
    process.send(SIGINT)
    let stopped = await process.wait(seconds: 30)
    #expect(stopped.exitCode == 0, "\(stopped)")
    #expect(stopped.output.contains("next: fovea sft --resume run"), "\(stopped)")
    let steps = try MetricsFile.read(folder.path + "/run/metrics.jsonl").filter { $0.kind == .step }
    let last = try #require(steps.last?.step)
    let resumed = try await sft(["--resume", "run", "sft.steps=\(last + 1)"])
    #expect(resumed.exitCode == 0, "\(resumed)")
    #expect(resumed.output.contains("step \(last + 1)/\(last + 1)"), "\(resumed)")
  }

  @Test("Reinforcement learning starts from the stage before", .timeLimit(.minutes(3)))
  func reinforcementLearningStartsFromTheStageBefore() async throws {
    let stage = try await sft(["--config", "settings.yaml", "--run-directory", "first"])
    #expect(stage.exitCode == 0, "\(stage)")
    let train = try await FoveaProcess.run(
      ["train", "--config", "settings.yaml", "--from", "first", "--run-directory", "second", "run.steps=1"],
      in: folder, seconds: 90)
    #expect(train.exitCode == 0, "\(train)")
    let settings = try String(contentsOfFile: folder.path + "/second/settings.yaml", encoding: .utf8)
    #expect(settings.contains("first/checkpoints/step-00000"), "\(settings)")
    #expect(!train.output.contains("of its 6 steps"), "\(train)")

    let wrong = try await sft(["--resume", "second"])
    #expect(wrong.exitCode == 1, "\(wrong)")
    #expect(wrong.errors.contains("expected a run of fovea sft"), "\(wrong)")
  }

  @Test("A run continues without the model that it started from", .timeLimit(.minutes(3)))
  func aRunGoesOnWithoutTheModelThatItStartedFrom() async throws {
    try FileManager.default.copyItem(atPath: folder.path + "/model", toPath: folder.path + "/first")
    let begun = try await sft([
      "--config", "settings.yaml", "--run-directory", "run", "model.path=first", "sft.steps=2", "checkpoint.keep=1",
    ])
    #expect(begun.exitCode == 0, "\(begun)")
    try FileManager.default.removeItem(atPath: folder.path + "/first")
    let resumed = try await sft(["--resume", "run", "sft.steps=3"])
    #expect(resumed.exitCode == 0, "\(resumed)")
    #expect(resumed.output.contains("step 3/3"), "\(resumed)")
    let plan = try await sft(["--resume", "run", "--dry-run"])
    #expect(plan.exitCode == 0, "\(plan)")
    #expect(plan.output.contains("run/checkpoints/step-000003"), "\(plan)")
  }

  @Test("A start from an unfinished run is reported", .timeLimit(.minutes(3)))
  func whoStartsFromAnUnfinishedRunIsTold() async throws {
    let first = try await sft(["--config", "settings.yaml", "--run-directory", "first", "sft.steps=2"])
    #expect(first.exitCode == 0, "\(first)")
    // As a run that was interrupted after two of its steps.
    let settings = folder.path + "/first/settings.yaml"
    let text = try String(contentsOfFile: settings, encoding: .utf8)
    let longer = text.replacing(#/(sft:\n(?: .*\n)*?  steps: )2\n/#) { "\($0.output.1)9\n" }
    #expect(longer != text)
    try longer.write(toFile: settings, atomically: true, encoding: .utf8)
    let second = try await sft(["--config", "settings.yaml", "--from", "first", "--run-directory", "second"])
    #expect(
      second.exitCode == 0 && second.output.contains("first has done 2 of its 9 steps; this run starts from"),
      "\(second)")
  }

  @Test("Projector pre-training of a text model is refused") func alignmentOfAModelWithoutEyesIsRefused() async throws {
    let result = try await FoveaProcess.run(["align", "--config", "settings.yaml"], in: folder)
    #expect(result.exitCode == 1, "\(result)")
    #expect(result.errors.contains("expected a part that the model has"), "\(result)")
    #expect(!FileManager.default.fileExists(atPath: folder.path + "/runs"))
  }

  @Test(
    "Projector pre-training trains the projector alone, and fine-tuning everything after it", .timeLimit(.minutes(3)))
  func alignmentTrainsTheProjectorAloneAndFineTuningEverythingAfterIt() async throws {
    let images = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("Fixtures/arrays/retinamnist.npz").path
    let settings = [
      "--config", "settings.yaml", "model.path=seeing", "task.name=retinamnist", "task.train_file=\(images)",
      "model.create.vocabulary_size=300", "model.create.hidden_size=32", "model.create.feed_forward_size=48",
      "model.create.layer_count=2", "model.create.image_size=16", "model.create.vision_hidden_size=32",
      "model.create.vision_feed_forward_size=48", "model.create.vision_layer_count=2", "align.steps=3",
      "align.examples_per_step=4", "align.learning_rate=0.05", "align.warmup_steps=0", "sft.steps=3",
    ]
    func fovea(_ words: [String]) async throws -> FoveaProcess.Result {
      try await FoveaProcess.run(words + settings, in: folder, seconds: 60)
    }
    func changed(_ from: String, _ to: String) throws -> Set<ModelPart> {
      let (before, after) = try (ModelLoader.load(path: from).parameters, ModelLoader.load(path: to).parameters)
      let names = before.parameters.indices.filter { index in
        zip(before.scalars(index), after.scalars(index)).contains { abs($0 - $1) > 0.01 * abs($0) }
      }.map { before.parameters[$0].name }
      return Set(
        ModelPart.allCases.filter { part in names.contains { name in part.prefixes.contains { name.hasPrefix($0) } } })
    }
    #expect(try await fovea(["create"]).exitCode == 0)
    let align = try await fovea(["align", "--run-directory", "align"])
    #expect(align.exitCode == 0, "\(align)")
    #expect(align.output.contains("next: fovea sft --config FILE --from align"), "\(align)")
    let aligned = folder.path + "/align/checkpoints/step-000003"
    #expect(try changed(folder.path + "/seeing", aligned) == [.projector])
    let evaluations = try MetricsFile.read(folder.path + "/align/metrics.jsonl").filter { $0.kind == .evaluation }
    #expect(evaluations.map(\.step) == [0, 3])
    #expect(evaluations.allSatisfy { $0.values["heldout_loss"] != nil })
    #expect(evaluations.allSatisfy { $0.values["heldout_accuracy"] == nil })

    let sft = try await fovea(["sft", "--from", "align", "--run-directory", "sft"])
    #expect(sft.exitCode == 0, "\(sft)")
    #expect(try changed(aligned, folder.path + "/sft/checkpoints/step-000003") == Set(ModelPart.allCases))
    let table = try await fovea(["eval", "--model", "align", "--model", "sft"])
    #expect(table.exitCode == 0, "\(table)")
    #expect(table.output.contains("quadratic kappa"), "\(table)")
  }
}
