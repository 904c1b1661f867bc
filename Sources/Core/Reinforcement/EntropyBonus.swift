/// An entropy bonus on the advantage of each token, for comparison with UADT.
///
/// Source: arXiv 2506.14758. The bonus is a constant to the gradient, and at most |A| / kappa, so that kappa > 1 keeps
/// the advantage's sign and an advantage of 0 stays 0.
public struct EntropyBonus: Shaping {
  /// The weight of a token's entropy.
  public var alpha: Float
  /// The bonus is at most |A| / kappa.
  public var kappa: Float

  public init(_ settings: ShapingSettings) {
    alpha = settings.alpha
    kappa = settings.kappa
  }

  /// A + min(alpha H_t, |A| / kappa)
  /// - Parameter entropy: H_t of the token, nats.
  public func shaped(advantage: Float, entropy: Float) -> Float {
    advantage + min(alpha * entropy, abs(advantage) / kappa)
  }

  public func shaped(advantage: Float, weight: Float, entropies: [Float]) -> [Float] {
    entropies.map { shaped(advantage: advantage, entropy: $0) }
  }

  public var formula: String { "A' = A + min(\(alpha) H_t, |A| / \(kappa)) for each token t; its mean is shown." }
}
