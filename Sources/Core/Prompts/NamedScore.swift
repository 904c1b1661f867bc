/// One named score of a completion.
///
/// A failure is not a zero: a completion that could not be scored has no value, and `cause` says why. Invariant:
/// exactly one of the two is there, and a value is finite.
public struct NamedScore: Equatable, Sendable {
  /// As settings, metrics and samples call it: "accuracy".
  public let name: String
  /// nil when the completion could not be scored.
  public let value: Float?
  /// Why there is no value, for people; empty when there is one.
  public let cause: String

  /// A score. A value that is not finite is a failure.
  public init(_ name: String, _ value: Float) {
    self.name = name
    self.value = value.isFinite ? value : nil
    cause = value.isFinite ? "" : "the score is \(value)"
  }

  /// The completion could not be scored.
  /// - Parameter cause: why; not empty.
  public init(_ name: String, failed cause: String) {
    precondition(!cause.isEmpty, "a score \(name) that failed for no reason")
    self.name = name
    value = nil
    self.cause = cause
  }
}

extension RewardSpecification {
  /// The reward of a completion: the sum of weight x score over the scores that are numbers, in the order of `scores`.
  ///
  /// A score without a value adds nothing, and one without a weight is measured only.
  public func reward(of scores: [NamedScore]) -> Float {
    scores.reduce(0) { sum, score in
      guard let value = score.value, let weight = weights[score.name] else { return sum }
      return sum + weight * value
    }
  }
}
