import Support

/// The sizes that a configuration from outside may have.
///
/// The bounds stand far above any published model and far below what overflows: the largest product of sizes that is
/// computed anywhere stays under 2^60. So after `checked` sizes may be multiplied freely.
extension ModelConfig {
  /// The configuration itself, when every size is possible and the decoder computes what the layers are described to
  /// compute.
  ///
  /// - Parameter place: names the file in an error.
  /// - Throws: `InputError` that names the key (config.json's word).
  package func checked(at place: String) throws -> ModelConfig {
    func require(_ condition: Bool, _ key: String, _ expected: String, _ found: some Any) throws {
      guard condition else {
        throw InputError("read model configuration", at: "\(place), key \(key)", expected: expected, found: "\(found)")
      }
    }
    for (key, value, largest) in [
      ("vocab_size", vocabularySize, 1 << 22), ("hidden_size", hiddenSize, 1 << 17),
      ("intermediate_size", feedForwardSize, 1 << 20), ("num_hidden_layers", layerCount, 1 << 10),
      ("num_attention_heads", headCount, 1 << 10), ("num_key_value_heads", keyValueHeadCount, 1 << 10),
      ("head_dim", headSize, 1 << 10), ("max_position_embeddings", maxPositions, 1 << 30),
    ] {
      try require((1...largest).contains(value), key, "1 to \(largest)", value)
    }
    try require(
      headCount % keyValueHeadCount == 0, "num_key_value_heads", "a divisor of the \(headCount) attention heads",
      keyValueHeadCount)
    try require(headSize % 2 == 0, "head_dim", "an even number, for rotary pairs", headSize)
    let (epsilon, rotary) = (block.norm.epsilon, block.rotary)
    try require(epsilon > 0 && epsilon < 1, "rms_norm_eps", "a number between 0 and 1", epsilon)
    try require(rotary.theta >= 1 && rotary.theta < 1e12, "rope_theta", "1 to 1e12", rotary.theta)
    if let scaling = rotary.scaling {
      let (factor, low, high) = (scaling.factor, scaling.lowFrequencyFactor, scaling.highFrequencyFactor)
      try require(factor >= 1 && factor < 1e6, "rope_scaling.factor", "1 to 1e6", factor)
      try require(low > 0 && low < 1e6, "rope_scaling.low_freq_factor", "above 0, up to 1e6", low)
      try require(high > low && high < 1e6, "rope_scaling.high_freq_factor", "above low_freq_factor, up to 1e6", high)
      try require(
        (1...1 << 30).contains(scaling.originalMaxPositions), "rope_scaling.original_max_position_embeddings",
        "1 to \(1 << 30)", scaling.originalMaxPositions)
    }
    if let unsupported = block.unsupported {
      try require(false, unsupported.key, unsupported.expected, unsupported.found)
    }
    return self
  }
}
