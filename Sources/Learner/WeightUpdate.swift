import Architecture
import Layers
import Settings
import Training

/// The end of every step, whatever was trained: global-norm clipping, then AdamW.
extension AdamW {
  /// Updates the policy's master weights by its gradients. A gradient that is not finite changes nothing.
  /// - Returns: the global norm before clipping, and whether the update was left out.
  func update(
    _ policy: any PolicyTrainer, learningRate: Double, settings: RunSettings.OptimizerSettings
  ) -> (norm: Double, isSkipped: Bool) {
    let norm = globalNorm(policy.gradients)
    guard norm.isFinite else { return (norm, true) }
    let clip = settings.gradientClip
    let scale = clip > 0 ? min(1, clip / (norm + 1e-6)) : 1
    step(
      parameters: policy.parameters, gradients: policy.gradients, gradientScale: Float(scale),
      learningRate: Float(learningRate), beta1: Float(settings.beta1), beta2: Float(settings.beta2),
      epsilon: Float(settings.epsilon), weightDecay: Float(settings.weightDecay))
    policy.weightsChanged()
    return (norm, false)
  }

  /// Goes on from a checkpoint, whose moments it takes over.
  package convenience init(
    _ checkpoint: CheckpointStore.Contents, pool: ThreadPool, trainable: TrainableParameters = .all
  ) {
    self.init(
      parameters: checkpoint.masterWeights, pool: pool, trainable: trainable, firstMoments: checkpoint.firstMoments,
      secondMoments: checkpoint.secondMoments, updateCount: checkpoint.state.updateCount)
  }
}
