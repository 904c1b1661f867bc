import Support

/// The sizes that a vision encoder from outside may have; `ModelConfig+Limits` says why there are bounds.
extension VisionConfig {
  /// The configuration itself, when every size is possible, as `ModelConfig.checked` gives it.
  ///
  /// - Parameters:
  ///   - width: C of the decoder.
  ///   - place: names the file and its section in an error.
  /// - Throws: `InputError` that names the key (config.json's word).
  package func checked(decoder width: Int, at place: String) throws -> VisionConfig {
    func require(_ condition: Bool, _ key: String, _ expected: String, _ found: some Any) throws {
      guard condition else {
        throw InputError("read model configuration", at: "\(place), key \(key)", expected: expected, found: "\(found)")
      }
    }
    for (key, value, largest) in [
      ("hidden_size", hiddenSize, 1 << 15), ("intermediate_size", feedForwardSize, 1 << 17),
      ("num_hidden_layers", layerCount, 1 << 10), ("num_attention_heads", headCount, 1 << 10),
      ("num_channels", channelCount, 16), ("patch_size", patchSize, 256),
      ("temporal_patch_size", temporalPatchSize ?? 1, 16), ("spatial_merge_size", mergeSize, 16),
      ("image_size", imageSize?.height ?? 1, 1 << 13), ("image_size", imageSize?.width ?? 1, 1 << 13),
      ("window_size", windowSize ?? 1, 1 << 13),
    ] {
      try require((1...largest).contains(value), key, "1 to \(largest)", value)
    }
    let unit = learnedPositions ? 2 : 4
    try require(
      hiddenSize % headCount == 0 && headSize % unit == 0, "num_attention_heads",
      "a divisor of hidden_size, \(hiddenSize), that leaves each head a multiple of \(unit)", headCount)
    for (key, value) in [
      ("intermediate_size", feedForwardSize), ("hidden_size", hiddenSize),
      ("patch_size", patchInputCount), ("text_config.hidden_size", width),
    ] {
      try require(value % 2 == 0, key, "an even number of inputs to a product", value)
    }
    if let imageSize {
      for side in [imageSize.height, imageSize.width] {
        try require(
          side % featurePixels == 0, "image_size", "a multiple of \(featurePixels), the pixels of a feature", side)
      }
    }
    if let windowSize {
      try require(
        windowSize >= featurePixels, "window_size", "at least the \(featurePixels) pixels of a feature", windowSize)
    }
    for (key, activation) in [("hidden_act", activation), ("projector_hidden_act", projectorActivation)] {
      try require(
        activation.isComputed, key, "silu with a gate, or a form of gelu without",
        "\(activation.function.rawValue) \(activation.isGated ? "with" : "without") a gate")
    }
    try require(normEpsilon > 0 && normEpsilon < 1, "layer_norm_eps", "a number between 0 and 1", normEpsilon)
    return self
  }
}
