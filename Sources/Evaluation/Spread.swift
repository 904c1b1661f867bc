import Glibc

/// The spread of repeated measurements: their mean, standard deviation, and the interval of the true mean.
///
/// The interval is Student's, two-sided, over independent measurements of about normal errors: mean +- t s / sqrt(n), t
/// the quantile of n - 1 degrees of freedom. With one measurement there is a mean and nothing else.
public struct Spread: Equatable, Sendable {
  public static let level = 0.95

  /// n
  public let count: Int
  public let mean: Double
  /// s, with n - 1 in the denominator; nil for n = 1.
  public let deviation: Double?
  /// nil for n = 1.
  public let interval: ClosedRange<Double>?

  /// - Returns: nil for no values, and where one is no number.
  public init?(_ values: [Double]) {
    guard !values.isEmpty, values.allSatisfy(\.isFinite) else { return nil }
    let mean = values.reduce(0, +) / Double(values.count)
    self.mean = mean
    count = values.count
    guard count > 1 else {
      (deviation, interval) = (nil, nil)
      return
    }
    let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    let deviation = (squares / Double(count - 1)).squareRoot()
    let half = StudentT.quantile(level: Self.level, degrees: count - 1) * deviation / Double(count).squareRoot()
    self.deviation = deviation
    interval = mean - half...mean + half
  }
}

/// Student's t distribution of a whole number of degrees of freedom, whose probabilities are finite sums.
///
/// Source: Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.7.3 and 26.7.4.
public enum StudentT {
  /// P(|T| <= sqrt(degrees) tan(angle)).
  /// - Parameters:
  ///   - angle: 0 ... pi / 2.
  ///   - degrees: of freedom, at least 1.
  static func probability(angle: Double, degrees: Int) -> Double {
    let isOdd = degrees % 2 == 1
    var term = isOdd ? cos(angle) : 1
    var sum = degrees == 1 ? 0 : term
    for k in stride(from: isOdd ? 3 : 2, through: degrees - 2, by: 2) {
      term *= Double(k - 1) / Double(k) * cos(angle) * cos(angle)
      sum += term
    }
    return isOdd ? 2 / .pi * (angle + sin(angle) * sum) : sin(angle) * sum
  }

  /// The t that |T| stays below with probability `level`.
  /// - Parameters:
  ///   - level: more than 0 and less than 1.
  ///   - degrees: of freedom, at least 1.
  public static func quantile(level: Double, degrees: Int) -> Double {
    precondition(level > 0 && level < 1 && degrees >= 1, "t at level \(level) with \(degrees) degrees of freedom")
    var (low, high) = (0.0, Double.pi / 2)
    while case let middle = (low + high) / 2, low < middle, middle < high {
      if probability(angle: middle, degrees: degrees) < level { low = middle } else { high = middle }
    }
    return Double(degrees).squareRoot() * tan(low)
  }
}
