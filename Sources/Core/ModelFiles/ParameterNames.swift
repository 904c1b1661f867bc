import Architecture
import Tensor

/// Hugging Face's names of a multimodal model's tensors, from the canonical ones of `ModelConfig.parameters`.
///
/// Models of text have their canonical names in files. Of the names that files have had over the years, the published ones are
/// written, and all of them are read.
///
/// Adapters name the modules of a model that is in memory, as `transformers` has built them since release 5.
///
/// Source: the weights of llava-hf, Qwen2.5-VL and InternVL3-hf, and conversion_mapping.py of `transformers`.
enum ParameterNames {
  /// The name in a file.
  static func fileName(of name: String, config: ModelConfig) -> String {
    guard let family = config.vision?.family else { return name }
    for (own, theirs) in prefixes(family) where name.hasPrefix(own) {
      return theirs + inner(String(name.dropFirst(own.count)), family)
    }
    return name
  }

  /// The module that a parameter belongs to, as PEFT names it.
  static func module(of parameter: String, config: ModelConfig) -> String {
    let name = fileName(of: parameter, config: config).split(separator: ".").dropLast().joined(separator: ".")
    guard let family = config.vision?.family else { return name }
    for (file, memory) in modulePrefixes(family) where name.hasPrefix(file) {
      return memory + name.dropFirst(file.count)
    }
    return name
  }

  /// The weight of a module, named in any of the forms that files have had.
  static func weight(ofModule name: String, config: ModelConfig) -> String? {
    let published = published(name + ".weight", config: config)
    return config.linearLayers.first { fileName(of: $0.name, config: config) == published }?.name
  }

  /// Beginnings of the files' names and of the modules'.
  private static func modulePrefixes(_ family: VisionConfig.Family) -> [(String, String)] {
    switch family {
    case .clip, .siglip, .internVL:
      [
        ("language_model.model.", "model.language_model."), ("multi_modal_projector.", "model.multi_modal_projector."),
        ("vision_tower.vision_model.", "model.vision_tower."), ("vision_tower.", "model.vision_tower."),
      ]
    case .qwen: [("visual.", "model.visual."), ("model.", "model.language_model.")]
    }
  }

  /// Tensors of a file under their canonical names; what is no parameter keeps its name.
  static func canonical(_ tensors: [String: StoredTensor], config: ModelConfig) -> [String: StoredTensor] {
    guard config.vision != nil else { return tensors }
    let own = Dictionary(
      uniqueKeysWithValues: config.parameters.map { (fileName(of: $0.name, config: config), $0.name) })
    var result: [String: StoredTensor] = [:]
    for (name, tensor) in tensors {
      let published = published(name, config: config)
      result[own[published] ?? published] = tensor
    }
    return result
  }

  /// Beginnings of canonical names and of the files' names.
  private static func prefixes(_ family: VisionConfig.Family) -> [(String, String)] {
    switch family {
    case .clip, .siglip:
      [
        ("vision.layers.", "vision_tower.vision_model.encoder.layers."),
        ("vision.patch_embedding", "vision_tower.vision_model.embeddings.patch_embedding"),
        ("vision.class_embedding", "vision_tower.vision_model.embeddings.class_embedding"),
        ("vision.position_embedding", "vision_tower.vision_model.embeddings.position_embedding.weight"),
        ("vision.embedding_norm", "vision_tower.vision_model.pre_layrnorm"),
        ("vision.final_norm", "vision_tower.vision_model.post_layernorm"),
        ("projector.", "multi_modal_projector."), ("model.", "language_model.model."),
        ("lm_head.", "language_model.lm_head."),
      ]
    case .qwen:
      [
        ("vision.layers.", "visual.blocks."), ("vision.patch_embedding", "visual.patch_embed.proj"),
        ("projector.norm", "visual.merger.ln_q"), ("projector.linear_1", "visual.merger.mlp.0"),
        ("projector.linear_2", "visual.merger.mlp.2"),
      ]
    case .internVL:
      [
        ("vision.layers.", "vision_tower.encoder.layer."),
        ("vision.patch_embedding", "vision_tower.embeddings.patch_embeddings.projection"),
        ("vision.class_embedding", "vision_tower.embeddings.cls_token"),
        ("vision.position_embedding", "vision_tower.embeddings.position_embeddings"),
        ("vision.final_norm", "vision_tower.layernorm"),
        ("projector.norm", "multi_modal_projector.layer_norm"), ("projector.", "multi_modal_projector."),
        ("model.", "language_model.model."), ("lm_head.", "language_model.lm_head."),
      ]
    }
  }

  /// What follows a prefix: in a layer, "INDEX.PART.weight".
  private static func inner(_ name: String, _ family: VisionConfig.Family) -> String {
    let parts: [(String, String)] =
      switch family {
      case .clip, .siglip:
        [
          (".norm1.", ".layer_norm1."), (".norm2.", ".layer_norm2."), (".attention.q.", ".self_attn.q_proj."),
          (".attention.k.", ".self_attn.k_proj."), (".attention.v.", ".self_attn.v_proj."),
          (".attention.output.", ".self_attn.out_proj."),
        ]
      case .qwen:
        [
          (".attention.qkv.", ".attn.qkv."), (".attention.output.", ".attn.proj."), (".mlp.gate.", ".mlp.gate_proj."),
          (".mlp.up.", ".mlp.up_proj."), (".mlp.down.", ".mlp.down_proj."),
        ]
      case .internVL:
        [
          (".norm1.", ".layernorm_before."), (".norm2.", ".layernorm_after."), (".attention.q.", ".attention.q_proj."),
          (".attention.k.", ".attention.k_proj."), (".attention.v.", ".attention.v_proj."),
          (".attention.output.", ".attention.projection_layer."), (".scale1", ".lambda_1"), (".scale2", ".lambda_2"),
        ]
      }
    for (own, theirs) in parts {
      guard let range = name.firstRange(of: own) else { continue }
      return name.replacingCharacters(in: range, with: theirs)
    }
    return name
  }

  /// The published form of a name in any of the forms.
  private static func published(_ name: String, config: ModelConfig) -> String {
    guard let family = config.vision?.family else { return name }
    var name = name[...]
    if family == .qwen {
      if name.hasPrefix("model.visual.") { return String(name.dropFirst("model.".count)) }
      let decoder = "model.language_model."
      return name.hasPrefix(decoder) ? "model." + name.dropFirst(decoder.count) : String(name)
    }
    for part in ["vision_tower.", "multi_modal_projector.", "language_model."] where name.hasPrefix("model." + part) {
      name = name.dropFirst("model.".count)
    }
    let decoder = "language_model."
    let tower = "vision_tower."
    if name.hasPrefix("lm_head.") { return decoder + name }
    if name.hasPrefix(decoder), !name.hasPrefix(decoder + "model."), !name.hasPrefix(decoder + "lm_head.") {
      return decoder + "model." + name.dropFirst(decoder.count)
    }
    if family != .internVL, name.hasPrefix(tower), !name.hasPrefix(tower + "vision_model.") {
      return tower + "vision_model." + name.dropFirst(tower.count)
    }
    return String(name)
  }
}

extension String {
  fileprivate func replacingCharacters(in range: Range<String.Index>, with other: String) -> String {
    var result = self
    result.replaceSubrange(range, with: other)
    return result
  }
}
