import Architecture
import Prompts
import Reinforcement
import Settings
import Support
import Tensor
import Training
import Wire

/// One training step, as ALGORITHM.md defines it: from the complete groups of a batch to new weights.
///
///     scores of the policy at the start of the step (pi_old)
///     -> entropy of each sample, threshold tau, factor omega
///     -> advantage of each sample in its group, shaped, one for each token
///     -> for each update: loss and its gradient, clipped by global norm, AdamW
///
/// It knows no algorithm by name: settings are data, and what reaches the loss is an advantage per token.
///
/// Invariants: equal batches, weights, moments and threshold give equal bits, whatever the number of threads; the
/// forward pass runs once when the whole batch is one micro-batch and one update.
public struct TrainingStep {
  private let config: ModelConfig
  private let algorithm: RunSettings.Algorithm
  private let settings: RunSettings.OptimizerSettings
  private let schedule: Schedule
  private let temperature: Float
  /// The weights, moments and count are training state.
  public let policy: any PolicyTrainer
  private let reference: (any PolicyScorer)?
  private let pixels: PixelReader
  /// tau; training state.
  public var threshold: UncertaintyThreshold

  /// - Parameters:
  ///   - config: of the policy; a batch is checked against it.
  ///   - policy: trained in place.
  ///   - reference: frozen; needed when the KL coefficient is above 0, otherwise ignored.
  ///   - pixels: reads the images of prompts; without it there may be none.
  public init(
    settings: RunSettings, config: ModelConfig, policy: any PolicyTrainer, reference: (any PolicyScorer)?,
    pixels: @escaping PixelReader = TrainingStep.noPixels
  ) {
    precondition(
      settings.algorithm.loss.klCoefficient == 0 || reference != nil, "the KL term needs a reference policy")
    self.config = config
    algorithm = settings.algorithm
    self.settings = settings.optimizer
    schedule = settings.schedule
    temperature = settings.rollout.sampling.scoringTemperature
    self.policy = policy
    self.reference = settings.algorithm.loss.klCoefficient > 0 ? reference : nil
    self.pixels = pixels
    threshold = UncertaintyThreshold(gamma: settings.algorithm.shaping.gamma)
  }

  /// Refuses images.
  public static func noPixels(of images: [PromptImage], place: String) throws -> [ImageTensor] {
    guard images.isEmpty else {
      throw InputError("train on a batch", at: place, expected: "no images", found: "\(images.count)")
    }
    return []
  }

  /// Trains on a batch: afterwards the weights, moments and threshold are those of the next step.
  ///
  /// - Parameters:
  ///   - version: the policy's before this step.
  ///   - seconds: a monotonic clock, for the metrics alone.
  ///   - progress: called with what is being done, for people.
  ///   - weightsWillChange: called before each update.
  /// - Returns: named measurements; docs/METRICS.md lists them.
  /// - Throws: `InputError` for a batch that makes no sense; nothing has changed then.
  public mutating func run(
    _ batch: TrainBatch, version: PolicyVersion, seconds: @escaping () -> Double = { 0 },
    progress: (String) -> Void = { _ in }, weightsWillChange: () -> Void = {}
  ) throws -> [String: Double] {
    let trainingGroups = try batch.trainingGroups(config: config, version: version, pixels: pixels)
    let groups = batch.groups
    let parts = MicroBatches.cut(
      groups.map(\.tokenCount), updateCount: algorithm.updatesPerStep, tokensMax: settings.microBatchTokens)
    let learningRate = schedule.learningRate(at: Int(batch.step))
    var metrics = StepMetrics(learningRate: learningRate)
    var clock = StepClock(seconds: seconds)

    // With several micro-batches, tau needs the scores of all of them before the first coefficient. With one, its only
    // forward pass gives them.
    let microBatches = parts.flatMap { $0 }
    var plan: StepPlan?
    if microBatches.count > 1 {
      var scores: [[SequenceScores]] = []
      for (index, microBatch) in microBatches.enumerated() {
        progress("scoring \(index + 1)/\(microBatches.count)")
        scores += policy.score(Array(trainingGroups[microBatch]), temperature: temperature)
      }
      plan = StepPlan(groups, scores: scores, threshold: &threshold, algorithm: algorithm)
      clock.ends(.forward)
    }

    for (index, part) in parts.enumerated() {
      let members = groups[part[0].lowerBound..<part[part.count - 1].upperBound]
      let loss = PolicyLoss(
        settings: algorithm.loss, sequenceCount: members.reduce(0) { $0 + $1.rollouts.count },
        tokenCount: members.reduce(0) { $0 + $1.completionTokenCount })
      policy.clearGradients()
      for (number, microBatch) in part.enumerated() {
        let trainingGroups = Array(trainingGroups[microBatch])
        let referenceScores = reference?.score(trainingGroups, temperature: temperature)
        progress("update \(index + 1)/\(parts.count), micro-batch \(number + 1)/\(part.count)")
        let policy = policy
        policy.accumulateGradients(trainingGroups, temperature: temperature) { scores in
          let current =
            plan ?? StepPlan(groups, scores: scores, threshold: &threshold, algorithm: algorithm)
          plan = current
          clock.ends(.forward)
          return coefficients(
            loss, groups, microBatch, scores: scores, reference: referenceScores, plan: current, metrics: &metrics)
        }
        clock.ends(.backward)
      }
      weightsWillChange()
      metrics.add(update: policy.update(learningRate: learningRate))
      clock.ends(.optimizer)
    }
    guard let plan else { preconditionFailure("a batch of \(groups.count) groups was never scored") }
    metrics.describe(groups, plan: plan, shaping: algorithm.shaping, version: version)
    return metrics.values(updateCount: parts.count, loss: algorithm.loss, clock: clock)
  }

  /// Step 8: d loss / d log pi of each completion token of a micro-batch. `[prompt][sample][T]`
  private func coefficients(
    _ loss: PolicyLoss, _ groups: [RolloutGroup], _ microBatch: Range<Int>, scores: [[SequenceScores]],
    reference: [[SequenceScores]]?, plan: StepPlan, metrics: inout StepMetrics
  ) -> [[[Float]]] {
    zip(microBatch, scores.indices).map { prompt, local in
      groups[prompt].rollouts.indices.map { sample in
        let rollout = groups[prompt].rollouts[sample]
        let result = loss(
          PolicyLoss.Tokens(
            logProbabilities: scores[local][sample].logProbabilities,
            oldLogProbabilities: plan.oldScores[prompt][sample].logProbabilities,
            behaviourLogProbabilities: rollout.behaviourLogProbabilities,
            logTruncatedMasses: rollout.logTruncatedMasses,
            referenceLogProbabilities: reference?[local][sample].logProbabilities,
            advantages: plan.advantages.tokens[prompt][sample]))
        metrics.add(sequence: result)
        return result.gradients
      }
    }
  }
}

/// Where the seconds of a step go.
struct StepClock {
  enum Phase: CaseIterable { case forward, backward, optimizer }
  private let seconds: () -> Double
  private var last: Double
  private(set) var spent: [Phase: Double] = [:]

  init(seconds: @escaping () -> Double) {
    self.seconds = seconds
    last = seconds()
  }

  /// What happened since the last call belongs to a phase.
  mutating func ends(_ phase: Phase) {
    let now = seconds()
    spent[phase, default: 0] += now - last
    last = now
  }

  var total: Double { spent.values.reduce(0, +) }
}
