/// How a norm scales its input.
public enum NormKind: String, Equatable, Sendable, CaseIterable {
  /// LayerNorm, with a bias.
  case layer = "layer_norm"
  /// RMSNorm.
  case rootMeanSquare = "rms_norm"
}
