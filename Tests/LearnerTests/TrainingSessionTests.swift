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

/// A tiny run in a folder, opened as the learner opens one.
private struct TinyRun {
  let policy: TinyPolicy
  var session: TrainingSession
  let optimizer: AdamW

  init(folder: String, settings: RunSettings) throws {
    let store = CheckpointStore(CheckpointFolder(folder), keep: 2)
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
    session = TrainingSession(
      step: TrainingStep(
        settings: settings, config: TinyPolicy.config,
        policy: AdamWTrainer(policy, optimizer: optimizer, settings: settings.optimizer), reference: nil),
      state: state, store: store, weights: weights
    ) { folder in
      try SafetensorsFile.write(weights, to: "\(folder)/model.safetensors", encoding: .bfloat16)
    }
  }

  mutating func train(steps: Int) throws {
    for _ in 0..<steps {
      let batch = policy.batch(step: session.state.nextStep, version: session.state.policyVersion)
      _ = try session.train(batch, seconds: { 0 }, progress: { _ in })
    }
  }
}

@Suite("A run that stops and goes on")
struct TrainingSessionTests {
  @Test("ends with the bytes of one that did not stop", arguments: [1, 3], Precision.allCases)
  func resume(updates: Int, moments: Precision) throws {
    var settings = RunSettings.tiny
    settings.optimizer.moments = moments
    settings.optimizer.warmupSteps = 3
    settings.optimizer.decay = .cosine
    settings.run.steps = 10
    settings.algorithm.updatesPerStep = updates
    let (whole, parts) = (TemporaryFolder(), TemporaryFolder())

    var unbroken = try TinyRun(folder: whole.path, settings: settings)
    try unbroken.train(steps: 10)
    try unbroken.session.save()

    for steps in [4, 1, 5] {
      var part = try TinyRun(folder: parts.path, settings: settings)
      try part.train(steps: steps)
      try part.session.save()
    }

    expectEqualCheckpoints(whole, parts, name: "step-000010")
  }

  @Test("counts what it trained")
  func counters() throws {
    let folder = TemporaryFolder()
    var run = try TinyRun(folder: folder.path, settings: .tiny)
    try run.train(steps: 3)
    let state = run.session.state
    #expect(state.nextStep == 3)
    #expect(state.policyVersion == PolicyVersion(3))
    #expect(state.cursor == 12)
    #expect(state.updateCount == 3)
    #expect(state.samplesTrained == 3 * 4 * 4)
    #expect(state.lastCompleted?.step == 2)
    #expect(state.threshold != nil)
  }

  @Test("keeps a best checkpoint only when it is there")
  func best() throws {
    let folder = TemporaryFolder()
    var run = try TinyRun(folder: folder.path, settings: .tiny)
    try run.train(steps: 2)
    #expect(try run.session.keepBest(step: 2, accuracy: 0.5) == false)
    try run.session.save()
    #expect(try run.session.keepBest(step: 2, accuracy: 0.5))
    #expect(
      CheckpointStore(CheckpointFolder(folder.path), keep: 1).folder.best
        == CheckpointFolder.Best(step: 2, accuracy: 0.5))
  }
}
