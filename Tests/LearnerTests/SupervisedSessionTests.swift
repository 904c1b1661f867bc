import Foundation
import Layers
import Learner
import ModelFiles
import Runs
import Settings
import Tensor
import Testing
import Training
import Wire

/// A supervised run of the tiny policy in a folder, opened as a stage opens one. The examples follow from the cursor.
private struct TinyStage {
  private let policy: TinyPolicy
  private(set) var session: SupervisedSession

  init(folder: String, settings: RunSettings) throws {
    let store = CheckpointStore(CheckpointFolder(folder), keep: 3)
    let optimizer: AdamW
    var state = TrainerState()
    if let newest = store.folder.newestValid().path {
      let checkpoint = try CheckpointStore.load(
        newest, config: TinyPolicy.config, moments: settings.optimizer.moments)
      policy = TinyPolicy(parameters: checkpoint.masterWeights)
      optimizer = AdamW(checkpoint, pool: ThreadPool(threads: 1))
      state = checkpoint.state
    } else {
      policy = TinyPolicy()
      optimizer = AdamW(
        parameters: policy.parameters, pool: ThreadPool(threads: 1), moments: settings.optimizer.moments)
    }
    let weights = policy.parameters
    session = SupervisedSession(
      step: SupervisedStep(
        settings: settings, stage: settings.sft,
        policy: AdamWTrainer(policy, optimizer: optimizer, settings: settings.optimizer)),
      state: state, store: store, weights: weights
    ) { folder in
      try SafetensorsFile.write(weights, to: "\(folder)/model.safetensors", encoding: .bfloat16)
    }
  }

  mutating func train(steps: Int) {
    for _ in 0..<steps {
      let cursor = session.state.cursor
      let examples = (cursor..<cursor + 3).map { draw in
        TrainingGroup(promptTokens: [1], completions: [[Int32(draw % 6), Int32(draw * draw % 6)]])
      }
      _ = session.train(examples, cursor: cursor + 3)
    }
  }
}

@Suite("A stage that stops and goes on")
struct SupervisedSessionTests {
  @Test("ends with the bytes of one that did not stop", arguments: Precision.allCases)
  func resume(moments: Precision) throws {
    var settings = RunSettings()
    settings.optimizer.moments = moments
    settings.sft.learningRate = 0.05
    settings.sft.steps = 10
    settings.sft.warmupSteps = 3
    let (whole, parts) = (TemporaryFolder(), TemporaryFolder())

    var unbroken = try TinyStage(folder: whole.path, settings: settings)
    unbroken.train(steps: 10)
    try unbroken.session.save()
    for steps in [4, 1, 5] {
      var part = try TinyStage(folder: parts.path, settings: settings)
      part.train(steps: steps)
      try part.session.save()
    }

    expectEqualCheckpoints(whole, parts, name: "step-000010")
  }

  @Test("counts what it trained")
  func counters() throws {
    let folder = TemporaryFolder()
    var stage = try TinyStage(folder: folder.path, settings: RunSettings())
    stage.train(steps: 4)
    let state = stage.session.state
    #expect(state.nextStep == 4)
    #expect(state.policyVersion.value == 4)
    #expect(state.updateCount == 4)
    #expect(state.cursor == 12)
    #expect(state.samplesTrained == 12)
    #expect(state.tokensTrained == 24)
    #expect(state.threshold == nil)
    #expect(state.lastCompleted == nil)
  }

  @Test("hands the next stage its best checkpoint, else its newest that is whole")
  func nextStage() throws {
    let folder = TemporaryFolder()
    let store = CheckpointStore(CheckpointFolder(folder.path), keep: 3)
    var stage = try TinyStage(folder: folder.path, settings: RunSettings())
    #expect(store.folder.bestOrNewestValid == nil)
    for _ in 1...3 {
      stage.train(steps: 1)
      try stage.session.save()
    }
    #expect(store.folder.bestOrNewestValid == store.folder.path(step: 3))
    try Data().write(to: URL(fileURLWithPath: store.folder.path(step: 3) + "/model.safetensors"))
    #expect(store.folder.bestOrNewestValid == store.folder.path(step: 2))
    try store.setBest(CheckpointFolder.Best(step: 1, accuracy: 0.5))
    #expect(store.folder.bestOrNewestValid == store.folder.path(step: 1))
  }
}
