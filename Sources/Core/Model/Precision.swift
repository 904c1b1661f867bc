/// The arithmetic of a model's products.
public enum Precision: String, Equatable, Sendable, CaseIterable {
  /// bf16 weights and inputs, fp32 sums: the exact fast path of rollouts and training.
  case bfloat16
  /// fp32 throughout, for comparing with other implementations.
  case float32
}
