import Glibc

/// Uncertainty-Aware Dynamic Thinking: reinforces right answers more where the policy was uncertain, and punishes wrong
/// ones less there; the other way round where it was certain.
///
/// Source: arXiv 2508.16129. The sign table and the sensitivity are our reading of its method figure.
/// Invariants: |factor| <= 1; shaping never flips a sign; lambda = 0 returns the advantage bit for bit.
public enum UADT {
  /// omega = tanh((H - tau) / max(tau, 1e-6) sensitivity): above 0 for an uncertain sample, below for a certain one.
  /// - Parameters:
  ///   - entropy: H of the sample, nats.
  ///   - threshold: tau, nats.
  public static func factor(entropy: Float, threshold: Float, sensitivity: Float) -> Float {
    let tau = Double(threshold)
    return Float(tanh((Double(entropy) - tau) / max(tau, 1e-6) * Double(sensitivity)))
  }

  /// A (1 + lambda omega) for A >= 0, A (1 - lambda omega) for A < 0.
  public static func shaped(advantage: Float, factor: Float, lambda: Float) -> Float {
    advantage >= 0 ? advantage * (1 + lambda * factor) : advantage * (1 - lambda * factor)
  }
}
