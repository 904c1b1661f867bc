import Experiments
import Foundation
import FoveaTesting
import Layers
import Learner
import ModelFiles
import Prompts
import Reinforcement
import Settings
import Support
import Testing
import Wire

@Suite("A dry run of a step")
struct DryRunStepTests {
  private final class Temporary {
    let path = NSTemporaryDirectory() + "fovea-dry-run-\(UUID().uuidString)"
    init() throws { try Files.makeFolder(path) }
    deinit { try? FileManager.default.removeItem(atPath: path) }
  }

  private let temporary: Temporary
  private let settings: RunSettings

  init() throws {
    temporary = try Temporary()
    settings = try SettingsFile.load(
      yaml: Array(
        """
        task: {examples: 0, system_prompt: "", largest_operand: 5}
        rollout: {prompts_per_step: 2, group_size: 3, sampling: {max_new_tokens: 6}}
        algorithm: {dynamic_sampling: false}
        """.utf8), file: "settings.yaml", overrides: [])
    let description = try ByteModel.description(maxPositions: 256)
    try ModelSaver.save(
      description, parameters: SmallModel.parameters(config: description.config, seed: 3),
      to: temporary.path + "/model",
      encoding: .float32)
  }

  private func step(_ state: TrainerState = TrainerState(), slots: Int = 4) throws -> DryRunStep {
    try DryRunStep(
      settings: settings, model: temporary.path + "/model", start: state, slots: slots, pool: ThreadPool(threads: 1),
      progress: { _ in })
  }

  @Test("samples every group of the step, and knows its prompts and the text of its tokens")
  func batch() throws {
    let step = try step()
    #expect(step.batch.step == 0)
    #expect(step.batch.groups.map(\.rollouts.count) == [3, 3])
    for group in step.batch.groups {
      #expect(step.prompts[group.prompt]?.id == group.prompt)
      for sample in group.rollouts { #expect(step.tokenTexts(of: sample).count == sample.tokens.count) }
    }
    #expect((0..<2).contains(step.mostInstructiveGroup))
  }

  @Test("takes the mean entropy as threshold at the beginning of a run, and moves the run's own later")
  func threshold() throws {
    let first = try step()
    #expect(first.thresholdBefore == nil)
    let explained = first.plan.explanation(of: 0, in: first.batch.groups, thresholdBefore: nil)
    #expect(explained.threshold == explained.batchMeanEntropy)
    let later = try step(TrainerState(nextStep: 4, policyVersion: PolicyVersion(4), threshold: 9, cursor: 8))
    #expect(later.batch.step == 4)
    #expect(later.thresholdBefore == 9)
    let moved = later.plan.explanation(of: 0, in: later.batch.groups, thresholdBefore: 9)
    #expect(moved.threshold > moved.batchMeanEntropy)
    #expect(moved.threshold < 9)
    #expect(later.batch.groups.map(\.prompt) != first.batch.groups.map(\.prompt))
  }

  @Test("is the same again, however many samples are decoded at once")
  func same() throws {
    let one = try step(slots: 1)
    #expect(try step(slots: 8).batch == one.batch)
  }
}
