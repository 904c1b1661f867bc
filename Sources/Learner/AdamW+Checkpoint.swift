import Architecture
import Layers
import Training

extension AdamW {
  /// Resumes from a checkpoint, whose moments it takes over.
  package convenience init(
    _ checkpoint: CheckpointStore.Contents, pool: ThreadPool, trainable: TrainableParameters = .all
  ) {
    self.init(
      parameters: checkpoint.masterWeights, pool: pool, trainable: trainable, firstMoments: checkpoint.firstMoments,
      secondMoments: checkpoint.secondMoments, updateCount: checkpoint.state.updateCount)
  }
}
