import Architecture
import Support
import Tensor
import Tokenizers

/// A model without its weights: what a worker needs before the weights reach it, and what a checkpoint stores next to
/// them.
public struct ModelDescription: Sendable {
  public let config: ModelConfig
  /// The family, which says what its files are like.
  package let family: any ModelFamily
  public let tokenizer: Tokenizer
  /// The tokens that end a completion.
  public let stopTokens: Set<Int32>
  /// The model's small files by name, as in a Hugging Face folder: config.json, generation_config.json, tokenizer.json,
  /// tokenizer_config.json, chat_template.jinja where the model keeps its template there, and preprocessor_config.json
  /// and processor_config.json of a vision-language model. They make an equal description again.
  public let files: [String: [UInt8]]

  /// The names of `files`.
  public enum FileName {
    public static let config = "config.json"
    public static let generationConfig = "generation_config.json"
    public static let tokenizer = "tokenizer.json"
    public static let tokenizerConfig = "tokenizer_config.json"
    public static let chatTemplate = "chat_template.jinja"
    /// How images become pixels; `ImageProcessor` reads it.
    public static let preprocessorConfig = "preprocessor_config.json"
    /// How `transformers` puts images into texts; only kept.
    public static let processorConfig = "processor_config.json"
    public static let all = [
      config, generationConfig, tokenizer, tokenizerConfig, chatTemplate, preprocessorConfig, processorConfig,
    ]
  }

  /// Reads a description from a model's small files.
  ///
  /// - Parameters:
  ///   - files: config.json and tokenizer.json, and of the others those that the model has.
  ///   - place: names the model in errors.
  /// - Throws: `InputError` for a missing or malformed file, a model that is not supported, and a tokenizer with more
  ///   tokens than the model has embeddings.
  public init(files: [String: [UInt8]], place: String) throws {
    try self.init(files: files, families: ModelFamilies.all, place: place)
  }

  /// - Parameter families: those that config.json may name.
  package init(files: [String: [UInt8]], families: [any ModelFamily], place: String) throws {
    func json(_ name: String) throws -> JSON? { try files[name].map { try JSON.parse($0, place: "\(place)/\(name)") } }
    guard let configJSON = try json(FileName.config) else {
      throw InputError("load model", at: place, expected: "a file \(FileName.config)", found: "none")
    }
    let (family, config) = try ConfigFile.read(
      configJSON, families: families, place: "\(place)/\(FileName.config)")
    func ends(_ json: JSON, _ name: String) throws -> [Int32] {
      try ConfigFile.tokens(
        "eos_token_id", in: json, vocabularySize: config.vocabularySize, place: "\(place)/\(name)")
    }
    let configEnds = try ends(configJSON, FileName.config)
    let generation = try json(FileName.generationConfig) ?? ConfigTokens(ends: configEnds).generationConfig
    let generationEnds = try ends(generation, FileName.generationConfig)
    let tokenizer = try Tokenizer(files: files, place: place)
    var kept = files.filter { FileName.all.contains($0.key) }
    kept[FileName.generationConfig] = files[FileName.generationConfig] ?? generation.serialized(pretty: true)
    try self.init(
      config: config, family: family, tokenizer: tokenizer, stopTokens: Set(generationEnds + configEnds), files: kept,
      place: place)
  }

  /// Describes a model that did not come as a Hugging Face folder, and writes the files that it would have there.
  /// - Parameter others: files next to those that follow from the rest.
  init(
    config: ModelConfig, family: any ModelFamily, tokenizer: Tokenizer, tokens: ConfigTokens,
    others: [String: [UInt8]] = [:], place: String
  ) throws {
    var files = others
    files[FileName.config] = JSON.object(family.members(config, tokens: tokens)).serialized(pretty: true)
    files[FileName.generationConfig] = tokens.generationConfig.serialized(pretty: true)
    try self.init(
      config: config, family: family, tokenizer: tokenizer, stopTokens: Set(tokens.ends), files: files, place: place)
  }

  private init(
    config: ModelConfig, family: any ModelFamily, tokenizer: Tokenizer, stopTokens: Set<Int32>,
    files: [String: [UInt8]], place: String
  ) throws {
    guard tokenizer.vocabularySize <= config.vocabularySize else {
      throw InputError(
        "load model", at: "\(place), tokenizer", expected: "at most \(config.vocabularySize) tokens, one an embedding",
        found: "\(tokenizer.vocabularySize)")
    }
    self.config = config
    self.family = family
    self.tokenizer = tokenizer
    self.stopTokens = stopTokens
    self.files = files.merging(tokenizer.files) { own, _ in own }
  }
}

/// A model with its weights in fp32.
public struct LoadedModel: Sendable {
  public let description: ModelDescription
  /// In canonical names, and Hugging Face's shapes and row order.
  public let parameters: ParameterSet

  public init(description: ModelDescription, parameters: ParameterSet) {
    self.description = description
    self.parameters = parameters
  }
}
