import Architecture
import Support

/// Qwen2.5-VL: a tower of windows and rotary positions for images of any size, in front of a Qwen2 decoder whose rotary
/// positions have three parts.
///
/// Source: configuration_qwen2_5_vl.py of `transformers`; the weights of Qwen2.5-VL.
package struct Qwen2_5VL: VisionLanguageFamily {
  package let modelType = "qwen2_5_vl"
  package let architecture = "Qwen2_5_VLForConditionalGeneration"
  package var decoder: any DecoderFamily = Qwen2()
  package let decoders: [any DecoderFamily] = [Qwen2()]
  package let decoderModelType = "qwen2_5_vl_text"
  package let imageMarks = (opening: "<|vision_start|>", closing: "<|vision_end|>")

  package init() {}

  package let names = TensorNames(
    prefixes: [
      ("vision.layers.", "visual.blocks."), ("vision.patch_embedding", "visual.patch_embed.proj"),
      ("projector.norm", "visual.merger.ln_q"), ("projector.linear_1", "visual.merger.mlp.0"),
      ("projector.linear_2", "visual.merger.mlp.2"),
    ],
    parts: [
      (".attention.qkv.", ".attn.qkv."), (".attention.output.", ".attn.proj."), (".mlp.gate.", ".mlp.gate_proj."),
      (".mlp.up.", ".mlp.up_proj."), (".mlp.down.", ".mlp.down_proj."),
    ],
    forms: [("model.visual.", "visual."), ("model.language_model.", "model.")],
    modules: [("visual.", "model.visual."), ("model.", "model.language_model.")])

  /// The section may be missing: the first folders have the decoder's keys next to the vision encoder's.
  package func readDecoder(_ keys: ConfigKeys) throws -> (family: any DecoderFamily, config: ModelConfig) {
    let section = try keys.optional("text_config", [String: JSON].self)
    let inner = try decoderKeys(
      section ?? keys.json.object ?? [:], place: section == nil ? keys.place : "\(keys.place), text_config", in: keys)
    var config = try decoder.config(inner)
    config.block.rotary.sections = try RotaryDescription.sections(inner, headSize: config.headSize)
    return (decoder, config)
  }

  package func readVision(_ vision: ConfigKeys, _ outer: ConfigKeys, decoder width: Int) throws -> VisionConfig {
    try vision.require("out_hidden_size", vision.integer("out_hidden_size", 3584), width)
    let channels = vision.json["in_channels"] == nil ? "in_chans" : "in_channels"
    let layers =
      try vision.optional("fullatt_block_indexes", [JSON].self) ?? [7, 15, 23, 31].map { .integer($0) }
    return try VisionConfig(
      hiddenSize: vision.integer("hidden_size", 3584), feedForwardSize: vision.integer("intermediate_size", 3420),
      layerCount: vision.integer("depth", 32), headCount: vision.integer("num_heads", 16),
      channelCount: vision.integer(channels, 3), patchSize: vision.integer("patch_size", 14),
      temporalPatchSize: vision.integer("temporal_patch_size", 2), patchBias: false, imageSize: nil,
      learnedPositions: false, norm: .rootMeanSquare, normEpsilon: 1e-6,
      activation: vision.activation("hidden_act", .swiglu), fusedQueryKeyValue: true,
      mergeSize: vision.integer("spatial_merge_size", 2), windowSize: vision.integer("window_size", 112),
      fullAttentionLayers: Set(
        layers.map { layer in
          guard let index = layer.int else {
            throw vision.failure("fullatt_block_indexes", expected: "numbers", found: layer.kind)
          }
          return index
        }),
      projectorNorm: .init(kind: .rootMeanSquare, epsilon: 1e-6, isOverFeatures: false), projectorKeepsWidth: true,
      imageToken: outer.imageToken(151_655))
  }

  package func visionMembers(_ vision: VisionConfig, decoder width: Int) -> [String: JSON] {
    [
      "model_type": .string(modelType), "hidden_size": .whole(vision.hiddenSize),
      "intermediate_size": .whole(vision.feedForwardSize),
      "hidden_act": .string(vision.activation.function.rawValue), "depth": .whole(vision.layerCount),
      "num_heads": .whole(vision.headCount), "in_channels": .whole(vision.channelCount),
      "patch_size": .whole(vision.patchSize), "temporal_patch_size": .whole(vision.temporalPatchSize ?? 1),
      "spatial_merge_size": .whole(vision.mergeSize), "window_size": vision.windowSize.map(JSON.whole) ?? .null,
      "fullatt_block_indexes": .array(vision.fullAttentionLayers.sorted().map(JSON.whole)),
      "out_hidden_size": .whole(width),
    ]
  }

  package func outerMembers(_ vision: VisionConfig) -> [String: JSON] { [:] }
}
