import Glibc

/// The clipped policy loss of one sequence and its exact gradient with respect to the log-probabilities.
///
/// Per token: J = w (min(rho A, clip(rho, 1 - clipLow, 1 + clipHigh) A) - beta k3), loss = - sum of J times the token's
/// share in the aggregation. rho is pi / pi_old of the token, or the length-normalised ratio of the sequence (GSPO);
/// k3 = exp(d) - d - 1 with d = log pi_ref - log pi; w = min(pi_old / pi_b, C), a constant to the gradient, multiplies
/// the whole term. It knows no algorithm: everything comes as an advantage per token and as `LossSettings`.
///
/// Inputs and gradients are Float, all arithmetic is Double, sums run over tokens in ascending order. Logarithms of
/// ratios are held within +-20, where the gradient ends, so that no finite input gives an infinite loss.
/// Source: arXiv 1707.06347 (clipping), 2402.03300 (GRPO, k3), 2507.18071 (GSPO), 2503.14476 (DAPO).
public struct PolicyLoss: Sendable {
  /// What one sequence brings. Every array is `[T]`; log-probabilities are in nats at the sampling temperature.
  public struct Tokens: Sendable {
    /// log pi_theta, of the policy being updated.
    public var logProbabilities: [Float]
    /// log pi_old, of the policy at the start of the step.
    public var oldLogProbabilities: [Float]
    /// log pi_b, of the policy that sampled; needed with `importanceCap`.
    public var behaviourLogProbabilities: [Float]?
    /// log of the truncated mass, the share that truncation keeps: pi_b of the truncated distribution is exp(log pi_b -
    /// this).
    public var logTruncatedMasses: [Float]?
    /// log pi_ref; needed with `klCoefficient` above 0.
    public var referenceLogProbabilities: [Float]?
    /// After shaping.
    public var advantages: [Float]

    /// Gathers the arrays of one sequence, all of one length.
    public init(
      logProbabilities: [Float], oldLogProbabilities: [Float], behaviourLogProbabilities: [Float]? = nil,
      logTruncatedMasses: [Float]? = nil, referenceLogProbabilities: [Float]? = nil, advantages: [Float]
    ) {
      self.logProbabilities = logProbabilities
      self.oldLogProbabilities = oldLogProbabilities
      self.behaviourLogProbabilities = behaviourLogProbabilities
      self.logTruncatedMasses = logTruncatedMasses
      self.referenceLogProbabilities = referenceLogProbabilities
      self.advantages = advantages
    }
  }

  /// What one sequence adds to the batch.
  public struct Result: Sendable {
    /// Its part of the batch's loss: the batch's loss is the sum over its sequences.
    public var loss: Double
    /// d loss / d log pi_theta. `[T]`
    public var gradients: [Float]
    public var statistics: LossStatistics
  }

  /// The settings that every sequence of the batch shares.
  public let settings: LossSettings
  /// Sequences of the batch (of one update).
  public let sequenceCount: Int
  /// Completion tokens of the batch (of one update).
  public let tokenCount: Int

  /// - Parameters:
  ///   - sequenceCount: sequences that one optimizer update averages over.
  ///   - tokenCount: their completion tokens.
  public init(settings: LossSettings, sequenceCount: Int, tokenCount: Int) {
    precondition(sequenceCount > 0 && tokenCount >= 0, "\(sequenceCount) sequences, \(tokenCount) tokens")
    self.settings = settings
    self.sequenceCount = sequenceCount
    self.tokenCount = tokenCount
  }

  /// The share of one token of a sequence of `length` tokens in the batch's loss.
  public func tokenShare(length: Int) -> Double {
    switch settings.aggregation {
    case .sequence: 1 / (Double(sequenceCount) * Double(max(length, 1)))
    case .token: 1 / Double(max(tokenCount, 1))
    case .constant: 1 / (Double(sequenceCount) * Double(settings.constantLength))
    }
  }

  /// Loss, gradient and statistics of one sequence.
  public func callAsFunction(_ tokens: Tokens) -> Result {
    let count = tokens.logProbabilities.count
    precondition(tokens.oldLogProbabilities.count == count && tokens.advantages.count == count, "lengths differ")
    let share = tokenShare(length: count)
    let logRatios = zip(tokens.logProbabilities, tokens.oldLogProbabilities).map { BoundedLog(Double($0) - Double($1)) }
    let sequenceLogRatio = BoundedLog(count == 0 ? 0 : logRatios.reduce(0.0) { $0 + $1.value } / Double(count))
    let lower = 1 - Double(settings.clipLow)
    let upper = 1 + Double(settings.clipHigh)
    var statistics = LossStatistics(tokenCount: count)
    var loss = 0.0
    var gradients = [Double](repeating: 0, count: count)
    // d loss / d log rho of the sequence, spread over its tokens at the end.
    var sequenceGradient = 0.0

    for t in 0..<count {
      let advantage = Double(tokens.advantages[t])
      let logRatio = settings.ratio == .token ? logRatios[t] : sequenceLogRatio
      let ratio = exp(logRatio.value)
      let weight = importanceWeight(tokens, t, &statistics)
      let clippedLow = advantage < 0 && ratio < lower
      let clippedHigh = advantage > 0 && ratio > upper
      statistics.add(ratio: ratio, clippedLow: clippedLow, clippedHigh: clippedHigh)

      let objective = min(ratio * advantage, min(max(ratio, lower), upper) * advantage)
      loss -= share * weight * objective
      if !clippedLow && !clippedHigh {
        let slope = share * weight * ratio * advantage * logRatio.slope
        switch settings.ratio {
        case .token: gradients[t] -= slope
        case .sequence: sequenceGradient -= slope
        }
      }

      if let reference = tokens.referenceLogProbabilities {
        let difference = BoundedLog(Double(reference[t]) - Double(tokens.logProbabilities[t]))
        let k3 = exp(difference.value) - difference.value - 1
        statistics.klSum += k3
        let beta = Double(settings.klCoefficient)
        loss += share * weight * beta * k3
        // d k3 / d log pi = 1 - exp(d)
        gradients[t] += share * weight * beta * (1 - exp(difference.value)) * difference.slope
      }
    }
    if settings.ratio == .sequence, count > 0 {
      for t in 0..<count { gradients[t] += sequenceGradient / Double(count) * logRatios[t].slope }
    }
    return Result(loss: loss, gradients: gradients.map { Float($0) }, statistics: statistics)
  }

  /// min(pi_old / pi_b, C); 1 when the correction is off.
  private func importanceWeight(_ tokens: Tokens, _ t: Int, _ statistics: inout LossStatistics) -> Double {
    guard let cap = settings.importanceCap else { return 1 }
    guard let behaviour = tokens.behaviourLogProbabilities else {
      preconditionFailure("importanceCap needs behaviour log-probabilities")
    }
    let sampled = Double(behaviour[t]) - Double(tokens.logTruncatedMasses?[t] ?? 0)
    let ratio = exp(BoundedLog(Double(tokens.oldLogProbabilities[t]) - sampled).value)
    let weight = min(ratio, Double(cap))
    statistics.importanceWeightSum += weight
    if ratio > Double(cap) { statistics.importanceCappedCount += 1 }
    return weight
  }
}

/// The logarithm of a ratio, held within +-20; `slope` is its derivative, 0 beyond the bounds.
private struct BoundedLog {
  let value: Double
  let slope: Double

  init(_ value: Double) {
    self.value = min(max(value, -20), 20)
    slope = abs(value) <= 20 ? 1 : 0
  }
}

/// Counts and sums over tokens, added up over the sequences of a batch in order.
public struct LossStatistics: Equatable, Sendable {
  public var tokenCount: Int
  /// Tokens without gradient because their ratio fell below 1 - clipLow while the advantage is negative.
  public var clippedLowCount = 0
  /// Tokens without gradient because their ratio rose above 1 + clipHigh while the advantage is positive.
  public var clippedHighCount = 0
  public var ratioSum = 0.0
  public var ratioMax = 0.0
  /// Sum of k3 against the reference, nats; 0 without a reference.
  public var klSum = 0.0
  /// Sum of the truncated importance weights; 0 when the correction is off.
  public var importanceWeightSum = 0.0
  public var importanceCappedCount = 0

  /// Statistics of `tokenCount` tokens, nothing counted yet.
  public init(tokenCount: Int = 0) { self.tokenCount = tokenCount }

  mutating func add(ratio: Double, clippedLow: Bool, clippedHigh: Bool) {
    clippedLowCount += clippedLow ? 1 : 0
    clippedHighCount += clippedHigh ? 1 : 0
    ratioSum += ratio
    ratioMax = max(ratioMax, ratio)
  }

  /// Adds another sequence's statistics.
  public mutating func add(_ other: LossStatistics) {
    tokenCount += other.tokenCount
    clippedLowCount += other.clippedLowCount
    clippedHighCount += other.clippedHighCount
    ratioSum += other.ratioSum
    ratioMax = max(ratioMax, other.ratioMax)
    klSum += other.klSum
    importanceWeightSum += other.importanceWeightSum
    importanceCappedCount += other.importanceCappedCount
  }

  /// A count or sum per token; 0 without tokens.
  public func perToken(_ sum: Double) -> Double { tokenCount == 0 ? 0 : sum / Double(tokenCount) }
  public var clippedLowShare: Double { perToken(Double(clippedLowCount)) }
  public var clippedHighShare: Double { perToken(Double(clippedHighCount)) }
  public var ratioMean: Double { perToken(ratioSum) }
  /// Mean of k3, nats.
  public var klMean: Double { perToken(klSum) }
  public var importanceWeightMean: Double { perToken(importanceWeightSum) }
}
