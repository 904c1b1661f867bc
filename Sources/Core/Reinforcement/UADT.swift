import Glibc

/// Uncertainty-Aware Dynamic Thinking: reinforces right answers more where the policy was uncertain, and punishes wrong
/// ones less there; the other way round where it was certain.
///
/// Source: arXiv 2508.16129. The sign table and the sensitivity are our reading of its method figure.
/// Invariants: |omega| <= 1; shaping never flips a sign; lambda = 0 returns the advantage bit for bit.
public struct UADT: Shaping {
  /// The strength of shaping, 0...1.
  public var lambda: Float
  /// The slope of the weight in the relative distance from the threshold.
  public var sensitivity: Float
  private var level: ShapingSettings.Level

  public init(_ settings: ShapingSettings) {
    lambda = settings.lambda
    sensitivity = settings.sensitivity
    level = settings.level
  }

  /// omega = tanh((H - tau) / max(tau, 1e-6) sensitivity): above 0 for an uncertain sample, below for a certain one.
  public func weight(uncertainty: Float, threshold: Float) -> Float {
    let tau = Double(threshold)
    return Float(tanh((Double(uncertainty) - tau) / max(tau, 1e-6) * Double(sensitivity)))
  }

  /// A (1 + lambda omega) for A >= 0, A (1 - lambda omega) for A < 0.
  public func shaped(advantage: Float, weight: Float) -> Float {
    advantage >= 0 ? advantage * (1 + lambda * weight) : advantage * (1 - lambda * weight)
  }

  public func shaped(advantage: Float, weight: Float, entropies: [Float]) -> [Float] {
    [Float](repeating: shaped(advantage: advantage, weight: weight), count: entropies.count)
  }

  public var formula: String {
    let slope = sensitivity == 1 ? "" : " x \(sensitivity)"
    let entropy = level == .group ? "group's mean H" : "H"
    let size = "\(lambda) omega"
    return "omega = tanh((\(entropy) - tau) / tau\(slope)).  A' = A (1 + \(size)) if A > 0, A (1 - \(size)) if A < 0."
  }

  public func effect(on quadrant: Quadrant, weight: Float) -> String? {
    if weight == 0 || lambda == 0 { return nil }
    return switch quadrant {
    case .uncertainPositive: "reinforced more"
    case .uncertainNegative: "punished less"
    case .certainPositive: "reinforced less"
    case .certainNegative: "punished more"
    }
  }

  /// The bins of the histogram of omega over -1...1.
  private static let binCount = 10

  /// Mean, deviation and histogram of omega.
  public func metrics(weights: [Double]) -> [String: Double] {
    let count = Double(max(1, weights.count))
    let mean = weights.reduce(0, +) / count
    var values = ["omega": mean]
    values["omega_std"] = (weights.reduce(0.0) { $0 + ($1 - mean) * ($1 - mean) } / count).squareRoot()
    var histogram = [Int](repeating: 0, count: Self.binCount)
    for weight in weights where weight.isFinite {
      histogram[min(Self.binCount - 1, max(0, Int((weight + 1) / 2 * Double(Self.binCount))))] += 1
    }
    for (bin, members) in histogram.enumerated() { values["omega_bin_\(bin)"] = Double(members) / count }
    return values
  }
}
