/// One group of a batch, with everything that its advantages came from, so that a person can follow them by hand.
///
/// It computes nothing of the algorithm: it takes the batch's own `BatchAdvantages` apart.
public struct GroupExplanation: Equatable, Sendable {
  /// One completion.
  public struct Sample: Equatable, Sendable {
    /// H_{i,t} of each token, nats. `[T]`
    public var entropies: [Float]
    /// H_i, nats.
    public var meanEntropy: Float
    /// The shaping weight omega; 0 when the shaping has none.
    public var weight: Float
    /// nil for an advantage of 0.
    public var quadrant: Quadrant?
    public var reward: Float
    /// A_i, before shaping.
    public var advantage: Float
    /// What the loss gets of each token. `[T]`
    public var shaped: [Float]

    /// The mean of what the loss gets; UADT gives every token the same.
    public var shapedMean: Float { mean(shaped) }
  }

  public var samples: [Sample]
  /// tau after the previous batch, nats; nil when there was none.
  public var thresholdBefore: Float?
  /// tau, nats.
  public var threshold: Float
  /// Hbar of the batch, nats.
  public var batchMeanEntropy: Float
  public var batchGroupCount: Int
  public var batchSampleCount: Int

  /// - Parameters:
  ///   - group: which one of the batch.
  ///   - rewards: of the batch. `[prompt][sample]`
  ///   - entropies: of the batch, nats. `[prompt][sample][T]`
  ///   - batch: the advantages that they gave.
  ///   - thresholdBefore: tau before the batch.
  public init(
    group: Int, rewards: [[Float]], entropies: [[[Float]]], batch: BatchAdvantages, thresholdBefore: Float?
  ) {
    samples = rewards[group].indices.map { sample in
      Sample(
        entropies: entropies[group][sample], meanEntropy: meanEntropy(entropies[group][sample]),
        weight: batch.weights[group][sample],
        quadrant: batch.quadrant(group, sample), reward: rewards[group][sample],
        advantage: batch.samples[group][sample], shaped: batch.tokens[group][sample])
    }
    self.thresholdBefore = thresholdBefore
    threshold = batch.threshold
    batchMeanEntropy = batch.meanEntropy
    batchGroupCount = rewards.count
    batchSampleCount = rewards.reduce(0) { $0 + $1.count }
  }
}
