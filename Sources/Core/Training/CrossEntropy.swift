/// The cross-entropy of given completions, averaged over all of their tokens, and its exact gradient with respect to
/// the log-probabilities: what supervised training minimises.
///
///     loss = - 1/N sum over the batch's N completion tokens of log pi(token | all that stands before it)
///
/// Prompt tokens have no part in it. It is the policy loss at an advantage of 1 and a ratio of 1, aggregated over
/// tokens; on its own it is one line. Sums are Double, in the order of the tokens.
public struct CrossEntropy: Sendable {
  /// N, over the whole batch of one update.
  public let tokenCount: Int

  public init(tokenCount: Int) {
    precondition(tokenCount > 0, "\(tokenCount) tokens")
    self.tokenCount = tokenCount
  }

  /// One completion's part of the batch's loss, and d loss / d log pi of each of its tokens, `[T]`.
  /// - Parameter logProbabilities: of the completion's tokens, nats, `[T]`.
  public func callAsFunction(_ logProbabilities: [Float]) -> (loss: Double, gradients: [Float]) {
    let share = 1 / Double(tokenCount)
    return (
      loss: -share * logProbabilities.reduce(0.0) { $0 + Double($1) },
      gradients: Array(repeating: Float(-share), count: logProbabilities.count)
    )
  }
}
