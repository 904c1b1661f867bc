import Tensor
import Training

/// Scores completions under a policy: a training model, or the frozen reference.
public protocol PolicyScorer: AnyObject {
  /// Log-probability and entropy of every completion token, forward only.
  /// - Returns: `[prompt][sample]`
  func score(_ groups: [TrainingGroup], temperature: Float) -> [[SequenceScores]]
}

/// What a training step asks of the model that it trains.
public protocol PolicyTrainer: PolicyScorer {
  /// fp32 master weights; the optimizer changes them in place.
  var parameters: ParameterSet { get }
  /// Summed up by `accumulateGradients` until they are cleared.
  var gradients: ParameterSet { get }
  /// Forward, then backward into `gradients`.
  /// - Parameter coefficients: from the scores of the forward pass to d loss / d log pi of every completion token,
  ///   `[prompt][sample][T]`.
  /// - Returns: the scores.
  @discardableResult
  func accumulateGradients(
    _ groups: [TrainingGroup], temperature: Float, coefficients: ([[SequenceScores]]) throws -> [[[Float]]]
  ) rethrows -> [[SequenceScores]]
  /// The master weights are new: what is derived from them is made again.
  func weightsChanged()
}

extension TrainingModel: PolicyTrainer {}
