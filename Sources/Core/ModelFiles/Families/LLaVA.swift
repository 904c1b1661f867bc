import Architecture
import Support

/// LLaVA 1.5: a CLIP or SigLIP tower and a projector of two layers in front of a Llama or Qwen2 decoder.
///
/// CLIP's tower has a class token, whose feature is left out, and a norm before its layers; SigLIP's has neither.
///
/// Source: configuration_llava.py, configuration_clip.py and configuration_siglip.py of `transformers`; the weights of
/// llava-hf.
package struct LLaVA: VisionLanguageFamily {
  package let modelType = "llava"
  package let architecture = "LlavaForConditionalGeneration"
  package var decoder: any DecoderFamily = Llama()
  package let decoders: [any DecoderFamily] = [Llama(), Qwen2()]

  private static let (clip, siglip) = ("clip_vision_model", "siglip_vision_model")

  package init() {}

  package let names = TensorNames(
    prefixes: [
      ("vision.layers.", "vision_tower.vision_model.encoder.layers."),
      ("vision.patch_embedding", "vision_tower.vision_model.embeddings.patch_embedding"),
      ("vision.class_embedding", "vision_tower.vision_model.embeddings.class_embedding"),
      ("vision.position_embedding", "vision_tower.vision_model.embeddings.position_embedding.weight"),
      ("vision.embedding_norm", "vision_tower.vision_model.pre_layrnorm"),
      ("vision.final_norm", "vision_tower.vision_model.post_layernorm"),
      ("projector.", "multi_modal_projector."), ("model.", "language_model.model."),
      ("lm_head.", "language_model.lm_head."),
    ],
    parts: [
      (".norm1.", ".layer_norm1."), (".norm2.", ".layer_norm2."), (".attention.q.", ".self_attn.q_proj."),
      (".attention.k.", ".self_attn.k_proj."), (".attention.v.", ".self_attn.v_proj."),
      (".attention.output.", ".self_attn.out_proj."),
    ],
    forms: [
      ("model.vision_tower.vision_model.", "vision_tower.vision_model."),
      ("model.vision_tower.", "vision_tower.vision_model."),
      ("vision_tower.vision_model.", "vision_tower.vision_model."), ("vision_tower.", "vision_tower.vision_model."),
    ] + TensorNames.nestedDecoderForms,
    modules: [("vision_tower.vision_model.", "model.vision_tower.")] + TensorNames.nestedDecoderModules)

  package func readVision(_ vision: ConfigKeys, _ outer: ConfigKeys, decoder width: Int) throws -> VisionConfig {
    let type = try vision.word("model_type", Self.clip)
    guard type == Self.clip || type == Self.siglip else {
      throw vision.failure("model_type", expected: "\(Self.clip) or \(Self.siglip)", found: type)
    }
    let isCLIP = type == Self.clip
    let strategy = "vision_feature_select_strategy"
    try outer.require(strategy, outer.word(strategy, "default"), isCLIP ? "default" : "full")
    if !isCLIP { try vision.require("vision_use_head", vision.flag("vision_use_head", true), false) }
    let layers = try vision.integer("num_hidden_layers", 12)
    let layer = try outer.integer("vision_feature_layer", -2)
    guard layers > 0, layers <= 1 << 10, (-layers...layers).contains(layer), layer != 0 else {
      throw outer.failure(
        "vision_feature_layer", expected: "a layer's output, \(-layers)...-1 or 1...\(layers)", found: "\(layer)")
    }
    return try VisionConfig(
      hiddenSize: vision.integer("hidden_size", 768), feedForwardSize: vision.integer("intermediate_size", 3072),
      layerCount: layers, usedLayerCount: layer < 0 ? layers + 1 + layer : layer,
      headCount: vision.integer("num_attention_heads", 12), channelCount: vision.integer("num_channels", 3),
      patchSize: vision.integer("patch_size", isCLIP ? 32 : 16), patchBias: !isCLIP,
      imageSize: vision.pair("image_size", 224), classToken: isCLIP, normBeforeLayers: isCLIP,
      normEpsilon: vision.number("layer_norm_eps", isCLIP ? 1e-5 : 1e-6),
      activation: vision.activation("hidden_act", isCLIP ? .quickGELU : .geluTanh), unusedFinalNorm: true,
      projectorActivation: outer.activation("projector_hidden_act", .gelu),
      projectorBias: outer.flag("multimodal_projector_bias", true), imageToken: outer.imageToken(32_000))
  }

  package func visionMembers(_ vision: VisionConfig, decoder width: Int) -> [String: JSON] {
    var members = towerMembers(vision, modelType: vision.classToken ? Self.clip : Self.siglip) { size in
      size.height == size.width ? .whole(size.height) : size.member
    }
    if !vision.classToken { members["vision_use_head"] = .bool(false) }
    return members
  }

  package func outerMembers(_ vision: VisionConfig) -> [String: JSON] {
    [
      "projector_hidden_act": .string(vision.projectorActivation.function.rawValue),
      "vision_feature_select_strategy": .string(vision.classToken ? "default" : "full"),
      "vision_feature_layer": .whole(vision.usedLayerCount - vision.layerCount - 1),
      "image_token_index": .integer(Int64(vision.imageToken)),
      "multimodal_projector_bias": .bool(vision.projectorBias),
      "image_seq_length": .whole(vision.imageSize.map(vision.featureCount) ?? 0),
    ]
  }
}

/// What LLaVA's and InternVL's files have alike: a model of text under a name of its own.
extension TensorNames {
  static let nestedDecoderForms = [
    (found: "model.multi_modal_projector.", published: "multi_modal_projector."),
    ("model.language_model.model.", "language_model.model."),
    ("model.language_model.lm_head.", "language_model.lm_head."),
    ("model.language_model.", "language_model.model."), ("language_model.model.", "language_model.model."),
    ("language_model.lm_head.", "language_model.lm_head."), ("language_model.", "language_model.model."),
    ("lm_head.", "language_model.lm_head."),
  ]
  static let nestedDecoderModules = [
    (published: "language_model.model.", module: "model.language_model."),
    ("multi_modal_projector.", "model.multi_modal_projector."), ("vision_tower.", "model.vision_tower."),
  ]
}
