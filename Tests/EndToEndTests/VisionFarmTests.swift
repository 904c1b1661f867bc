import Architecture
import Foundation
import Glibc
import ModelFiles
import Tensor
import Testing
import Wire

/// A model that sees, made from nothing by `fovea create`, and a farm that trains it on questions about images.
@Suite(.serialized) struct VisionFarmTests {
  /// A farm that has no model yet.
  private let farm: Farm
  private let task = Farm.seeingModel

  init() throws { farm = try Farm { _ in } }

  private func create() async throws -> FoveaProcess.Result {
    try await FoveaProcess.run(["create", "--config", "settings.yaml"] + task, in: farm.folder)
  }

  private func train(_ settings: [String]) async throws -> FoveaProcess.Result {
    await (try farm.train(task + settings)).wait(seconds: 120)
  }

  /// The parts that differ from the model that training began with.
  private func changedParts(_ checkpoint: String) throws -> Set<ModelPart> {
    let before = try ModelLoader.load(path: farm.folder.path + "/model").parameters
    let after = try ModelLoader.load(path: checkpoint)
    #expect(after.parameters.parameters == before.parameters)
    // Checkpoints are rounded to bfloat16.
    let changed = before.parameters.indices.filter { index in
      zip(before.scalars(index), after.parameters.scalars(index)).contains { abs($0 - $1) > 0.01 * abs($0) }
    }
    return Set(
      ModelPart.allCases.filter { part in
        changed.contains { index in part.prefixes.contains { before.parameters[index].name.hasPrefix($0) } }
      })
  }

  @Test("A vision-language model is made, trained, resumed and opened", .timeLimit(.minutes(4)))
  func aModelThatSeesIsMadeTrainedResumedAndOpened() async throws {
    let made = try await create()
    #expect(made.exitCode == 0, "\(made)")
    #expect(made.output.contains("model: 300 tokens; parameters: vision "), "\(made)")
    let again = try await create()
    #expect(again.exitCode == 1, "\(again)")
    #expect(again.errors.contains("expected a name that is free"), "\(again)")

    let whole = try await train(["run.steps=12"])
    #expect(whole.exitCode == 0, "\(whole)\n\(farm.diagnosis)")
    #expect(try farm.steps.map(\.step) == Array(1...12))
    for row in try farm.steps { #expect(row.values["logprob_mismatch_max"] == 0) }
    let expected = try farm.checksum(step: 12)
    #expect(try changedParts(farm.checkpoint(step: 12)) == Set(ModelPart.allCases))

    // The same run, killed as a whole and resumed, ends with the same bytes.
    try FileManager.default.removeItem(atPath: farm.runPath)
    let broken = try farm.train(task + ["run.steps=12"])
    #expect(try await holds(within: 60) { try farm.steps.count >= 3 }, "\(farm.diagnosis)")
    let processes = farm.processes
    broken.send(SIGKILL)
    #expect(await holds(within: 10) { !processes.values.contains(where: isAlive) })
    let resumed = await (try farm.resume()).wait(seconds: 120)
    #expect(resumed.exitCode == 0, "\(resumed)\n\(farm.diagnosis)")
    #expect(try farm.checksum(step: 12) == expected)

    // What was saved is a model like any other.
    let config = try ModelLoader.describe(path: farm.folder.path + "/model").config
    #expect(try ModelLoader.describe(path: farm.checkpoint(step: 12)).config == config)
    let picture = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("Fixtures/imaging/decode/rgb.png").path
    let words = ["--model", farm.checkpoint(step: 12), "--threads", "1"]
    let shown = try await FoveaProcess.run(
      ["generate", "--prompt", "What is it?", "--image", picture, "--max-tokens", "5", "--json"] + words,
      in: farm.folder)
    #expect(shown.exitCode == 0, "\(shown)")
    let asked = try await FoveaProcess.run(
      ["eval", "--config", "settings.yaml", "--prompts", "4", "--json"] + words + task, in: farm.folder)
    #expect(asked.exitCode == 0, "\(asked)")
    #expect(asked.output.contains("heldout_accuracy"), "\(asked)")
  }

  @Test("Frozen parts stay as they are and have no moments", .timeLimit(.minutes(2)))
  func frozenPartsStayAsTheyAreAndHaveNoMoments() async throws {
    #expect(try await create().exitCode == 0)
    let result = try await train(["run.steps=3", "model.train=[vision, projector]"])
    #expect(result.exitCode == 0, "\(result)\n\(farm.diagnosis)")
    for row in try farm.steps { #expect(row.values["logprob_mismatch_max"] == 0) }
    #expect(try changedParts(farm.checkpoint(step: 3)) == [.vision, .projector])
    let moments = try String(
      decoding: Data(contentsOf: URL(fileURLWithPath: farm.checkpoint(step: 3) + "/adamw_first_moments.safetensors")),
      as: UTF8.self)
    #expect(moments.contains("vision.layers.0"))
    #expect(!moments.contains("model.layers.0"))

    let resumed = await (try farm.resume(["run.steps=4"])).wait(seconds: 60)
    #expect(resumed.exitCode == 0, "\(resumed)\n\(farm.diagnosis)")
    let other = await (try farm.resume(["run.steps=5", "model.train=[language]"])).wait(seconds: 60)
    #expect(other.exitCode != 0)
    #expect(
      farm.log("learner").contains("expected a tensor model.embed_tokens.weight"), "\(farm.diagnosis)")
  }

  /// A farm's task: 12 drawn photographs, some of whose files break off in the middle. What a header tells is still
  /// there, so only the one who draws the image finds out.
  private func photographs(broken: [Int]) async throws -> [String] {
    let data = farm.folder.path + "/data"
    let drawn = try await FoveaProcess.run(["fundus", data, "--count", "12", "--size", "32"], in: farm.folder)
    #expect(drawn.exitCode == 0, "\(drawn)")
    for index in broken {
      let url = URL(fileURLWithPath: String(format: "\(data)/images/synthetic-%06d.png", index))
      let bytes = try Data(contentsOf: url)
      try bytes.prefix(bytes.count / 2).write(to: url)
    }
    #expect(try await create().exitCode == 0)
    return [
      "task.name=mm_retinal_reason", "task.train_file=\(data)/data.json", "task.held_out_share=0.3",
      "evaluation.prompts=100", "rollout.prompts_per_step=4",
    ]
  }

  @Test("A truncated image costs its prompt and nothing else", .timeLimit(.minutes(2)))
  func anImageThatBreaksOffCostsItsPromptAndNothingElse() async throws {
    let result = try await train(photographs(broken: [0, 5]) + ["run.steps=4"])
    #expect(result.exitCode == 0, "\(result)\n\(farm.diagnosis)")
    #expect(try farm.steps.map(\.step) == [1, 2, 3, 4])
    #expect(result.output.contains("quarantined: "))
    #expect(result.output.contains("image 0: expected a whole PNG file"))
    let end = try #require(try farm.metrics.last { $0.kind == .evaluation }).values
    let (failed, asked) = (try #require(end["heldout_failed"]), try #require(end["heldout_prompts"]))
    let lost = try farm.steps.compactMap { $0.values["prompts_quarantined"] }.reduce(0, +)
    #expect(failed + lost > 0, "\(result)")
    #expect(failed < asked, "\(result)")
  }

  @Test("A run whose images are all truncated ends with the reason", .timeLimit(.minutes(2)))
  func aRunWhoseImagesAllBreakOffEndsWithTheReason() async throws {
    let result = try await train(photographs(broken: Array(0..<12)) + ["run.steps=4"])
    #expect(result.exitCode == 3, "\(result)")
    #expect(result.errors.contains("expected a whole PNG file"), "\(result)")
    #expect(result.errors.contains("prompts failed 3 attempts each"), "\(result)")
    #expect(!result.output.contains("stopped"), "\(result)")
  }
}
