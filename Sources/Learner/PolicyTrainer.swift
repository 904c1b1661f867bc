import Layers
import Settings
import Tensor
import Training

/// Scores completions under a policy: the one that is trained, or the frozen reference.
public protocol PolicyScorer: AnyObject {
  /// Log-probability and entropy of every completion token, forward only.
  /// - Returns: `[prompt][sample]`
  func score(_ groups: [TrainingGroup], temperature: Float) -> [[SequenceScores]]
}

/// A learner's arithmetic: scores, gradients and updates of one policy. A training step knows nothing else of the
/// model, so another device or engine comes in here, by way of `PolicyTrainerFactory`, and nowhere else.
public protocol PolicyTrainer: PolicyScorer {
  /// fp32 master weights as they are between two updates, for publishing and saving.
  var parameters: ParameterSet { get }
  /// The optimizer's moments and count, for checkpoints.
  var optimizer: AdamW { get }
  /// Sets all gradients to zero.
  func clearGradients()
  /// Forward, then backward: adds to the gradients.
  /// - Parameter coefficients: from the scores of the forward pass to d loss / d log pi of every completion token,
  ///   `[prompt][sample][T]`.
  /// - Returns: the scores.
  @discardableResult
  func accumulateGradients(
    _ groups: [TrainingGroup], temperature: Float, coefficients: ([[SequenceScores]]) throws -> [[[Float]]]
  ) rethrows -> [[SequenceScores]]
  /// Clips the gradients by their global norm and updates the weights. Gradients that are not finite change nothing.
  func update(learningRate: Double) -> UpdateResult
}

/// What an update did.
public struct UpdateResult: Equatable, Sendable {
  /// The global norm of the gradients before clipping.
  public var norm: Double
  /// Whether nothing was updated, since the norm is not finite.
  public var isSkipped: Bool

  public init(norm: Double, isSkipped: Bool) {
    self.norm = norm
    self.isSkipped = isSkipped
  }
}

/// A policy in this process's memory whose gradients can be computed; an `AdamWTrainer` trains it.
public protocol DifferentiablePolicy: PolicyScorer {
  /// fp32 master weights; the optimizer changes them in place.
  var parameters: ParameterSet { get }
  /// Summed up by `accumulateGradients` until they are cleared.
  var gradients: ParameterSet { get }
  /// Accumulates gradients like `PolicyTrainer.accumulateGradients`.
  @discardableResult
  func accumulateGradients(
    _ groups: [TrainingGroup], temperature: Float, coefficients: ([[SequenceScores]]) throws -> [[[Float]]]
  ) rethrows -> [[SequenceScores]]
  /// The master weights are new: what is derived from them is made again.
  func weightsChanged()
}

extension TrainingModel: DifferentiablePolicy {}

/// The native trainer: a policy in memory, global-norm clipping, AdamW.
public final class AdamWTrainer<Policy: DifferentiablePolicy>: PolicyTrainer {
  public let policy: Policy
  public let optimizer: AdamW
  private let settings: RunSettings.OptimizerSettings

  /// - Parameter optimizer: of the policy's parameters.
  public init(_ policy: Policy, optimizer: AdamW, settings: RunSettings.OptimizerSettings) {
    self.policy = policy
    self.optimizer = optimizer
    self.settings = settings
  }

  public var parameters: ParameterSet { policy.parameters }

  public func clearGradients() { policy.gradients.values.clear() }

  public func score(_ groups: [TrainingGroup], temperature: Float) -> [[SequenceScores]] {
    policy.score(groups, temperature: temperature)
  }

  @discardableResult
  public func accumulateGradients(
    _ groups: [TrainingGroup], temperature: Float, coefficients: ([[SequenceScores]]) throws -> [[[Float]]]
  ) rethrows -> [[SequenceScores]] {
    try policy.accumulateGradients(groups, temperature: temperature, coefficients: coefficients)
  }

  public func update(learningRate: Double) -> UpdateResult {
    let norm = optimizer.globalNorm(policy.gradients)
    guard norm.isFinite else { return UpdateResult(norm: norm, isSkipped: true) }
    let clip = settings.gradientClip
    let scale = clip > 0 ? min(1, clip / (norm + 1e-6)) : 1
    optimizer.step(
      parameters: policy.parameters, gradients: policy.gradients, gradientScale: Float(scale),
      learningRate: Float(learningRate), beta1: Float(settings.beta1), beta2: Float(settings.beta2),
      epsilon: Float(settings.epsilon), weightDecay: Float(settings.weightDecay))
    policy.weightsChanged()
    return UpdateResult(norm: norm, isSkipped: false)
  }
}
