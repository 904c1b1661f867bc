import Architecture
import Layers
import ModelFiles
import Support
import Tensor
import Testing
import Tokenizers
import Training

/// Whole models: GGUF against Hugging Face folder, saving against loading, the default model against the reference.
@Suite struct ModelLoadingTests {
  @Test(
    "A GGUF file gives the model of its Hugging Face folder",
    arguments: ["llama_bias_untied", "llama3_scaling", "qwen2", "qwen3"])
  func aGGUFFileIsTheModelOfItsHuggingFaceFolder(name: String) throws {
    let folder = try ModelFiles.folder(ofTiny: name)
    let original = try ModelLoader.load(path: folder.path)
    let converted = try ModelLoader.load(path: "\(ModelFiles.fixtures)/\(name).gguf")
    #expect(ModelFiles.checksums(converted.parameters) == ModelFiles.checksums(original.parameters))
    var expected = original.description.config
    if name == "llama3_scaling" {
      expected.block.rotary.scaling = .init(
        factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalMaxPositions: 8192)
    }
    #expect(converted.description.config == expected)
    #expect(converted.description.family.modelType == original.description.family.modelType)
    #expect(original.description.stopTokens == [2])
    #expect(converted.description.stopTokens == [0, 2])
    let text = "<|im_start|>abcd 12ab<|im_end|>"
    #expect(converted.description.tokenizer.encode(text) == original.description.tokenizer.encode(text))
    #expect(converted.description.tokenizer.definition.chatTemplate?.contains("im_start") == true)
  }

  @Test(
    "The files of a description give an equal description",
    arguments: ["llama_gqa", "llama_bias_untied", "llama3_scaling", "qwen2", "qwen3"])
  func theFilesOfADescriptionMakeItAgain(name: String) throws {
    let folder = try ModelFiles.folder(ofTiny: name)
    let fromFolder = try ModelLoader.describe(path: folder.path)
    let sources = name == "llama_gqa" ? [] : [try ModelLoader.describe(path: "\(ModelFiles.fixtures)/\(name).gguf")]
    for description in [fromFolder] + sources {
      let again = try ModelDescription(files: description.files, place: "again")
      #expect(again.config == description.config)
      #expect(again.stopTokens == description.stopTokens)
      #expect(again.files == description.files)
      #expect(again.tokenizer.encode("abcd ab") == description.tokenizer.encode("abcd ab"))
      let name = ModelDescription.FileName.self
      let always = [name.config, name.generationConfig, name.tokenizer, name.tokenizerConfig]
      #expect(Set(always).isSubset(of: again.files.keys))
    }
  }

  @Test("Saving and loading in fp32 gives the same model", arguments: ["llama_bias_untied", "qwen2", "qwen3"])
  func savingAndLoadingInFloat32GivesTheSameModel(name: String) throws {
    let loaded = try ModelLoader.load(path: "\(ModelFiles.fixtures)/\(name).gguf")
    let folder = try TemporaryFolder()
    try ModelSaver.save(
      loaded.description, parameters: loaded.parameters, to: "\(folder.path)/new/model", encoding: .float32)
    let again = try ModelLoader.load(path: "\(folder.path)/new/model")
    #expect(ModelFiles.checksums(again.parameters) == ModelFiles.checksums(loaded.parameters))
    #expect(again.description.config == loaded.description.config)
    #expect(again.description.stopTokens == loaded.description.stopTokens)
  }

  @Test("Saving in bf16 keeps what a decoder of bf16 computes with")
  func savingInBfloat16KeepsWhatADecoderOfBfloat16ComputesWith() throws {
    let source = try ModelFiles.folder(ofTiny: "qwen3")
    let loaded = try ModelLoader.load(path: source.path)
    // What training leaves: no scalar is one of bf16.
    for index in loaded.parameters.values.elements.indices { loaded.parameters.values.elements[index] *= 1.001 }
    let folder = try TemporaryFolder()
    try ModelSaver.save(loaded.description, parameters: loaded.parameters, to: folder.path, encoding: .bfloat16)
    let again = try ModelLoader.load(path: folder.path)
    for (index, parameter) in loaded.parameters.parameters.enumerated() {
      let kept = loaded.parameters.scalars(index).map {
        parameter.shape.count == 1 ? $0 : Float(bitPattern: UInt32($0.bfloat16Bits) << 16)
      }
      #expect(ModelFiles.bits(again.parameters.scalars(index)) == ModelFiles.bits(kept), "\(parameter.name)")
    }
    func scores(_ parameters: ParameterSet) -> [[SequenceScores]] {
      TrainingModel(
        config: loaded.description.config, parameters: parameters, precision: .bfloat16, pool: ThreadPool(threads: 1),
        trainable: false
      ).score([TrainingGroup(promptTokens: [1, 2, 3], completions: [[4, 5, 6], [7, 8]])], temperature: 0.7)
    }
    #expect(scores(again.parameters) == scores(loaded.parameters), "bit for bit")
    let config = try JSON.parse(
      try MappedFile.contents(of: "\(folder.path)/config.json", byteCountMax: 1 << 16), place: "config.json")
    #expect(config["torch_dtype"] == .string("bfloat16"))
    #expect(config["dtype"] == nil)
    #expect(config["transformers_version"] == .string("5.23.0"), "the model's own keys are kept")
  }

  @Test("Saved tensors start at a multiple of eight bytes and name their framework")
  func savedTensorsStartAtAMultipleOfEightBytesAndNameTheirFramework() throws {
    let loaded = try ModelLoader.load(path: "\(ModelFiles.fixtures)/qwen2.gguf")
    let folder = try TemporaryFolder()
    try ModelSaver.save(loaded.description, parameters: loaded.parameters, to: folder.path, encoding: .float32)
    let bytes = try MappedFile.contents(of: "\(folder.path)/model.safetensors", byteCountMax: 1 << 20)
    let length = bytes[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
    #expect(length % 8 == 0)
    let header = try JSON.parse(Array(bytes[8..<8 + length]), place: "header")
    #expect(header["__metadata__"] == .object(["format": .string("pt")]))
    #expect(bytes.count == 8 + length + 4 * loaded.parameters.parameters.map(\.count).reduce(0, +))
  }

  @Test("Saved tensors of both widths start at a multiple of their own width")
  func savedTensorsOfBothWidthsStartAtAMultipleOfTheirOwn() throws {
    let source = try ModelFiles.folder(ofTiny: "qwen3")
    let loaded = try ModelLoader.load(path: source.path)
    let folder = try TemporaryFolder()
    try ModelSaver.save(loaded.description, parameters: loaded.parameters, to: folder.path, encoding: .bfloat16)
    let bytes = try MappedFile.contents(of: "\(folder.path)/model.safetensors", byteCountMax: 1 << 20)
    let length = bytes[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
    let tensors = try #require(JSON.parse(Array(bytes[8..<8 + length]), place: "header").object)
      .filter { $0.key != "__metadata__" }
    var widths: Set<Int> = []
    for (name, tensor) in tensors {
      let isVector = tensor["shape"]?.array?.count == 1
      #expect(tensor["dtype"]?.string == (isVector ? "F32" : "BF16"), "\(name)")
      let width = isVector ? 4 : 2
      let first = try #require(tensor["data_offsets"]?.array?.first?.int)
      #expect(first % width == 0, "\(name) starts at \(first)")
      widths.insert(width)
    }
    #expect(widths == [2, 4])
    #expect(tensors.count == loaded.parameters.parameters.count)
  }

  @Test(
    "The default model loads with the bits of the reference",
    .enabled(if: ModelOracle.defaultModelPath != nil, ModelOracle.needsDefaultModel))
  func theDefaultModelLoadsToTheBitsOfTheReference() throws {
    let path = try #require(ModelOracle.defaultModelPath)
    let clock = ContinuousClock()
    let start = clock.now
    let loaded = try ModelLoader.load(path: path)
    print("the default model loads in \(clock.now - start)")
    #expect(try ModelFiles.checksums(loaded.parameters) == ModelFiles.checksums("default_model.json"))
    let config = loaded.description.config
    #expect(
      config
        == ModelConfig(
          vocabularySize: 49_152, hiddenSize: 576, feedForwardSize: 1536, layerCount: 30, headCount: 9,
          keyValueHeadCount: 3, maxPositions: 8192,
          block: BlockDescription(norm: .init(epsilon: 1e-5), rotary: RotaryDescription(theta: 100_000))))
    #expect(loaded.description.family.modelType == "llama")
    #expect(loaded.description.stopTokens == [2])
    #expect(loaded.description.tokenizer.decode(loaded.description.tokenizer.encode("Hello 123")) == "Hello 123")
  }
}
