/// The arithmetic of a model's products.
public enum Precision: String, Equatable, Sendable, CaseIterable {
  /// bf16 weights and inputs, fp32 sums: the exact fast path of rollouts and training.
  case bfloat16
  /// fp32 throughout, for comparing with other implementations.
  case float32
}

/// The arithmetic of rollouts.
public enum RolloutPrecision: String, Equatable, Sendable, CaseIterable {
  /// The learner's own, so that both give the same log-probabilities to the bit.
  case exact
  /// 8-bit integers in the products of the decoder: faster, and inexact, which importance weights correct.
  case int8
}
