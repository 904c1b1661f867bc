import Reinforcement
import Settings
import Tensor
import Training

/// One step of supervised training: from written completions to new weights.
///
///     for each micro-batch: forward, cross-entropy of the completions' tokens, backward
///     -> clipped by global norm, AdamW
///
/// An example is a `TrainingGroup` of one completion, so model, packing, checkpointing of gradients and optimizer are
/// those of reinforcement learning: no token is padding, and prompt tokens get no loss and no logits.
///
/// Invariant: equal examples, weights and moments give equal bits, whatever the number of threads.
public struct SupervisedStep {
  private let settings: RunSettings.OptimizerSettings
  private let schedule: Schedule
  /// The weights, moments and count are training state.
  public let policy: any PolicyTrainer

  /// - Parameters:
  ///   - settings: of the run; the stage's own learning rate and schedule win.
  ///   - policy: trained in place.
  public init(
    settings: RunSettings, stage: RunSettings.Stage, policy: any PolicyTrainer
  ) {
    self.settings = settings.optimizer
    schedule = settings.schedule(of: stage)
    self.policy = policy
  }

  /// Trains on a batch: afterwards the weights and moments are those of the next step.
  ///
  /// - Parameters:
  ///   - examples: at least one; they fit the model.
  ///   - step: from 0; gives the learning rate.
  ///   - seconds: a monotonic clock, for the metrics alone.
  ///   - progress: gets what is being done, for people.
  /// - Returns: named measurements; docs/METRICS.md lists them.
  public func run(
    _ examples: [TrainingGroup], step: Int, seconds: @escaping () -> Double = { 0 },
    progress: (String) -> Void = { _ in }
  ) -> [String: Double] {
    let tokenCount = examples.reduce(0) { $0 + $1.completionTokenCount }
    let crossEntropy = CrossEntropy(tokenCount: tokenCount)
    let microBatches = microBatches(examples)
    var clock = StepClock(seconds: seconds)
    var (loss, entropy) = (0.0, 0.0)
    policy.clearGradients()
    for (index, microBatch) in microBatches.enumerated() {
      progress("micro-batch \(index + 1)/\(microBatches.count)")
      policy.accumulateGradients(Array(examples[microBatch]), temperature: 1) { scores in
        clock.ends(.forward)
        return scores.map { group in
          group.map { sequence in
            let result = crossEntropy(sequence.logProbabilities)
            loss += result.loss
            entropy += sequence.entropies.reduce(0.0) { $0 + Double($1) } / Double(tokenCount)
            return result.gradients
          }
        }
      }
      clock.ends(.backward)
    }
    let learningRate = schedule.learningRate(at: step)
    let update = policy.update(learningRate: learningRate)
    clock.ends(.optimizer)

    let trainTokens = Double(examples.reduce(0) { $0 + $1.tokenCount })
    var metrics: [String: Double] = [
      "loss": loss, "entropy": entropy, "gradient_norm": update.norm, "updates_skipped": update.isSkipped ? 1 : 0,
      "learning_rate": learningRate, "examples": Double(examples.count),
      "completion_tokens": Double(tokenCount) / Double(examples.count), "train_tokens": trainTokens,
      "forward_seconds": clock.spent[.forward] ?? 0, "backward_seconds": clock.spent[.backward] ?? 0,
      "optimizer_seconds": clock.spent[.optimizer] ?? 0,
    ]
    if clock.total > 0 { metrics["train_tokens_per_second"] = trainTokens / clock.total }
    return metrics
  }

  /// The sum of - log pi over the completions' tokens, forward only, and how many they are.
  public func negativeLogLikelihood(_ examples: [TrainingGroup]) -> (sum: Double, tokenCount: Int) {
    var result = (sum: 0.0, tokenCount: 0)
    for microBatch in microBatches(examples) {
      for sequence in policy.score(Array(examples[microBatch]), temperature: 1).joined() {
        result.sum -= sequence.logProbabilities.reduce(0.0) { $0 + Double($1) }
        result.tokenCount += sequence.logProbabilities.count
      }
    }
    return result
  }

  private func microBatches(_ examples: [TrainingGroup]) -> [Range<Int>] {
    MicroBatches.cut(examples.map(\.tokenCount), tokensMax: settings.microBatchTokens)[0]
  }
}
