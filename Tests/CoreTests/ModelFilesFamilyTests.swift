import Architecture
import Layers
import Model
import ModelFiles
import Support
import Tensor
import Testing
import Training

/// What a new family takes, and what happens to layers that the decoder does not compute.
@Suite struct ModelFamilyTests {
  private static let families = ModelFamilies.all + [Alpaca()]

  private static func json(_ path: String) throws -> JSON {
    try JSON.parse(try MappedFile.contents(of: path, byteCountMax: 1 << 16), place: path)
  }

  private static func logits(of model: LoadedModel) -> [Float] {
    let decoder = Decoder(config: model.description.config, precision: .float32, pool: ThreadPool(threads: 1))
    decoder.load(model.parameters)
    return decoder.logits(
      of: [4, 5, 6, 7], after: TrainingGroup(promptTokens: [1, 2, 3], completions: [[4, 5, 6, 7]]))
  }

  /// A folder of Alpaca with the weights of a tiny Llama.
  private static func alpaca(from llama: LoadedModel) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    let config = Alpaca().members(llama.description.config, tokens: ConfigTokens(ends: [2]))
    var files = llama.description.files
    files["config.json"] = JSON.object(config).serialized()
    let description = try ModelDescription(files: files, families: families, place: "alpaca")
    try ModelSaver.save(description, parameters: llama.parameters, to: folder.path, encoding: .float32)
    return folder
  }

  private static func llama() throws -> LoadedModel {
    let folder = try ModelFiles.folder(ofTiny: "llama_bias_untied")
    return try withExtendedLifetime(folder) { try ModelLoader.load(path: folder.path) }
  }

  @Test("A family of one file loads to the logits of the model that it renames")
  func oneFile() throws {
    let llama = try Self.llama()
    let folder = try Self.alpaca(from: llama)
    let loaded = try ModelLoader.load(path: folder.path, families: Self.families)
    #expect(loaded.description.family.modelType == "alpaca")
    #expect(loaded.description.config == llama.description.config)
    #expect(Self.logits(of: loaded) == Self.logits(of: llama))
  }

  @Test("A family's file has the family's keys and names")
  func files() throws {
    let folder = try Self.alpaca(from: Self.llama())
    let config = try Self.json("\(folder.path)/config.json")
    #expect(config["architectures"] == .array([.string("AlpacaForCausalLM")]))
    #expect(config["use_bias"] == .bool(true))
    #expect(config["attention_bias"] == nil)
    let file = try MappedFile(path: "\(folder.path)/model.safetensors")
    let names = Set(try SafetensorsFile.tensors(in: file).keys)
    #expect(names.contains("transformer.blocks.1.attention.q_proj.bias"))
    #expect(names.contains("transformer.norm.weight"))
    #expect(names.contains("lm_head.weight"))
    #expect(!names.contains { $0.hasPrefix("model.") })
  }

  @Test("A name in an older form is found, and one that is missing is asked for in the family's words")
  func names() throws {
    var builder = FolderBuilder.valid
    builder.config["model_type"] = .string("alpaca")
    builder.config["architectures"] = nil
    for (name, tensor) in builder.header where name.hasPrefix("model.") {
      builder.header[name] = nil
      let published =
        name.hasPrefix("model.layers.")
        ? name.replacing("model.layers.", with: "transformer.blocks.").replacing(".self_attn.", with: ".attention.")
        : name.replacing("model.", with: "old.")
      builder.header[published] = tensor
    }
    let folder = try builder.write()
    _ = try ModelLoader.load(path: folder.path, families: Self.families)
    builder.header["unknown"] = builder.header.removeValue(forKey: "transformer.blocks.0.attention.q_proj.weight")
    let broken = try builder.write()
    let error = #expect(throws: InputError.self) {
      try ModelLoader.load(path: broken.path, families: Self.families)
    }
    #expect(error?.expected.contains("transformer.blocks.0.attention.q_proj.weight") == true)
  }

  @Test("A family's GGUF file is found by its architecture")
  func gguf() throws {
    var builder = GGUFBuilder.valid
    let prefix = Array("llama.".utf8)
    for index in builder.pairs.indices {
      let key = Array(builder.pairs[index].key.dropFirst(8))
      guard key.starts(with: prefix) else { continue }
      builder.pairs[index].key = ("alpaca." + String(decoding: key.dropFirst(prefix.count), as: UTF8.self)).fileBytes
    }
    builder.set("general.architecture", "alpaca")
    let file = MappedFile(bytes: builder.bytes, path: "model.gguf")
    let model = try ModelLoader.load(gguf: file, families: Self.families)
    #expect(model.description.family.modelType == "alpaca")
    #expect(model.description.config == (try ModelLoader.load(gguf: Self.validGGUF).description.config))
    let error = #expect(throws: InputError.self) { try ModelLoader.load(gguf: file) }
    #expect(error?.expected == "llama, qwen2 or qwen3")
  }

  private static var validGGUF: MappedFile { MappedFile(bytes: GGUFBuilder.valid.bytes, path: "valid.gguf") }

  @Test("A family that is not in the table is refused, and the table is named")
  func stranger() throws {
    let folder = try Self.alpaca(from: Self.llama())
    let error = #expect(throws: InputError.self) { try ModelLoader.load(path: folder.path) }
    #expect(error?.place.contains("key model_type") == true)
    #expect(error?.expected == "llama, qwen2, qwen3, llava, qwen2_5_vl or internvl")
    #expect(error?.found == "alpaca")
  }

  @Test("No two families share a name")
  func table() {
    #expect(Set(ModelFamilies.all.map(\.modelType)).count == ModelFamilies.all.count)
    #expect(Set(ModelFamilies.all.map(\.architecture)).count == ModelFamilies.all.count)
  }

  /// A family whose layers compute something else than Llama's.
  private struct Changed: DecoderFamily {
    let modelType = "changed"
    let architecture = "ChangedForCausalLM"
    let defaults = ConfigDefaults(maxPositions: 64)
    var change: @Sendable (inout BlockDescription) -> Void

    func readBlock(_ keys: ConfigKeys, into block: inout BlockDescription) throws { change(&block) }
    func members(_ block: BlockDescription) -> [String: JSON] { [:] }
  }

  private static let changes: [(named: String, change: @Sendable (inout BlockDescription) -> Void)] = [
    ("norm_type", { $0.norm.kind = .layer }), ("norm placement", { $0.norm.placement = .after }),
    ("norm placement", { $0.norm.placement = .around }),
    ("query and key norms", { $0.attention.queryKeyNorm = .allHeads }),
    ("use_sliding_window", { $0.attention.window = 16 }), ("attn_logit_softcapping", { $0.attention.softCap = 50 }),
    ("hidden_act", { $0.feedForward.activation = .gelu }),
    ("hidden_act", { $0.feedForward.activation = Activation(.geluTanh, isGated: true) }),
    ("partial_rotary_factor", { $0.rotary.fraction = 0.5 }),
  ]

  @Test("What the decoder does not compute is refused by name, whatever family describes it", arguments: 0..<9)
  func refusals(_ index: Int) throws {
    try #require(Self.changes.count == 9)
    let (named, change) = Self.changes[index]
    var config = FolderBuilder.valid.config
    config["model_type"] = .string("changed")
    config["architectures"] = nil
    let error = #expect(throws: InputError.self) {
      try ConfigFile.read(.object(config), families: [Changed(change: change)], place: "config.json")
    }
    #expect(error?.place == "config.json, key \(named)")
    _ = try ConfigFile.read(.object(config), families: [Changed { _ in }], place: "config.json")
  }
}
