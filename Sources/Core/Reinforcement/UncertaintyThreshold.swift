/// The entropy tau that separates uncertain from certain samples. It follows the batches by exponential moving average.
///
/// It is training state: a checkpoint keeps `value`. Source: arXiv 2508.16129; our reading of the start is tau_0 =
/// Hbar_0.
public struct UncertaintyThreshold: Equatable, Sendable {
  /// Memory, 0 ..< 1.
  public var gamma: Float
  /// tau, nats; nil before the first batch.
  public var value: Float?

  /// - Parameters:
  ///   - gamma: memory, 0 ..< 1.
  ///   - value: tau of a checkpoint; nil starts anew.
  public init(gamma: Float, value: Float? = nil) {
    precondition(gamma >= 0 && gamma < 1, "gamma \(gamma) outside 0 ..< 1")
    self.gamma = gamma
    self.value = value
  }

  /// tau_0 = Hbar_0, tau_s = gamma tau_{s-1} + (1 - gamma) Hbar_s.
  /// - Parameter meanEntropy: Hbar_s, the mean over the batch of the samples' mean entropies, nats.
  /// - Returns: tau_s, nats.
  @discardableResult
  public mutating func update(meanEntropy: Float) -> Float {
    let next: Float
    if let previous = value {
      let memory = Double(gamma)
      next = Float(memory * Double(previous) + (1 - memory) * Double(meanEntropy))
    } else {
      next = meanEntropy
    }
    value = next
    return next
  }
}
