import Foundation
import Glibc
import ModelFiles
import Tensor
import Testing
import Wire

/// Adapters end to end: fine-tuning makes one, a farm trains it further, is killed and resumed, and what is saved
/// opens.
@Suite(.serialized) struct AdapterFarmTests {
  /// A farm on a model that sees.
  private let farm: Farm
  private let task =
    Farm.seeingModel + [
      "model.lora.rank=4", "sft.steps=3", "sft.examples_per_step=4", "sft.learning_rate=0.01", "sft.warmup_steps=0",
    ]

  init() throws { farm = try Farm { _ in } }

  private func fovea(_ words: [String], seconds: Double = 60) async throws -> FoveaProcess.Result {
    try await FoveaProcess.run(words, in: farm.folder, seconds: seconds)
  }

  private func checksum(step: Int) throws -> [String] {
    try ["adapter_model", "master_weights", "adamw_first_moments", "adamw_second_moments"].map {
      String(try command("sha256sum", "\(farm.checkpoint(step: step))/\($0).safetensors").prefix { $0 != " " })
    }
  }

  @Test("An adapter goes through the stages and survives a kill", .timeLimit(.minutes(4)))
  func anAdapterGoesThroughTheStagesAndSurvivesAKill() async throws {
    let settings = ["--config", "settings.yaml"] + task
    #expect(try await fovea(["create"] + settings).exitCode == 0)
    let sft = try await fovea(["sft", "--run-directory", "sft"] + settings)
    #expect(sft.exitCode == 0, "\(sft)")
    #expect(sft.output.contains("a new adapter: rank 4 on 28 layers"), "\(sft)")

    let train = ["run.steps=12", "checkpoint.every=1", "--from", "sft"] + task
    let whole = await (try farm.train(train)).wait(seconds: 120)
    #expect(whole.exitCode == 0, "\(whole)\n\(farm.diagnosis)")
    #expect(farm.log("learner").contains("trains the adapter of sft/checkpoints/step-000003"))
    for row in try farm.steps { #expect(row.values["logprob_mismatch_max"] == 0) }
    #expect(try farm.steps.contains { $0.values["gradient_norm"] ?? 0 > 0 })
    let expected = try checksum(step: 12)

    // The same run, killed as a whole and resumed, ends with the same bytes.
    try FileManager.default.removeItem(atPath: farm.runPath)
    let broken = try farm.train(train)
    #expect(try await holds(within: 60) { try farm.steps.count >= 3 }, "\(farm.diagnosis)")
    let processes = farm.processes
    broken.send(SIGKILL)
    #expect(await holds(within: 10) { !processes.values.contains(where: isAlive) })
    let resumed = await (try farm.resume()).wait(seconds: 120)
    #expect(resumed.exitCode == 0, "\(resumed)\n\(farm.diagnosis)")
    #expect(try checksum(step: 12) == expected)

    // The checkpoint has no weights of the base, names it, and opens as a model.
    let checkpoint = farm.checkpoint(step: 12)
    #expect(!FileManager.default.fileExists(atPath: checkpoint + "/model.safetensors"))
    let opened = try ModelLoader.load(path: checkpoint).parameters
    let base = try ModelLoader.load(path: farm.folder.path + "/model").parameters
    #expect(opened.parameters == base.parameters)
    #expect(opened.checksum != base.checksum)
    let table = try await fovea(["eval", "--prompts", "4", "--model", "run", "--model", "sft"] + settings)
    #expect(table.exitCode == 0, "\(table)")
    #expect(table.output.contains("accuracy"), "\(table)")
    let shown = try await fovea(["generate", "--model", checkpoint, "--prompt", "hi", "--max-tokens", "3"])
    #expect(shown.exitCode == 0, "\(shown)")
  }

  @Test("An adapter that does not fit is refused before or at the start", .timeLimit(.minutes(2)))
  func whatDoesNotFitIsRefusedBeforeOrAtTheStart() async throws {
    let settings = ["--config", "settings.yaml"] + task
    #expect(try await fovea(["create"] + settings).exitCode == 0)
    for (change, reason) in [
      ("model.lora.targets=[qproj]", "expected all-linear, or layers of what is trained: "),
      ("model.lora.rank=33", "expected a rank of 1 ... "),
      ("model.lora.targets=[]", "expected a linear layer to adapt"),
      ("model.lora.rank=-1", "expected an integer, 0 ... 4096"),
    ] {
      for command in ["sft", "train", "align"] {
        let result = try await fovea([command, "--run-directory", "refused"] + settings + [change])
        #expect(result.exitCode == 1, "\(command) \(change): \(result)")
        #expect(result.errors.contains(reason), "\(command) \(change): \(result)")
        #expect(!FileManager.default.fileExists(atPath: farm.folder.path + "/refused"))
      }
    }
    #expect(try await fovea(["sft", "--run-directory", "sft"] + settings).exitCode == 0)
    for (change, reason) in [
      ("model.lora.rank=2", "expected a checkpoint of the adapter of model.lora: rank 2"),
      ("model.lora.rank=0", "expected a checkpoint of all weights"),
    ] {
      let result = try await fovea(["sft", "--resume", "sft", "sft.steps=4", change])
      #expect(result.exitCode == 1, "\(change): \(result)")
      #expect(result.errors.contains(reason), "\(change): \(result)")
    }
    // Another base of the same sizes.
    try FileManager.default.removeItem(atPath: farm.folder.path + "/model")
    #expect(try await fovea(["create", "run.seed=9"] + settings).exitCode == 0)
    let other = try await fovea(["sft", "--resume", "sft", "sft.steps=4", "model.lora.rank=4"])
    #expect(other.exitCode == 1, "\(other)")
    #expect(other.errors.contains("expected the base that it was trained on"), "\(other)")
  }
}
