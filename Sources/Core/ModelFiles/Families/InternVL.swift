import Architecture
import Support

/// InternVL3, as `transformers` has it: a tower with scaled blocks whose patches are merged, in front of a Llama or
/// Qwen2 decoder.
///
/// Source: configuration_internvl.py of `transformers`; the weights of InternVL3-hf.
package struct InternVL: VisionLanguageFamily {
  package let modelType = "internvl"
  package let architecture = "InternVLForConditionalGeneration"
  package var decoder: any DecoderFamily = Llama()
  package let decoders: [any DecoderFamily] = [Llama(), Qwen2()]
  package let isTiedByDefault = true
  package let imageMarks = (opening: "<img>", closing: "</img>")

  package init() {}

  package let names = TensorNames(
    prefixes: [
      ("vision.layers.", "vision_tower.encoder.layer."),
      ("vision.patch_embedding", "vision_tower.embeddings.patch_embeddings.projection"),
      ("vision.class_embedding", "vision_tower.embeddings.cls_token"),
      ("vision.position_embedding", "vision_tower.embeddings.position_embeddings"),
      ("vision.final_norm", "vision_tower.layernorm"), ("projector.norm", "multi_modal_projector.layer_norm"),
      ("projector.", "multi_modal_projector."), ("model.", "language_model.model."),
      ("lm_head.", "language_model.lm_head."),
    ],
    parts: [
      (".norm1.", ".layernorm_before."), (".norm2.", ".layernorm_after."), (".attention.q.", ".attention.q_proj."),
      (".attention.k.", ".attention.k_proj."), (".attention.v.", ".attention.v_proj."),
      (".attention.output.", ".attention.projection_layer."), (".scale1", ".lambda_1"), (".scale2", ".lambda_2"),
    ],
    forms: [("model.vision_tower.", "vision_tower.")] + TensorNames.nestedDecoderForms,
    modules: TensorNames.nestedDecoderModules)

  package func readVision(_ vision: ConfigKeys, _ outer: ConfigKeys, decoder width: Int) throws -> VisionConfig {
    try vision.require("use_mask_token", vision.flag("use_mask_token", false), false)
    let positions = "use_absolute_position_embeddings"
    try vision.require(positions, vision.flag(positions, true), true)
    try outer.require("vision_feature_layer", outer.integer("vision_feature_layer", -1), -1)
    let strategy = "vision_feature_select_strategy"
    try outer.require(strategy, outer.word(strategy, "default"), "default")
    let name = try vision.word("norm_type", NormKind.layer.rawValue)
    guard let norm = NormKind(rawValue: name) else {
      throw vision.failure(
        "norm_type", expected: NormKind.allCases.map(\.rawValue).alternatives, found: name)
    }
    let ratio = try outer.number("downsample_ratio", 0.5)
    guard ratio > 0.01, ratio <= 1, 1 / ratio == (1 / ratio).rounded() else {
      throw outer.failure("downsample_ratio", expected: "1 divided by a whole number", found: "\(ratio)")
    }
    return try VisionConfig(
      hiddenSize: vision.integer("hidden_size", 1024), feedForwardSize: vision.integer("intermediate_size", 4096),
      layerCount: vision.integer("num_hidden_layers", 24), headCount: vision.integer("num_attention_heads", 16),
      channelCount: vision.integer("num_channels", 3), patchSize: vision.side("patch_size", 14),
      imageSize: vision.pair("image_size", 448), classToken: true, batchedEmbeddings: true, norm: norm,
      normEpsilon: vision.number("layer_norm_eps", 1e-6), activation: vision.activation("hidden_act", .gelu),
      queryKeyValueBias: vision.flag("attention_bias", false), queryKeyNorm: vision.flag("use_qk_norm", false),
      layerScale: true, finalNorm: !vision.flag("use_mean_pooling", true), mergeSize: Int(1 / ratio),
      projectorNorm: .init(kind: .layer, epsilon: 1e-5, isOverFeatures: true),
      projectorActivation: outer.activation("projector_hidden_act", .gelu), imageToken: outer.imageToken(151_667))
  }

  package func visionMembers(_ vision: VisionConfig, decoder width: Int) -> [String: JSON] {
    var members = towerMembers(vision, modelType: "internvl_vision", sides: \.member)
    members["norm_type"] = .string(vision.norm.rawValue)
    members["attention_bias"] = .bool(vision.queryKeyValueBias)
    members["use_qk_norm"] = .bool(vision.queryKeyNorm)
    members["use_mean_pooling"] = .bool(!vision.finalNorm)
    members["use_absolute_position_embeddings"] = .bool(true)
    members["use_mask_token"] = .bool(false)
    return members
  }

  package func outerMembers(_ vision: VisionConfig) -> [String: JSON] {
    [
      "projector_hidden_act": .string(vision.projectorActivation.function.rawValue),
      "vision_feature_select_strategy": .string("default"),
      "vision_feature_layer": .whole(vision.usedLayerCount - vision.layerCount - 1),
      "downsample_ratio": .number(1 / Double(vision.mergeSize)),
    ]
  }
}
