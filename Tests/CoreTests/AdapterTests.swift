import Architecture
import Foundation
import Layers
import Model
import ModelFiles
import Support
import Tensor
import Testing

/// How an adapter begins, which layers it is for, and what is refused.
@Suite struct AdapterTests {
  private func settings(_ rank: Int, _ targets: [String]) -> AdapterSettings {
    var settings = AdapterSettings()
    (settings.rank, settings.targets) = (rank, targets)
    return settings
  }

  private func names(
    _ config: ModelConfig, _ targets: [String], family: any ModelFamily = Llama(),
    parts: [ModelPart] = ModelPart.allCases
  ) throws -> [String] {
    try settings(2, targets).description(
      for: config, family: family, parts: parts, precision: .float32, key: "model.lora")?.names ?? []
  }

  @Test("Targets are matched as PEFT matches them") func targetsAreMatchedAsPEFTMatchesThem() throws {
    let text = TinyModel.llamaGQA.config
    #expect(
      try names(text, ["q_proj"]) == (0..<2).map { "model.layers.\($0).self_attn.q_proj.weight" })
    #expect(try names(text, ["mlp.up_proj", "model.layers.1.self_attn.o_proj"]).count == 3)
    #expect(try names(text, ["all-linear"]).count == 14)
    let seeing = try VisionModel.llavaSigLIP.load().description.config
    let all = try names(seeing, ["q_proj"], family: LLaVA())
    #expect(all.contains("vision.layers.1.attention.q.weight"))
    #expect(all.contains("model.layers.1.self_attn.q_proj.weight"))
    #expect(try names(seeing, ["q_proj"], family: LLaVA(), parts: [.language]).allSatisfy { $0.hasPrefix("model.") })
    #expect(
      try names(seeing, ["all-linear"], family: LLaVA(), parts: [.projector])
        == [1, 2].map { "projector.linear_\($0).weight" })
    #expect(
      try settings(0, ["nonsense"]).description(
        for: text, family: Llama(), parts: [], precision: .float32, key: "") == nil)
  }

  @Test(
    "An adapter that the model cannot have is refused",
    arguments: [
      ("qproj", 2, "model.lora.targets", "q_proj"), ("lm_head", 2, "model.lora.targets", "all-linear"),
      ("embed_tokens", 2, "model.lora.targets", "q_proj"), ("k_proj", 17, "model.lora.rank", "1 ... 16"),
    ])
  func whatAModelCannotHaveIsRefused(_ target: String, _ rank: Int, _ place: String, _ expected: String) {
    let error = #expect(throws: InputError.self) {
      try settings(rank, [target]).description(
        for: TinyModel.llamaBiasUntied.config, family: Llama(), parts: ModelPart.allCases, precision: .float32,
        key: "model.lora")
    }
    #expect(error?.place == place, "\(error.map { "\($0)" } ?? "")")
    #expect(error?.expected.contains(expected) == true, "\(error.map { "\($0)" } ?? "")")
  }

  @Test("An adapter without targets, or of parts without layers, is refused")
  func noTargetsAndPartsWithoutLayersAreRefused() {
    let config = TinyModel.llamaGQA.config
    #expect(throws: InputError.self) { try names(config, []) }
    #expect(throws: InputError.self) { try names(config, ["q_proj"], parts: [.vision]) }
  }

  @Test("A new adapter changes nothing, and its values follow from the seed")
  func aNewAdapterChangesNothingAndIsDrawnFromTheSeed() throws {
    let config = TinyModel.llamaGQA.config
    let description = try #require(
      try settings(3, ["all-linear"]).description(
        for: config, family: Llama(), parts: ModelPart.allCases, precision: .float32, key: "model.lora"))
    func adapter(_ seed: UInt64) throws -> LowRankAdapter {
      try .random(description, config: config, seed: seed, place: "test")
    }
    let made = try adapter(4)
    #expect(try made.parameters.numbers == adapter(4).parameters.numbers)
    #expect(try made.parameters.numbers != adapter(5).parameters.numbers)
    for (index, parameter) in made.parameters.parameters.enumerated() {
      let scalars = made.parameters.scalars(index)
      if parameter.name.hasSuffix("lora_B.weight") {
        #expect(scalars.allSatisfy { $0 == 0 })
      } else {
        // uniform in 1/sqrt(in): its deviation is that over the root of 3
        let bound = 1 / Float(parameter.depth).squareRoot()
        let deviation = (scalars.reduce(0) { $0 + $1 * $1 } / Float(scalars.count)).squareRoot()
        #expect(scalars.allSatisfy { abs($0) <= bound })
        #expect(abs(deviation * 1.732 / bound - 1) < 0.15)
      }
    }
    let base = try TinyModel.llamaGQA.parameters()
    let before = base.numbers
    made.merge(into: base, pool: ThreadPool(threads: 2))
    #expect(before == base.numbers)
  }

  // MARK: Folders

  /// Changes adapter_config.json of a laid-out adapter.
  private func change(_ folder: TemporaryFolder, _ key: String, _ value: JSON) throws {
    let path = folder.path + "/adapter_config.json"
    var members = try #require(JSON.parse([UInt8](Data(contentsOf: URL(fileURLWithPath: path))), place: path).object)
    members[key] = value
    try folder.write(.object(members), "adapter_config.json")
  }

  private static let variants: [(key: String, value: JSON)] = [
    ("peft_type", .string("IA3")), ("r", .integer(0)), ("r", .integer(4)), ("r", .string("3")),
    ("r", .integer(1 << 40)),
    ("lora_alpha", .null), ("use_dora", .bool(true)), ("bias", .string("all")), ("lora_bias", .bool(true)),
    ("fan_in_fan_out", .bool(true)), ("modules_to_save", .array([.string("lm_head")])),
    ("rank_pattern", .object(["q_proj": .integer(8)])), ("base_model_name_or_path", .string("someone/else")),
    ("base_model_name_or_path", .null), ("base_model_name_or_path", .string("itself")),
  ]

  @Test("An adapter of another kind is refused with the key in the error", arguments: variants.indices)
  func anAdapterOfAnotherKindIsRefusedByTheKey(_ index: Int) throws {
    let folder = try PEFTAdapter.llama.laidOut()
    let (key, value) = Self.variants[index]
    // A folder that is its own base.
    try FileManager.default.createSymbolicLink(atPath: folder.path + "/itself", withDestinationPath: ".")
    try change(folder, key, value)
    let error = #expect(throws: InputError.self) { try ModelLoader.load(path: folder.path) }
    #expect(error?.place.contains(folder.path) == true, "\(key): \(error.map { "\($0)" } ?? "")")
  }

  @Test("An adapter of another model is refused") func anAdapterOfAnotherModelIsRefused() throws {
    let folder = try PEFTAdapter.llama.laidOut()
    let other = try PEFTAdapter.llavaSigLIP.laidOut()
    let files = FileManager.default
    try files.removeItem(atPath: folder.path + "/base")
    try files.copyItem(atPath: other.path + "/base", toPath: folder.path + "/base")
    let error = #expect(throws: InputError.self) { try ModelLoader.load(path: folder.path) }
    #expect(error?.found.contains("lora_A") == true || error?.expected.contains("shape") == true)
  }

  @Test("The base that an adapter was trained on is distinguished from another of the same sizes")
  func theBaseThatItWasTrainedOnIsToldFromOneOfTheSameSizes() throws {
    let folder = try PEFTAdapter.llama.laidOut()
    try AdaptedModel(folder: folder.path).save(to: folder.path)
    _ = try ModelLoader.load(path: folder.path)
    let path = folder.path + "/base/model.safetensors"
    var weights = try [UInt8](Data(contentsOf: URL(fileURLWithPath: path)))
    weights[weights.count - 1] ^= 1
    try Data(weights).write(to: URL(fileURLWithPath: path))
    let error = #expect(throws: InputError.self) { try ModelLoader.load(path: folder.path) }
    #expect(error?.place == folder.path + "/base")
    #expect(error?.expected.contains("checksum") == true)
    #expect(throws: InputError.self) { try AdaptedModel(folder: folder.path) }
  }

  @Test("An adapter that does not fit the settings becomes part of the base")
  func anAdapterThatDoesNotFitTheSettingsBecomesPartOfTheBase() throws {
    let folder = try PEFTAdapter.llama.laidOut()
    let merged = try ModelLoader.load(path: folder.path)
    let wanted = try #require(
      try settings(5, ["o_proj"]).description(
        for: merged.description.config, family: merged.description.family, parts: ModelPart.allCases,
        precision: .float32, key: "model.lora"))
    let (model, resumes) = try AdaptedModel.start(path: folder.path, wanted, seed: 1)
    #expect(!resumes)
    #expect(model.source.path == folder.path)
    #expect(model.base.numbers == merged.parameters.numbers)
    // An adapter on an adapter opens as well.
    try FileManager.default.createDirectory(atPath: folder.path + "/second", withIntermediateDirectories: false)
    try model.save(to: folder.path + "/second")
    let again = try ModelLoader.load(path: folder.path + "/second")
    #expect(again.parameters.numbers == merged.parameters.numbers, "B is still zero")
  }

  /// The same scale by another formula is another adapter: what is trained further has to be saved and sent as it is.
  @Test("A rank-stabilized adapter is not trained further as a plain one")
  func aRankStabilizedAdapterIsNotTrainedFurtherAsAPlainOne() throws {
    let folder = try PEFTAdapter.llavaSigLIP.laidOut()
    let found = try AdaptedModel(folder: folder.path).adapter.description
    #expect(found.isRankStabilized)
    #expect(found.rank == 4)
    let plain = AdapterDescription(
      rank: 4, alpha: found.alpha * 2, basePrecision: .bfloat16, names: found.names)
    #expect(plain.scale == found.scale)
    #expect(!found.fits(plain))
    #expect(!plain.fits(found))
    #expect(try !AdaptedModel.start(path: folder.path, plain, seed: 1).resumes)
  }

  @Test("An adapter file that is truncated anywhere is refused") func aFileThatIsCutAnywhereIsRefused() throws {
    let folder = try PEFTAdapter.llama.laidOut()
    for name in ["adapter_model.safetensors", "adapter_config.json"] {
      let bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: "\(folder.path)/\(name)")))
      for count in stride(from: 0, to: bytes.count - 1, by: 97) {
        try folder.write(Array(bytes[..<count]), name)
        #expect(throws: InputError.self) { try ModelLoader.load(path: folder.path) }
      }
      try folder.write(bytes, name)
    }
    _ = try ModelLoader.load(path: folder.path)
  }
}
