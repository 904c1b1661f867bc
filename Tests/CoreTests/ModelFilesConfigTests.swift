import Architecture
import ModelFiles
import Support
import Testing

/// config.json and generation_config.json, right and wrong.
@Suite struct ModelConfigFileTests {
  static func describe(_ config: [String: JSON], generation: JSON? = nil) throws -> ModelDescription {
    var files = [
      "config.json": JSON.object(config).serialized(),
      "tokenizer.json": try MappedFile.contents(of: "\(ModelFiles.fixtures)/tokenizer.json", byteCountMax: 1 << 16),
    ]
    files["generation_config.json"] = generation?.serialized()
    return try ModelDescription(files: files, place: "folder")
  }

  static func changed(_ changes: [String: JSON?]) -> [String: JSON] {
    var config = FolderBuilder.valid.config
    for (key, value) in changes { config[key] = value }
    return config
  }

  @Test("Absent keys have the values that `transformers` gives them") func absentKeysHaveTheValuesOfTransformers()
    throws
  {
    var config = Self.changed(["num_key_value_heads": nil, "rms_norm_eps": nil, "tie_word_embeddings": nil])
    #expect(
      try Self.describe(config).config
        == ModelConfig(
          vocabularySize: 96, hiddenSize: 8, feedForwardSize: 16, layerCount: 1, headCount: 2, keyValueHeadCount: 2,
          maxPositions: 2048, tiedHead: false, block: BlockDescription(norm: .init(epsilon: 1e-6))))
    config["model_type"] = .string("qwen3")
    config["architectures"] = nil
    config["num_attention_heads"] = .integer(64)
    let qwen3 = try Self.describe(config)
    #expect(qwen3.family.modelType == "qwen3")
    #expect(
      qwen3.config
        == ModelConfig(
          vocabularySize: 96, hiddenSize: 8, feedForwardSize: 16, layerCount: 1, headCount: 64, keyValueHeadCount: 32,
          headSize: 128, maxPositions: 32_768, tiedHead: false,
          block: BlockDescription(norm: .init(epsilon: 1e-6), attention: .init(queryKeyNorm: .eachHead))))
  }

  static let llama3: [String: JSON] = [
    "factor": .integer(32), "low_freq_factor": .number(1), "high_freq_factor": .number(4),
    "original_max_position_embeddings": .integer(8192),
  ]

  @Test("Rotary settings are read in the older and the newer form")
  func rotarySettingsAreReadInTheOlderAndTheNewerForm() throws {
    let scaling = RotaryDescription.Scaling(
      factor: 32, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalMaxPositions: 8192)
    func rope(_ changes: [String: JSON?]) throws -> (Double, RotaryDescription.Scaling?) {
      let config = try Self.describe(Self.changed(changes)).config
      return (config.block.rotary.theta, config.block.rotary.scaling)
    }
    let type = ["rope_type": JSON.string("llama3")]
    let theta = ["rope_theta": JSON.number(500_000)]
    for changes: [String: JSON?] in [
      ["rope_theta": .number(500_000), "rope_scaling": .object(Self.llama3.merging(type) { $1 })],
      [
        "rope_theta": .integer(500_000),
        "rope_scaling": .object(Self.llama3.merging(["type": .string("llama3")]) { $1 }),
      ],
      ["rope_parameters": .object(Self.llama3.merging(type) { $1 }.merging(theta) { $1 })],
    ] {
      let read = try rope(changes)
      #expect(read.0 == 500_000)
      #expect(read.1 == scaling)
    }
    let plain = try rope([
      "rope_parameters": .object(["rope_type": .string("default"), "rope_theta": .integer(20_000)])
    ])
    #expect(plain.0 == 20_000)
    #expect(plain.1 == nil)
    #expect(try rope(["rope_scaling": .null]).1 == nil)
  }

  @Test(
    "Stop tokens are those that either file names",
    arguments: [
      (.integer(2), nil, [2]),
      (.array([.integer(2), .integer(0)]), nil, [0, 2]),
      (.null, .object([:]), []),
      (.integer(2), .object(["eos_token_id": .array([.integer(0), .integer(1)])]), [0, 1, 2]),
      (.null, .object(["eos_token_id": .integer(5)]), [5]),
    ] as [(JSON, JSON?, Set<Int32>)])
  func stopTokensAreTheEndsThatEitherFileNames(ends: JSON, generation: JSON?, stopTokens: Set<Int32>) throws {
    let description = try Self.describe(Self.changed(["eos_token_id": ends]), generation: generation)
    #expect(description.stopTokens == stopTokens)
    #expect(try ModelDescription(files: description.files, place: "again").stopTokens == stopTokens)
  }

  /// What is wrong, and the word that the error must name.
  static let malformed: [(changes: [String: JSON?], named: String)] = [
    (["model_type": .string("gpt2")], "key model_type"), (["model_type": nil], "key model_type"),
    (["architectures": .array([.string("LlamaForSequenceClassification")])], "key architectures"),
    (["hidden_size": nil], "key hidden_size"), (["hidden_size": .string("8")], "key hidden_size"),
    (["hidden_size": .integer(0)], "key hidden_size"), (["hidden_size": .integer(-8)], "key hidden_size"),
    (["hidden_size": .number(1e30)], "key hidden_size"), (["hidden_size": .number(8.5)], "key hidden_size"),
    (["hidden_size": .integer(.max - 1), "head_dim": .integer(4)], "key hidden_size"),
    (["num_attention_heads": .integer(0)], "key num_attention_heads"),
    (["num_attention_heads": .integer(0), "head_dim": .integer(4)], "key num_attention_heads"),
    (["num_attention_heads": .integer(3)], "key num_attention_heads"),
    (["num_attention_heads": .integer(.min)], "key num_attention_heads"),
    (
      ["num_attention_heads": .integer(3), "head_dim": .integer(4), "num_key_value_heads": .integer(2)],
      "num_key_value_heads"
    ),
    (["num_key_value_heads": .integer(0)], "key num_key_value_heads"),
    (["num_key_value_heads": .integer(4)], "key num_key_value_heads"),
    (["head_dim": .integer(3)], "key head_dim"), (["head_dim": .integer(1 << 40)], "key head_dim"),
    (["num_hidden_layers": .integer(1_000_000_000_000_000_000)], "key num_hidden_layers"),
    (["num_hidden_layers": .integer(0)], "key num_hidden_layers"),
    (["vocab_size": .integer(1 << 60)], "key vocab_size"), (["vocab_size": .integer(95)], "tokenizer"),
    (["intermediate_size": .integer(1 << 60)], "key intermediate_size"),
    (["max_position_embeddings": .integer(0)], "key max_position_embeddings"),
    (["rms_norm_eps": .integer(0)], "key rms_norm_eps"), (["rms_norm_eps": .number(1e300)], "key rms_norm_eps"),
    (["rope_theta": .integer(0)], "key rope_theta"), (["rope_theta": .string("big")], "key rope_theta"),
    (["rope_scaling": .object(["rope_type": .string("yarn"), "factor": .integer(4)])], "key rope_type"),
    (["rope_scaling": .object(["factor": .integer(4)])], "key type"),
    (["rope_scaling": .object(["rope_type": .string("llama3"), "factor": .integer(8)])], "key low_freq_factor"),
    (["rope_parameters": .object(["full_attention": .object([:])])], "key type"),
    (
      [
        "rope_scaling": .object(
          llama3.merging(["rope_type": .string("llama3"), "high_freq_factor": .integer(1)]) { $1 })
      ],
      "high_freq_factor"
    ),
    (["hidden_act": .string("gelu")], "key hidden_act"), (["use_sliding_window": .bool(true)], "use_sliding_window"),
    (["quantization_config": .object(["bits": .integer(4)])], "key quantization_config"),
    (["partial_rotary_factor": .number(0.5)], "key partial_rotary_factor"),
    (["layer_types": .array([.string("sliding_attention")])], "key layer_types"),
    (["tie_word_embeddings": .integer(1)], "key tie_word_embeddings"),
    (["eos_token_id": .integer(96)], "key eos_token_id"), (["eos_token_id": .integer(-1)], "key eos_token_id"),
    (["eos_token_id": .array([.integer(2), .string("2")])], "key eos_token_id"),
    (["model_type": .string("qwen2"), "architectures": nil, "attention_bias": .bool(false)], "key attention_bias"),
  ]

  @Test("An impossible configuration is refused with the key in the error", arguments: malformed)
  func aConfigurationThatCannotBeIsRefused(changes: [String: JSON?], named: String) {
    let error = #expect(throws: InputError.self) { try Self.describe(Self.changed(changes)) }
    #expect(error?.place.hasPrefix("folder") == true)
    #expect(error?.description.contains(named) == true, "\(error?.description ?? "") does not name \(named)")
  }

  @Test(
    "A broken small file is refused with its name in the error",
    arguments: [
      ("config.json", "{"), ("config.json", "[]"), ("config.json", ""),
      ("config.json", #"{"model_type": "llama", "model_type": "llama"}"#),
      ("generation_config.json", "{\"eos_token_id\": }"), ("generation_config.json", #"{"eos_token_id": "</s>"}"#),
      ("tokenizer.json", "{}"), ("tokenizer.json", String(repeating: "[", count: 100_000)),
      ("tokenizer_config.json", "null null"),
    ])
  func aBrokenSmallFileIsRefusedByName(file: String, text: String) throws {
    var builder = FolderBuilder.valid
    builder.files[file] = Array(text.utf8) + [UInt8(ascii: "\n")]
    let folder = try builder.write()
    let error = #expect(throws: InputError.self) { try ModelLoader.load(path: folder.path) }
    #expect(error?.place.hasPrefix("\(folder.path)/\(file)") == true, "\(error?.description ?? "")")
  }

  @Test("A path that is no model is refused") func aPathThatIsNoModelIsRefused() throws {
    let folder = try TemporaryFolder()
    let empty = try folder.write([UInt8](), "empty.gguf")
    for path in ["\(folder.path)/absent", folder.path, empty, "/dev/null"] {
      let error = #expect(throws: InputError.self) { try ModelLoader.load(path: path) }
      #expect(error?.place.hasPrefix(path) == true)
    }
  }
}
