import Support

/// Confidence intervals by the percentile bootstrap: a statistic of as many prompts, resampled with replacement, many
/// times over.
///
/// The resampling is counter-based: replicate r of n prompts takes the same ones whenever it is asked, so that an
/// interval is a pure function of answers and seed, and two models are compared on the same prompts.
/// Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
public struct Bootstrap: Sendable {
  public let seed: UInt64
  public let replicateCount: Int
  /// The share of replicates that the interval holds.
  public let level: Double

  public init(seed: UInt64, replicateCount: Int = 1000, level: Double = 0.95) {
    precondition(replicateCount > 0 && level > 0 && level < 1, "\(replicateCount) replicates at level \(level)")
    self.seed = seed
    self.replicateCount = replicateCount
    self.level = level
  }

  /// The interval of a statistic over `count` prompts.
  /// - Parameter statistic: of the prompts at some indices, each as often as it was resampled; nil where it is not
  ///   defined.
  /// - Returns: nil where it is never defined.
  public func interval(count: Int, of statistic: ([Int]) -> Double?) -> ClosedRange<Double>? {
    guard count > 0 else { return nil }
    var indices = [Int](repeating: 0, count: count)
    var values: [Double] = []
    for replicate in 0..<replicateCount {
      var random = RandomStream(seed: seed, purpose: .bootstrap, UInt32(count), UInt32(replicate))
      for i in indices.indices { indices[i] = Int(random.integer(below: UInt64(count))) }
      if let value = statistic(indices) { values.append(value) }
    }
    guard !values.isEmpty else { return nil }
    values.sort()
    let tail = (1 - level) / 2
    return quantile(tail, of: values)...quantile(1 - tail, of: values)
  }
}
