import Architecture
import Foundation
import Support
import Tokenizers

/// A language model in a GGUF file, seen as Hugging Face would store it: names, shapes, row order, configuration,
/// tokenizer.
///
/// A family's `GGUFLayout` says what it does differently. Where rows of queries and keys have rotary pairs next to each
/// other, they are marked, and decoding puts them back.
///
/// Source: ggml/docs/gguf.md.
struct GGUFModel {
  let family: any DecoderFamily
  let config: ModelConfig
  /// The tensors by their canonical names.
  let tensors: [String: StoredTensor]
  let tokenizer: TokenizerDefinition
  let tokens: ConfigTokens

  /// Reads everything but the tensors' bytes.
  ///
  /// - Throws: `InputError` for a malformed file and for an architecture or a setting that is not supported.
  init(_ file: MappedFile, families: [any ModelFamily]) throws {
    let file = try GGUFFile(file)
    let metadata = file.metadata
    let architecture = try metadata.required("general.architecture", metadata.string)
    let known = families.compactMap { $0 as? any DecoderFamily }.compactMap { family in
      family.gguf.map { (family: family, layout: $0) }
    }
    guard let (family, layout) = known.first(where: { $0.layout.architecture == architecture }) else {
      throw metadata.failure(
        "general.architecture", expected: known.map(\.layout.architecture).alternatives, found: architecture)
    }
    if let fileCount = try metadata.integer("split.count"), fileCount > 1 {
      throw metadata.failure("split.count", expected: "a model in one file", found: "\(fileCount) files")
    }
    var tensors: [String: StoredTensor] = [:]
    for tensor in file.tensors { tensors[layout.canonicalName(tensor.name) ?? tensor.name] = tensor }
    config = try GGUFModel.config(family, layout, metadata: metadata, tensors: tensors)
    if layout.hasAdjacentPairs {
      for name in tensors.keys where name.contains(".self_attn.q_proj.") || name.contains(".self_attn.k_proj.") {
        tensors[name]?.rowOrder = .pairs(headSize: config.headSize)
      }
    }
    self.family = family
    self.tensors = tensors
    (tokenizer, tokens) = try GGUFModel.tokenizer(metadata, vocabularySize: config.vocabularySize)
  }

  /// Whether a tensor may be left out of the parameters: the frequencies were read with the configuration.
  static func isDerived(_ name: String) -> Bool { name == frequencyFactors }

  private static let frequencyFactors = "rope_freqs.weight"
}

// Configuration
extension GGUFModel {
  private static func config(
    _ family: any DecoderFamily, _ layout: GGUFLayout, metadata: GGUFMetadata, tensors: [String: StoredTensor]
  ) throws -> ModelConfig {
    func key(_ name: String) -> String { "\(layout.architecture).\(name)" }
    func required(_ name: String) throws -> Int { try metadata.required(key(name), metadata.integer) }

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
    var block = BlockDescription()
    block.norm.epsilon = Float(try metadata.required(key("attention.layer_norm_rms_epsilon"), metadata.number))
    block.rotary.theta = try metadata.number(key("rope.freq_base")) ?? 10_000
    let firstLayer = "model.layers.0."
    family.readBlock(
      ggufTensors: Set(tensors.keys.filter { $0.hasPrefix(firstLayer) }.map { String($0.dropFirst(firstLayer.count)) }),
      into: &block)
    var config = try ModelConfig(
      vocabularySize: embedding.shape[0], hiddenSize: hiddenSize, feedForwardSize: required("feed_forward_length"),
      layerCount: required("block_count"), headCount: headCount,
      keyValueHeadCount: metadata.integer(key("attention.head_count_kv")) ?? headCount, headSize: headSize,
      maxPositions: required("context_length"), tiedHead: tensors["lm_head.weight"] == nil, block: block
    ).checked(at: metadata.file.path)
    config.block.rotary.scaling = try scaling(
      config, prefix: key("rope."), metadata: metadata, factors: tensors[frequencyFactors])
    return try config.checked(at: metadata.file.path)
  }

  /// Llama 3's scaling, which a GGUF file holds as one divisor a frequency.
  ///
  /// The settings behind the divisors are those of a published model, and are taken only when they give these divisors.
  private static func scaling(
    _ config: ModelConfig, prefix: String, metadata: GGUFMetadata, factors: StoredTensor?
  ) throws -> RotaryDescription.Scaling? {
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
    let scaling = RotaryDescription.Scaling(
      factor: (divisors.last ?? 1).rounded(), lowFrequencyFactor: 1, highFrequencyFactor: 4, originalMaxPositions: 8192)
    let expected = scaling.divisors(theta: config.block.rotary.theta, headSize: config.headSize)
    guard zip(divisors, expected).allSatisfy({ abs($0 - $1) <= 1e-3 * $1 }) else {
      throw InputError(
        "load model", at: place, expected: "the divisors of Llama 3's scaling (low 1, high 4, original length 8192)",
        found: "others")
    }
    return scaling
  }
}

extension RotaryDescription.Scaling {
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
