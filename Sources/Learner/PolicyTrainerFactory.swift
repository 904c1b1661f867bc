import Architecture
import Layers
import Model
import ModelFiles
import Settings
import Tensor
import Training

/// Makes a learner's arithmetic. `Trainer` takes one; a GPU would be another implementation.
public protocol PolicyTrainerFactory: Sendable {
  /// The trainer of an opened model, which resumes from the model's weights and moments.
  func trainer(of model: TrainedModel, settings: RunSettings, pool: ThreadPool) throws -> any PolicyTrainer

  /// A frozen policy.
  /// - Parameter weights: fp32.
  func scorer(
    _ config: ModelConfig, weights: ParameterSet, precision: Precision, pool: ThreadPool
  ) throws -> any PolicyScorer
}

/// The arithmetic of this program's own kernels.
public struct NativePolicyTrainers: PolicyTrainerFactory {
  public init() {}

  public func trainer(of model: TrainedModel, settings: RunSettings, pool: ThreadPool) -> any PolicyTrainer {
    model.nativeTrainer(settings: settings, pool: pool)
  }

  public func scorer(
    _ config: ModelConfig, weights: ParameterSet, precision: Precision, pool: ThreadPool
  ) -> any PolicyScorer {
    TrainingModel(config: config, parameters: weights, precision: precision, pool: pool, trainable: false)
  }
}

extension TrainedModel {
  /// The model's weights as a `TrainingModel` with AdamW.
  public func nativeTrainer(settings: RunSettings, pool: ThreadPool) -> AdamWTrainer<TrainingModel> {
    AdamWTrainer(
      TrainingModel(
        config: description.config, parameters: adapted?.base ?? weights, adapter: adapted?.adapter,
        precision: settings.model.precision, pool: pool, selection: trainable,
        checkpointing: settings.optimizer.gradientCheckpointing),
      optimizer: optimizer, settings: settings.optimizer)
  }
}
