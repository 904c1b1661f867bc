import Reinforcement
import Runs
import Tensor
import Training
import Wire

/// Training over many steps: the training step, the state that carries over to the next one, and the checkpoints.
///
/// It is confined to the training thread. Invariant: `state` describes the weights at every moment between two calls,
/// so a checkpoint saved then and loaded elsewhere resumes bit for bit.
package struct TrainingSession {
  private var step: TrainingStep
  package private(set) var state: TrainerState
  private let store: CheckpointStore
  private let weights: ParameterSet
  private let writeModel: (String) throws -> Void

  /// - Parameters:
  ///   - step: its policy's parameters and its optimizer's moments are those that `state` describes.
  ///   - weights: the master weights.
  ///   - writeModel: writes the Hugging Face files of the current weights into a folder.
  package init(
    step: TrainingStep, state: TrainerState, store: CheckpointStore, weights: ParameterSet,
    writeModel: @escaping (String) throws -> Void
  ) {
    self.step = step
    self.step.threshold.value = state.threshold
    self.state = state
    self.store = store
    self.weights = weights
    self.writeModel = writeModel
  }

  /// Trains the batch of the next step.
  /// - Parameter weightsWillChange: called before each update.
  /// - Throws: `InputError` for a batch that makes no sense; nothing has changed then.
  package mutating func train(
    _ batch: TrainBatch, seconds: @escaping () -> Double, progress: (String) -> Void,
    weightsWillChange: () -> Void = {}
  ) throws -> StepCompleted {
    precondition(batch.step == state.nextStep, "step \(batch.step) after \(state.nextStep) steps")
    let metrics = try step.run(
      batch, version: state.policyVersion, seconds: seconds, progress: progress, weightsWillChange: weightsWillChange)
    state.nextStep += 1
    state.policyVersion.value += 1
    state.cursor = batch.cursor
    state.threshold = step.threshold.value
    state.updateCount = step.policy.optimizer.updateCount
    state.samplesTrained += batch.groups.reduce(0) { $0 + UInt64($1.rollouts.count) }
    state.tokensTrained += batch.groups.reduce(0) { $0 + UInt64($1.completionTokenCount) }
    let completed = StepCompleted(step: batch.step, version: state.policyVersion, metrics: metrics)
    state.lastCompleted = completed
    return completed
  }

  /// Saves a checkpoint of what is between two steps.
  /// - Throws: `InputError`; earlier checkpoints are untouched.
  package func save() throws {
    try store.save(state, weights: weights, optimizer: step.policy.optimizer, writeModel: writeModel)
  }

  /// Keeps the checkpoint after `step` steps as the best one.
  /// - Returns: whether it is there.
  package func keepBest(step: UInt32, accuracy: Float) throws -> Bool {
    try store.keepBest(CheckpointFolder.Best(step: step, accuracy: accuracy))
  }
}
