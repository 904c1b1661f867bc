import Architecture
import Foundation
import Support
import Tokenizers

/// A language model in a GGUF file, seen as Hugging Face would store it: names, shapes, row order, configuration, tokenizer.
///
/// Llama's converter stores the rows of the query and key projections with rotary pairs side by side; here they are marked,
/// and decoding puts them back. Qwen2's and Qwen3's files keep Hugging Face's order.
///
/// Source: the key and tensor names in ggml/docs/gguf.md; `permute` of llama.cpp's convert_hf_to_gguf.py.
struct GGUFModel {
  let config: ModelConfig
  /// By Hugging Face's names.
  let tensors: [String: StoredTensor]
  let tokenizer: TokenizerDefinition
  let tokens: ConfigTokens

  /// Reads everything but the tensors' bytes.
  ///
  /// - Throws: `InputError` for a malformed file and for an architecture or a setting that is not supported.
  init(_ file: MappedFile) throws {
    let file = try GGUFFile(file)
    let metadata = file.metadata
    let architecture = try metadata.required("general.architecture", metadata.string)
    guard let family = ModelConfig.Family(rawValue: architecture) else {
      throw metadata.failure("general.architecture", expected: "llama, qwen2 or qwen3", found: architecture)
    }
    if let fileCount = try metadata.integer("split.count"), fileCount > 1 {
      throw metadata.failure("split.count", expected: "a model in one file", found: "\(fileCount) files")
    }
    var tensors: [String: StoredTensor] = [:]
    for tensor in file.tensors { tensors[GGUFModel.huggingFaceName(tensor.name) ?? tensor.name] = tensor }
    config = try GGUFModel.config(family, metadata: metadata, tensors: tensors)
    if family == .llama {
      for name in tensors.keys where name.contains(".self_attn.q_proj.") || name.contains(".self_attn.k_proj.") {
        tensors[name]?.rowOrder = .pairs(headSize: config.headSize)
      }
    }
    self.tensors = tensors
    (tokenizer, tokens) = try GGUFModel.tokenizer(metadata, vocabularySize: config.vocabularySize)
  }

  /// Whether a tensor may be left out of the parameters: the frequencies were read with the configuration.
  static func isDerived(_ name: String) -> Bool { name == frequencyFactors }

  private static let frequencyFactors = "rope_freqs.weight"

  /// Hugging Face's name of a tensor; nil for a tensor that is no parameter.
  static func huggingFaceName(_ name: String) -> String? {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    switch parts.count {
    case 2:
      guard parts[1] == "weight", let stem = outerNames[String(parts[0])] else { return nil }
      return "\(stem).weight"
    case 4:
      guard parts[0] == "blk", let layer = Int(parts[1]), "\(layer)" == parts[1], layer >= 0,
        parts[3] == "weight" || parts[3] == "bias", let stem = layerNames[String(parts[2])]
      else { return nil }
      return "model.layers.\(layer).\(stem).\(parts[3])"
    default: return nil
    }
  }

  private static let outerNames = [
    "token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head",
  ]
  private static let layerNames = [
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
  ]
}

// Configuration
extension GGUFModel {
  private static func config(
    _ family: ModelConfig.Family, metadata: GGUFMetadata, tensors: [String: StoredTensor]
  ) throws -> ModelConfig {
    func key(_ name: String) -> String { "\(family.rawValue).\(name)" }
    func required(_ name: String) throws -> Int { try metadata.required(key(name), metadata.integer) }
    func first(_ name: String) -> Bool { tensors["model.layers.0.\(name)"] != nil }

    guard let embedding = tensors["model.embed_tokens.weight"], embedding.shape.count == 2 else {
      throw InputError(
        "load model", at: metadata.file.path, expected: "a tensor token_embd.weight of two dimensions", found: "none")
    }
    let hiddenSize = try required("embedding_length")
    let headCount = try required("attention.head_count")
    guard headCount > 0 else {
      throw metadata.failure(key("attention.head_count"), expected: "at least 1", found: "\(headCount)")
    }
    let headSize = try metadata.integer(key("attention.key_length")) ?? hiddenSize / headCount
    for (name, value) in [
      ("attention.value_length", headSize), ("rope.dimension_count", headSize), ("expert_count", 0),
      ("vocab_size", embedding.shape[0]),
    ] {
      let found = try metadata.integer(key(name)) ?? value
      guard found == value else { throw metadata.failure(key(name), expected: "\(value)", found: "\(found)") }
    }
    let attentionBias = first("self_attn.q_proj.bias")
    var config = try ModelConfig(
      family: family, vocabularySize: embedding.shape[0], hiddenSize: hiddenSize,
      feedForwardSize: required("feed_forward_length"), layerCount: required("block_count"), headCount: headCount,
      keyValueHeadCount: metadata.integer(key("attention.head_count_kv")) ?? headCount, headSize: headSize,
      maxPositions: required("context_length"),
      normEpsilon: Float(metadata.required(key("attention.layer_norm_rms_epsilon"), metadata.number)),
      ropeTheta: metadata.number(key("rope.freq_base")) ?? 10_000,
      tiedHead: tensors["lm_head.weight"] == nil,
      queryKeyValueBias: family == .qwen2 || attentionBias,
      attentionOutputBias: family != .qwen2 && attentionBias,
      feedForwardBias: family == .llama && first("mlp.gate_proj.bias"),
      queryKeyNorm: family == .qwen3
    ).checked(at: metadata.file.path)
    config.ropeScaling = try scaling(config, metadata: metadata, factors: tensors[frequencyFactors])
    return try config.checked(at: metadata.file.path)
  }

  /// Llama 3's scaling, which a GGUF file holds as one divisor a frequency.
  ///
  /// The settings behind the divisors are those of a published model, and are taken only when they give these divisors.
  private static func scaling(
    _ config: ModelConfig, metadata: GGUFMetadata, factors: StoredTensor?
  ) throws -> ModelConfig.RotaryScaling? {
    let prefix = "\(config.family.rawValue).rope."
    if let type = try metadata.string(prefix + "scaling.type"), type != "none" {
      throw metadata.failure(prefix + "scaling.type", expected: "none", found: type)
    }
    for name in ["scaling.factor", "scale_linear"] {
      if let factor = try metadata.number(prefix + name), factor != 1 {
        throw metadata.failure(prefix + name, expected: "1", found: "\(factor)")
      }
    }
    guard let factors else { return nil }
    let place = "\(metadata.file.path), tensor \(factors.name)"
    guard factors.shape == [config.headSize / 2], factors.encoding == .float32 else {
      throw InputError(
        "load model", at: place, expected: "F32 of shape [\(config.headSize / 2)]",
        found: "\(factors.encoding.rawValue) of shape \(factors.shape)")
    }
    let divisors = factors.decoded().map(Double.init)
    let scaling = ModelConfig.RotaryScaling(
      factor: (divisors.last ?? 1).rounded(), lowFrequencyFactor: 1, highFrequencyFactor: 4, originalMaxPositions: 8192)
    let expected = scaling.divisors(theta: config.ropeTheta, headSize: config.headSize)
    guard zip(divisors, expected).allSatisfy({ abs($0 - $1) <= 1e-3 * $1 }) else {
      throw InputError(
        "load model", at: place, expected: "the divisors of Llama 3's scaling (low 1, high 4, original length 8192)",
        found: "others")
    }
    return scaling
  }
}

extension ModelConfig.RotaryScaling {
  /// What each rotary frequency is divided by. `[D / 2]`
  ///
  /// Source: `_compute_llama3_parameters` of `transformers`.
  fileprivate func divisors(theta: Double, headSize: Int) -> [Double] {
    stride(from: 0, to: headSize, by: 2).map { index in
      let waveLength = 2 * Double.pi * pow(theta, Double(index) / Double(headSize))
      let turns = Double(originalMaxPositions) / waveLength
      if turns > highFrequencyFactor { return 1 }
      if turns < lowFrequencyFactor { return factor }
      let smooth = (turns - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor)
      return 1 / ((1 - smooth) / factor + smooth)
    }
  }
}

// Tokenizer
extension GGUFModel {
  private static func tokenizer(
    _ metadata: GGUFMetadata, vocabularySize: Int
  ) throws -> (TokenizerDefinition, ConfigTokens) {
    func key(_ name: String) -> String { "tokenizer.ggml.\(name)" }
    func token(_ name: String) throws -> Int32? {
      guard let id = try metadata.integer(key("\(name)_token_id")) else { return nil }
      guard (0..<vocabularySize).contains(id) else {
        throw metadata.failure(
          key("\(name)_token_id"), expected: "a token id below \(vocabularySize)", found: "\(id)")
      }
      return Int32(id)
    }
    let types = try metadata.integers(key("token_type")) ?? []
    var definition = try TokenizerDefinition(
      ggufModel: metadata.required(key("model"), metadata.string),
      pre: metadata.string(key("pre")) ?? "gpt-2",
      tokens: metadata.required(key("tokens"), metadata.strings),
      tokenTypes: types.map { Int32(truncatingIfNeeded: $0) },
      merges: metadata.required(key("merges"), metadata.strings),
      place: metadata.file.path)
    definition.bosToken = try token("bos")
    definition.eosToken = try token("eos")
    definition.padToken = try token("padding")
    definition.unknownToken = try token("unknown")
    definition.addBOS = try metadata.bool(key("add_bos_token")) ?? false
    definition.addEOS = try metadata.bool(key("add_eos_token")) ?? false
    definition.chatTemplate = try metadata.string("tokenizer.chat_template")

    var ends: [Int32] = []
    for name in ["eos", "eot", "eom"] {
      if let end = try token(name), !ends.contains(end) { ends.append(end) }
    }
    let tokens = ConfigTokens(beginning: definition.bosToken, ends: ends, padding: definition.padToken)
    return (definition, tokens)
  }
}
