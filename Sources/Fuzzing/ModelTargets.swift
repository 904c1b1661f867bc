import Architecture
import Imaging
import Layers
import Model
import ModelFiles
import Processors
import Prompts
import Support
import Tensor
import Tokenizers

/// The files of a model, as they are downloaded from anywhere.
extension FuzzTarget {
  static let models = [gguf, safetensors, adapter, tokenizer, template, config, preprocessor]

  private static let gguf = FuzzTarget("gguf") { bytes in
    let model = try ModelLoader.load(gguf: MappedFile(bytes: bytes, path: "model.gguf"))
    exercise(model.description.tokenizer, text: "ab c")
    promise(
      try ModelDescription(files: model.description.files, place: "written").config.parameters
        == model.description.config.parameters, "the files of a model make it again")
  }

  private static let safetensors = FuzzTarget("safetensors") { bytes in
    let tensors = try SafetensorsFile.tensors(in: MappedFile(bytes: bytes, path: "model.safetensors"))
    for tensor in tensors.values {
      promise(tensor.decoded().count == tensor.shape.reduce(1, *), "a tensor has its scalars")
    }
  }

  /// A length and adapter_config.json, then adapter_model.safetensors: for a model of 14 linear layers.
  private static let adapter = FuzzTarget("adapter") { bytes in
    var input = FuzzInput(bytes)
    let config = try AdapterConfig(input.frame(), place: "adapter_config.json")
    let model = ModelConfig(
      vocabularySize: 96, hiddenSize: 32, feedForwardSize: 48, layerCount: 2, headCount: 4, keyValueHeadCount: 2)
    let adapter = try AdaptedModel.adapter(
      config, MappedFile(bytes: input.remainder(), path: "adapter_model.safetensors"), of: model, family: Llama())
    promise(
      adapter.parameters.parameters.count == 2 * adapter.weights.count && !adapter.weights.isEmpty,
      "every adapted layer has its A and B")
    adapter.merge(into: ParameterSet(config: model), pool: ThreadPool(threads: 1))
  }

  /// tokenizer.json, tokenizer_config.json, and a text, with NUL bytes between.
  private static let tokenizer = FuzzTarget("tokenizer") { bytes in
    let parts = FuzzInput.parts(bytes, count: 3)
    var files = ["tokenizer.json": parts[0]]
    if !parts[1].isEmpty { files["tokenizer_config.json"] = parts[1] }
    let tokenizer = try Tokenizer(files: files, place: "folder")
    exercise(tokenizer, text: String(decoding: parts[2], as: UTF8.self))
  }

  /// Encoding is total, whatever the tokenizer.
  private static func exercise(_ tokenizer: Tokenizer, text: String) {
    for text in [text, "Hello, wörld!  123\n\u{1F600}e\u{301}<|im_start|>"] {
      let tokens = tokenizer.encode(text, addSpecialTokens: true)
      promise(tokens.allSatisfy { (0..<Int32(tokenizer.vocabularySize)).contains($0) }, "tokens are of the vocabulary")
      _ = tokenizer.decode(tokens)
    }
    _ = try? tokenizer.encodeChat([ChatMessage(role: "user", content: text)])
  }

  private static let template = FuzzTarget("template") { bytes in
    let parts = FuzzInput.parts(bytes, count: 2)
    let template = try ChatTemplate(String(decoding: parts[0], as: UTF8.self))
    let content = String(decoding: parts[1], as: UTF8.self)
    for roles in [["user"], ["system", "user"], ["user", "assistant", "user"]] {
      let messages = roles.map { ChatMessage(role: $0, content: content) }
      _ = try template.render(messages, bos: "<s>", addGenerationPrompt: true)
    }
  }

  /// config.json, generation_config.json and preprocessor_config.json, with NUL bytes between.
  private static let config = FuzzTarget("config") { bytes in
    let parts = FuzzInput.parts(bytes, count: 3)
    var files = [
      "config.json": parts[0],
      "tokenizer.json": smallestTokenizer,
    ]
    if !parts[1].isEmpty { files["generation_config.json"] = parts[1] }
    if !parts[2].isEmpty { files["preprocessor_config.json"] = parts[2] }
    let description = try ModelDescription(files: files, place: "folder")
    promise(
      description.config.parameters.allSatisfy { $0.count > 0 && $0.count < 1 << 50 }, "the sizes can be multiplied")
    try description.config.check(rollout: .int8, at: "folder")
    _ = try PromptProcessor(description, place: "folder")
  }

  private static let smallestTokenizer = Array(
    """
    {"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "decoder": {"type": "ByteLevel"},
     "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false}}
    """.utf8)

  private static let preprocessor = FuzzTarget("preprocessor") { bytes in
    let processor = try ImageProcessor(file: bytes, place: "preprocessor_config.json")
    guard isSmall(processor.arrangement) else { return }
    for (width, height) in [(1, 1), (40, 3), (17, 29)] {
      let pixels = (0..<width * height * 3).map { UInt8(truncatingIfNeeded: $0 &* 37) }
      // A shape that cannot be arranged is refused.
      _ = try? processor.pixels(of: Image(width: width, height: height, pixels: pixels))
    }
  }

  /// Whether an image is arranged quickly. The image sizes of real vision-language models take seconds here.
  private static func isSmall(_ arrangement: ImageProcessor.Arrangement) -> Bool {
    switch arrangement {
    case .single(let resize, let crop):
      let edge: Int? =
        switch resize {
        case .to(let size): max(size.width, size.height)
        case .shortestEdge(let edge): edge * 16
        case nil: nil
        }
      return max(edge ?? 0, crop?.width ?? 0, crop?.height ?? 0) <= 512
    case .patches(_, _, let time, let pixelCount): return time * pixelCount.upperBound <= 1 << 18
    case .tiles(let size, let count, _): return max(size.width, size.height) <= 64 && count.upperBound <= 12
    }
  }
}
