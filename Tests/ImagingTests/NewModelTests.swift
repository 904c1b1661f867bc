import Architecture
import Foundation
import Imaging
import Layers
import ModelFiles
import Processors
import Prompts
import Support
import Tensor
import Testing
import Tokenizers
import Training

/// Models from nothing: what is made, opened again, and asked about an image. With FOVEA_SAVED_NEW_MODELS the folders
/// stay there, each next to what we compute with it, and `make check-transformers` opens them in transformers.
@Suite struct NewModelTests {
  private static let texts = [
    "What does the photograph show? <think>the disc is pale</think><answer>B</answer>",
    "The photograph shows the optic disc, the macula and the vessels. Which grade is it, 0, 1, 2, 3 or 4?",
  ]

  private static func sizes(_ change: (inout NewModelSettings) -> Void = { _ in }) -> NewModelSettings {
    var sizes = NewModelSettings()
    (sizes.vocabularySize, sizes.hiddenSize, sizes.feedForwardSize, sizes.layerCount) = (300, 48, 64, 2)
    (sizes.imageSize, sizes.visionHiddenSize, sizes.visionFeedForwardSize, sizes.visionLayerCount) = (24, 32, 48, 2)
    change(&sizes)
    return sizes
  }

  private static func make(_ sizes: NewModelSettings = sizes(), seed: UInt64 = 1) throws -> LoadedModel {
    try sizes.make(texts: texts, seed: seed, place: "test")
  }

  @Test("The same sizes, texts and seed make the same bytes; another seed makes other weights")
  func repeatable() throws {
    let (one, again, other) = (try Self.make(), try Self.make(), try Self.make(seed: 2))
    #expect(one.description.files == again.description.files)
    #expect(Array(one.parameters.values.elements) == Array(again.parameters.values.elements))
    #expect(one.description.files == other.description.files)
    #expect(Array(one.parameters.values.elements) != Array(other.parameters.values.elements))
  }

  @Test("Weights have the deviation that they should have, norms are one, biases zero")
  func initialization() throws {
    let model = try Self.make()
    func deviation(_ name: String) -> Float {
      let scalars = model.parameters[name]
      return (scalars.reduce(0) { $0 + $1 * $1 } / Float(scalars.count)).squareRoot()
    }
    // one over the root of the inputs; with two layers writers into the residual stream are narrower by 2
    let expected: [(String, Float)] = [
      ("model.embed_tokens.weight", 0.02), ("model.layers.1.mlp.up_proj.weight", 1 / Float(48).squareRoot()),
      ("vision.patch_embedding.weight", 1 / Float(192).squareRoot()),
      ("vision.layers.0.mlp.fc1.weight", 1 / Float(32).squareRoot()), ("model.layers.0.mlp.down_proj.weight", 1 / 16),
      ("vision.layers.1.attention.output.weight", 0.5 / Float(32).squareRoot()),
    ]
    for (name, value) in expected { #expect(abs(deviation(name) / value - 1) < 0.1, "\(name)") }
    #expect(model.parameters["vision.layers.0.norm1.weight"].allSatisfy { $0 == 1 })
    #expect(model.parameters["vision.layers.0.norm1.bias"].allSatisfy { $0 == 0 })
    #expect(model.parameters["projector.linear_1.bias"].allSatisfy { $0 == 0 })
  }

  @Test("The default sizes make one to three million parameters")
  func defaults() throws {
    let count = try Self.make(NewModelSettings()).parameters.parameters.reduce(0) { $0 + $1.count }
    #expect((1_000_000...3_000_000).contains(count), "\(count)")
  }

  @Test("What the preprocessor subtracts and divides by is the images' own mean and deviation")
  func channels() throws {
    // Red: half 0, half 200. Green: 100 everywhere. Blue: 0, 10, 20, 30, whose variance is 125.
    let pixels: [[UInt8]] = [[0, 100, 0], [200, 100, 10], [0, 100, 20], [200, 100, 30]]
    let images = [
      Image(width: 2, height: 1, pixels: pixels[0] + pixels[1]),
      Image(width: 1, height: 2, pixels: pixels[2] + pixels[3]),
    ]
    let channels = try #require(ChannelStatistics.measured(over: images))
    #expect(channels.mean.map { $0 * 255 } == [100, 100, 15])
    #expect(zip(channels.deviation, [100, 1, 125.0.squareRoot()]).allSatisfy { abs($0 * 255 - $1) < 1e-12 })
    #expect(ChannelStatistics.measured(over: []) == nil)

    let model = try Self.sizes().make(texts: Self.texts, channels: channels, seed: 1, place: "test")
    let file = try #require(model.description.files[ModelDescription.FileName.preprocessorConfig])
    let processor = try ImageProcessor(file: file, place: "test")
    #expect(zip(processor.mean, channels.mean).allSatisfy { abs(Double($0) - $1) <= 5e-5 })
    #expect(zip(processor.deviation, channels.deviation).allSatisfy { abs(Double($0) - $1) <= 5e-5 })
  }

  @Test("A folder opens as what was saved, takes a chat with an image, and scores it", arguments: [24, 0])
  func folder(_ imageSize: Int) throws {
    let model = try Self.make(Self.sizes { $0.imageSize = imageSize })
    let kept = ProcessInfo.processInfo.environment["FOVEA_SAVED_NEW_MODELS"]
    let temporary = NSTemporaryDirectory() + "fovea-new-model-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: temporary) }
    let folder = "\(kept ?? temporary)/\(imageSize > 0 ? "sees" : "text")"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try ModelSaver.save(model.description, parameters: model.parameters, to: folder, encoding: .float32)
    let again = try ModelLoader.load(path: folder)
    #expect(again.description.config == model.description.config)
    #expect(again.description.stopTokens == model.description.stopTokens)
    #expect(Array(again.parameters.values.elements) == Array(model.parameters.values.elements))

    var random = RandomStream(seed: 5, purpose: .test)
    let image = Image(
      width: 30, height: 24, pixels: (0..<30 * 24 * 3).map { _ in UInt8(random.integer(below: 256)) })
    let images = imageSize > 0 ? [PromptImage(bytes: ImageFile.png(image))] : []
    let messages = [ChatMessage(role: "user", content: (imageSize > 0 ? "<image>" : "") + "What is it?\n17 + 4")]
    let prompt = try PromptProcessor(again.description, place: folder).encode(messages, images: images, place: "chat")
    #expect(
      prompt.tokens.count { $0 == again.description.config.vision?.imageToken } == imageSize / 8 * (imageSize / 8))
    let completion = again.description.tokenizer.encode("<think>pale</think><answer>B</answer><|im_end|>")
    #expect(completion.count { again.description.stopTokens.contains($0) } == 1)
    let policy = TrainingModel(
      config: again.description.config, parameters: again.parameters, precision: .float32, pool: ThreadPool(threads: 1),
      trainable: false)
    let group = TrainingGroup(promptTokens: prompt.tokens, completions: [completion], images: prompt.images)
    let scores = policy.score([group], temperature: 1)[0][0]
    #expect(scores.entropies.allSatisfy { $0 > 4 }, "a random model knows something: \(scores.entropies)")

    guard kept != nil else { return }
    try Data(ImageFile.png(image)).write(to: URL(fileURLWithPath: folder + ".png"))
    let json = JSON.object([
      "content": .string(messages[0].content), "tokens": .array(prompt.tokens.map { .integer(Int64($0)) }),
      "completion": .array(completion.map { .integer(Int64($0)) }),
      "logProbabilities": .array(scores.logProbabilities.map { .number(Double($0)) }),
      "entropies": .array(scores.entropies.map { .number(Double($0)) }),
    ])
    try Data(json.serialized()).write(to: URL(fileURLWithPath: folder + ".json"))
  }

  @Test("Sizes that no model has are refused by name")
  func refusals() throws {
    func refusal(_ change: (inout NewModelSettings) -> Void) throws -> String {
      "\(try #require(throws: InputError.self) { try Self.make(Self.sizes(change)) })"
    }
    #expect(try refusal { $0.headCount = 5 }.contains("the 5 heads divide, found 48"))
    #expect(try refusal { $0.keyValueHeadCount = 3 }.contains("num_key_value_heads"))
    #expect(try refusal { $0.patchSize = 10 }.contains("image_size"))
    #expect(try refusal { $0.visionHeadCount = 3 }.contains("num_attention_heads"))
  }
}
