import Architecture
import Foundation
import Layers
import Learner
import ModelFiles
import Reinforcement
import Runs
import Settings
import Support
import Tensor
import Testing
import Training
import Wire

/// Examples that follow from the cursor.
private struct CountedExamples: SupervisedExamples {
  private func example(_ index: UInt64) -> TrainingGroup {
    TrainingGroup(
      promptTokens: [1, Int32(index % 90)], completions: [[Int32(3 + index % 50), Int32(3 + index * index % 50), 2]])
  }

  func next(_ count: Int, from cursor: inout UInt64) throws -> [TrainingGroup] {
    defer { cursor += UInt64(count) }
    return (cursor..<cursor + UInt64(count)).map(example)
  }

  func heldOut(_ range: Range<Int>) throws -> [TrainingGroup] { range.map { example(UInt64(1000 + $0)) } }
}

@Suite("A stage of supervised training")
struct SupervisedTrainerTests {
  private let folder = TemporaryFolder()
  private let settings: RunSettings

  init() throws {
    var settings = try TinyFarm(folder: folder).settings
    settings.sft.steps = 5
    settings.sft.examplesPerStep = 2
    settings.sft.learningRate = 0.01
    settings.sft.warmupSteps = 0
    settings.align = settings.sft
    settings.evaluation.every = 2
    settings.checkpoint.every = 2
    settings.checkpoint.keep = 9
    self.settings = settings
  }

  /// What a process of the stage reported.
  private final class Report {
    var progress: [RunProgress] = []
    var rows: [MetricsRow] = []
    var evaluations = 0
  }

  /// Opens the stage in a folder, as a process does.
  /// - Parameter accuracies: of the evaluations from now on.
  private func trainer(
    in name: String, _ stage: TrainingStage = .sft, accuracies: [Double] = [], report: Report = Report()
  ) throws -> SupervisedTrainer {
    let directory = RunDirectory.at("\(folder.path)/\(name)")
    try Files.makeFolder(directory.path)
    let pool = ThreadPool(threads: 1)
    let model = try TrainedModel(
      settings: settings, folder: directory.path, pool: pool, training: ModelPart.allCases,
      key: stage.partsKey, log: { _ in })
    let heldOut = SupervisedTrainer.HeldOut(
      count: 3,
      answers: stage == .align
        ? nil
        : { progress in
          for done in 1...3 { progress(done) }
          defer { report.evaluations += 1 }
          return ["heldout_accuracy": accuracies.isEmpty ? 0 : accuracies[report.evaluations % accuracies.count]]
        })
    return try SupervisedTrainer(
      stage, settings: settings, directory: directory, model: model,
      policy: model.nativeTrainer(settings: settings, pool: pool), examples: CountedExamples(), heldOut: heldOut,
      observer: SupervisedTrainer.Observer(
        progress: { report.progress.append($0) }, row: { report.rows.append($0) }))
  }

  private func checkpoints(_ name: String) -> CheckpointFolder { RunDirectory.at("\(folder.path)/\(name)").checkpoints }

  private func files(_ checkpoint: String) throws -> [String: [UInt8]] {
    let names = try Files.names(in: checkpoint)
    return try Dictionary(
      uniqueKeysWithValues: names.map { ($0, try Files.read("\(checkpoint)/\($0)", operation: "read")) })
  }

  @Test("trains, evaluates and saves when each is due, and keeps the best")
  func whole() throws {
    let report = Report()
    var trainer = try trainer(in: "run", accuracies: [0.9, 0.25, 0.5, 0.5], report: report)
    try trainer.run()
    let steps = report.rows.filter { $0.kind == .step }
    let evaluations = report.rows.filter { $0.kind == .evaluation }
    #expect(steps.map(\.step) == [1, 2, 3, 4, 5])
    #expect(evaluations.map(\.step) == [0, 2, 4, 5])
    #expect(evaluations.allSatisfy { $0.values["heldout_loss"] != nil })
    #expect(try MetricsFile.read("\(folder.path)/run/metrics.jsonl").map(\.step) == report.rows.map(\.step))
    #expect(checkpoints("run").steps == [2, 4, 5])
    // What the start reached is not a checkpoint; of equals the newest is the best.
    #expect(checkpoints("run").best == CheckpointFolder.Best(step: 5, accuracy: 0.5))
    #expect(steps.compactMap { $0.values["samples_total"] } == [2, 4, 6, 8, 10])
  }

  @Test("that stops and is resumed ends with the bytes of one that did not, and its clock counts on")
  func resumed() throws {
    var whole = try trainer(in: "whole")
    try whole.run()
    var stepsLeft = 3
    var first = try trainer(in: "parts")
    try first.run(until: {
      stepsLeft -= 1
      return stepsLeft < 0
    })
    #expect(checkpoints("parts").steps.last.map { $0 < 5 } == true)
    let report = Report()
    var second = try trainer(in: "parts", report: report)
    let before = try #require(second.earlierRows.last?.values["seconds_elapsed"])
    try second.run()
    #expect(report.rows.first?.values["seconds_elapsed"].map { $0 >= before } == true)
    #expect(report.progress.allSatisfy { $0.secondsElapsed >= before })
    #expect(try files(checkpoints("parts").path(step: 5)) == files(checkpoints("whole").path(step: 5)))
    let rows = try MetricsFile.read("\(folder.path)/parts/metrics.jsonl")
    #expect(rows.filter { $0.kind == .step }.map(\.step) == [1, 2, 3, 4, 5])
    #expect(rows.filter { $0.kind == .evaluation }.map(\.step) == [0, 2, 4, 5])
  }

  @Test("reports its progress as a run's, counted from step 1 and by the prompts of an evaluation")
  func progress() throws {
    let report = Report()
    var trainer = try trainer(in: "run", report: report)
    try trainer.run()
    #expect(report.progress.first?.step == 1)
    #expect(report.progress.contains { $0.phase == "evaluating" && $0.count == .init(2, of: 3, .prompts) })
    let end = try #require(report.progress.last)
    #expect(end.phase == "finished")
    #expect(end.hasEnded)
    #expect(end.share == 1)
  }

  @Test("that does not teach to answer measures the loss alone, and keeps no best")
  func alignment() throws {
    let report = Report()
    var trainer = try trainer(in: "run", .align, report: report)
    try trainer.run()
    let evaluations = report.rows.filter { $0.kind == .evaluation }
    #expect(evaluations.allSatisfy { $0.values["heldout_accuracy"] == nil })
    #expect(evaluations.allSatisfy { $0.values["heldout_loss"] != nil })
    #expect(checkpoints("run").best == nil)
    #expect(report.evaluations == 0)
  }
}

@Suite("The estimate of memory")
struct MemoryEstimateTests {
  private func estimate(_ change: (inout RunSettings) -> Void = { _ in }) throws -> MemoryEstimate {
    var settings = RunSettings()
    change(&settings)
    let config = ModelConfig(
      vocabularySize: 1000, hiddenSize: 64, feedForwardSize: 128, layerCount: 8, headCount: 4, keyValueHeadCount: 2,
      maxPositions: 512)
    let adapter = try settings.model.lora.description(
      for: config, family: Llama(), parts: ModelPart.allCases, precision: settings.model.precision, key: "model.lora")
    return MemoryEstimate(config: config, settings: settings, training: ModelPart.allCases, adapter: adapter)
  }

  @Test("counts what the settings change")
  func settings() throws {
    let plain = try estimate()
    #expect(try estimate { $0.optimizer.gradientCheckpointing = true }.learner < plain.learner)
    #expect(try estimate { $0.optimizer.moments = .bfloat16 }.learner < plain.learner)
    #expect(try estimate { $0.algorithm.loss.klCoefficient = 0.1 }.learner > plain.learner)
    #expect(try estimate { $0.model.precision = .float32 }.worker > plain.worker)
    #expect(try estimate { $0.rollout.slots *= 4 }.worker > plain.worker)
    #expect(try estimate { $0.rollout.precision = .int8 }.worker > plain.worker)
    let adapted = try estimate { $0.model.lora.rank = 4 }
    #expect(adapted.trainedCount < plain.trainedCount)
    #expect(adapted.learner < plain.learner)
  }
}
