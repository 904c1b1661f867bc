import Runs
import Settings
import Tensor
import Training
import Wire

/// Supervised training from step to step: the step, the state it leaves behind, and the checkpoints.
///
/// As `TrainingSession`, it is confined to one thread, and `state` describes the weights at every moment between two
/// calls: a checkpoint saved then and loaded elsewhere continues bit for bit.
public struct SupervisedSession {
  private let step: SupervisedStep
  public private(set) var state: TrainerState
  private let store: CheckpointStore
  private let weights: ParameterSet
  private let writeModel: (String) throws -> Void

  /// Trains a run's model.
  public init(settings: RunSettings, stage: RunSettings.Stage, model: TrainedModel, policy: any PolicyTrainer) {
    self.init(
      step: SupervisedStep(settings: settings, stage: stage, policy: policy),
      state: model.state, store: model.store, weights: model.weights, writeModel: model.write(to:))
  }

  /// - Parameters:
  ///   - step: its policy's parameters and its optimizer's moments are those that `state` describes.
  ///   - weights: the master weights.
  ///   - writeModel: writes the Hugging Face files of the current weights into a folder.
  package init(
    step: SupervisedStep, state: TrainerState, store: CheckpointStore, weights: ParameterSet,
    writeModel: @escaping (String) throws -> Void
  ) {
    self.step = step
    self.state = state
    self.store = store
    self.weights = weights
    self.writeModel = writeModel
  }

  /// Trains the examples of the next step.
  /// - Parameter cursor: of the data, after these examples.
  public mutating func train(
    _ examples: [TrainingGroup], cursor: UInt64, seconds: @escaping () -> Double = { 0 },
    progress: (String) -> Void = { _ in }
  ) -> MetricsRow {
    let metrics = step.run(examples, step: Int(state.nextStep), seconds: seconds, progress: progress)
    state.nextStep += 1
    state.policyVersion.value += 1
    state.cursor = cursor
    state.updateCount = step.policy.optimizer.updateCount
    state.samplesTrained += UInt64(examples.count)
    state.tokensTrained += UInt64(examples.reduce(0) { $0 + $1.completionTokenCount })
    return MetricsRow(kind: .step, step: state.nextStep, version: state.policyVersion, values: metrics)
  }

  /// The sum of - log pi over the completions' tokens under the weights as they are, and how many they are.
  public func negativeLogLikelihood(_ examples: [TrainingGroup]) -> (sum: Double, tokenCount: Int) {
    step.negativeLogLikelihood(examples)
  }

  /// Saves a checkpoint of what is between two steps.
  /// - Throws: `InputError`; earlier checkpoints are untouched.
  public func save() throws {
    try store.save(state, weights: weights, optimizer: step.policy.optimizer, writeModel: writeModel)
  }

  /// Keeps the checkpoint of now, which was saved, as the best one.
  public func keepBest(accuracy: Float) throws {
    _ = try store.keepBest(CheckpointFolder.Best(step: state.nextStep, accuracy: accuracy))
  }
}
