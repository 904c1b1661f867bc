/// Cohen's kappa with quadratic weights: how far two graders agree beyond chance, where grades far apart count more.
///
///     kappa = 1 - sum w[i][j] O[i][j] / sum w[i][j] E[i][j],  w = (i - j)^2
///
/// O counts the pairs, E what the margins alone would give. An answer that is no grade counts as the grade farthest
/// from the right one, so that silence is never better than a wrong guess.
/// Source: Cohen, "Weighted kappa", 1968; the formula of scikit-learn's cohen_kappa_score.
public enum QuadraticKappa {
  /// A right grade and the one given, below `count` each.
  public struct Pair: Equatable, Sendable {
    public var right: Int
    public var given: Int

    /// - Parameter given: nil for an answer that is no grade.
    public init(right: Int, given: Int?, count: Int) {
      self.right = right
      self.given = given ?? (2 * right >= count ? 0 : count - 1)
    }
  }

  /// - Returns: nil where it is not defined: all pairs are of one and the same grade, or there are none.
  public static func value(_ pairs: some Collection<Pair>) -> Double? {
    let total = Double(pairs.count)
    // Quadratic weights need only moments: sum over E of (i - j)^2 follows from the margins' first two.
    var (observed, given, right, squares) = (0.0, 0.0, 0.0, 0.0)
    for pair in pairs {
      let (a, b) = (Double(pair.right), Double(pair.given))
      observed += (a - b) * (a - b)
      right += a
      given += b
      squares += a * a + b * b
    }
    let expected = squares - 2 * right * given / total
    return total > 0 && expected > 0 ? 1 - observed / expected : nil
  }
}
