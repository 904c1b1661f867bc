import Architecture
import Imaging
import ModelFiles
import Processors
import Prompts
import Support
import Testing

/// Chats with images against the processors of transformers: equal tokens, equal pixels.
@Suite struct PromptProcessorTests {
  private static func families() throws -> [JSON] { try #require(try ImagingFixtures.json("prompts.json").array) }

  private static func processor(_ family: JSON, without missing: String? = nil) throws -> PromptProcessor {
    var files: [String: [UInt8]] = [:]
    for (name, text) in try #require(family["files"]?.object) where name != missing {
      files[name] = Array(try #require(text.string).utf8)
    }
    return try PromptProcessor(ModelDescription(files: files, place: "model"), place: "model")
  }

  private static func messages(_ one: JSON) throws -> [ChatMessage] {
    try #require(one["messages"]?.array).map {
      ChatMessage(role: try #require($0["role"]?.string), content: try #require($0["content"]?.string))
    }
  }

  private static func images(_ one: JSON) throws -> [PromptImage] {
    try #require(one["images"]?.array).map {
      let text = try #require($0.string)
      return PromptImage(bytes: try #require(Base64.decode(text)))
    }
  }

  @Test("Tokens and pixels are those of transformers", arguments: [0, 1, 2])
  func oracle(_ index: Int) throws {
    let family = try Self.families()[index]
    let processor = try Self.processor(family)
    let cases = try #require(family["cases"]?.array)
    #expect(cases.count == 3)
    for one in cases {
      let images = try Self.images(one)
      let prompt = try processor.encode(Self.messages(one), images: images, place: "prompt")
      let tokens = try #require(one["tokens"]?.array)
      #expect(prompt.tokens == tokens.compactMap { $0.int.map(Int32.init) })
      let expected = try one.bytes("pixels")
      let found = prompt.images.flatMap {
        $0.values.flatMap { withUnsafeBytes(of: $0.bitPattern.littleEndian, Array.init) }
      }
      #expect(found == expected)
      let pixels = try processor.pixels(of: images, place: "prompt")
      #expect(pixels == prompt.images)
    }
  }

  @Test("Another number of placeholders than of images, and files that are no images, are refused by name")
  func refusals() throws {
    let family = try Self.families()[0]
    let processor = try Self.processor(family)
    let one = try #require(family["cases"]?.array?.first)
    let image = try Self.images(one)[0]
    func refusal(_ text: String, _ images: [PromptImage]) throws -> String {
      let error = try #require(throws: InputError.self) {
        try processor.encode([ChatMessage(role: "user", content: text)], images: images, place: "prompt 7")
      }
      return "\(error)"
    }
    #expect(try refusal("<image> and <image>", [image]).contains("1 times <image>"))
    #expect(try refusal("none", [image]).contains("prompt 7"))
    #expect(try refusal("<image>", [PromptImage(bytes: [1, 2, 3])]).contains("prompt 7, image 0"))
  }

  @Test("A vision-language model needs preprocessor_config.json, and a model of text takes no images")
  func files() throws {
    let family = try Self.families()[0]
    let error = try #require(throws: InputError.self) {
      try Self.processor(family, without: ModelDescription.FileName.preprocessorConfig)
    }
    #expect("\(error)".contains("preprocessor_config.json"))

    var members = try #require(family["files"]?.object)
    let file = try #require(members["config.json"]?.string)
    let config = try JSON.parse(Array(file.utf8), place: "config.json")
    var text = try #require(config["text_config"]?.object)
    text["architectures"] = nil
    members["config.json"] = .string(String(decoding: JSON.object(text).serialized(), as: UTF8.self))
    let processor = try Self.processor(.object(["files": .object(members)]))
    let one = try #require(family["cases"]?.array?.first)
    #expect(throws: InputError.self) {
      try processor.encode(Self.messages(one), images: Self.images(one), place: "prompt")
    }
    #expect(try processor.encode([ChatMessage(role: "user", content: "a")], images: [], place: "p").images.isEmpty)
  }
}
