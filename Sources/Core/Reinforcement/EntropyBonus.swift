/// An entropy bonus on the advantage of each token, for comparison with UADT.
///
/// Source: arXiv 2506.14758. The bonus is a constant to the gradient, and at most |A| / kappa, so that kappa > 1 keeps the
/// advantage's sign and an advantage of 0 stays 0.
public enum EntropyBonus {
  /// A + min(alpha H_t, |A| / kappa)
  /// - Parameter entropy: H_t of the token, nats.
  public static func shaped(advantage: Float, entropy: Float, alpha: Float, kappa: Float) -> Float {
    advantage + min(alpha * entropy, abs(advantage) / kappa)
  }
}
