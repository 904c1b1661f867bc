import Architecture
import Imaging
import ModelFiles
import Prompts
import Support
import Tokenizers

/// Turns a prompt as it travels into a prompt as a model takes it: what `transformers` calls a processor.
///
/// Images are decoded and arranged as the model's preprocessor_config.json says; in the chat, each placeholder becomes
/// as many image tokens as its image has features, between the family's marks. Worker and learner use the same one, so
/// both get the same pixels to the bit.
///
/// Source: processing_llava.py, processing_qwen2_5_vl.py and processing_internvl.py of `transformers`.
public struct PromptProcessor: Sendable {
  /// How images become tokens and pixels for the model's vision encoder.
  private struct ImageInput: Sendable {
    let config: VisionConfig
    let processor: ImageProcessor
    /// The text of the image token, and what stands before and after an image's tokens.
    let token: String
    let opening: String
    let closing: String
  }

  private let config: ModelConfig
  private let tokenizer: Tokenizer
  /// nil for a model of text.
  private let imageInput: ImageInput?

  /// - Parameter place: names the model in errors.
  /// - Throws: `InputError` for a model with a vision encoder whose preprocessor_config.json is missing, broken, or at
  ///   odds with the encoder.
  public init(_ description: ModelDescription, place: String) throws {
    config = description.config
    tokenizer = description.tokenizer
    guard let vision = description.config.vision else {
      imageInput = nil
      return
    }
    let name = ModelDescription.FileName.preprocessorConfig
    guard let file = description.files[name] else {
      throw InputError(
        "load model", at: place, expected: "a file \(name), since the model has a vision encoder", found: "none")
    }
    let processor = try ImageProcessor(file: file, place: "\(place)/\(name)")
    let token = String(decoding: description.tokenizer.bytes(of: vision.imageToken), as: UTF8.self)
    guard !token.isEmpty, description.tokenizer.encode(token) == [vision.imageToken] else {
      throw InputError(
        "load model", at: "\(place), tokenizer", expected: "a text for the image token \(vision.imageToken)",
        found: token.isEmpty ? "none" : "\"\(token)\", which is other tokens")
    }
    let (opening, closing) = description.family.imageMarks
    imageInput = ImageInput(config: vision, processor: processor, token: token, opening: opening, closing: closing)
  }

  /// Tokens and pixels of a chat.
  ///
  /// - Parameters:
  ///   - images: in the order of the placeholders in the messages.
  ///   - place: names the prompt in errors.
  /// - Throws: `InputError` for images where the model has no vision encoder, an image that cannot be decoded, another
  ///   number of placeholders than of images, and chats that the model's template does not take.
  public func encode(_ messages: [ChatMessage], images: [PromptImage], place: String) throws -> EncodedPrompt {
    guard !images.isEmpty else { return EncodedPrompt(tokens: try tokenizer.encodeChat(messages)) }
    let tensors = try images.enumerated().map { try pixels(of: $1, place: "\(place), image \($0)") }
    guard let imageInput else { throw Self.noVisionEncoder(images.count, place) }
    var tokenTexts = tensors.map { tensors in
      let count = tensors.reduce(0) { $0 + imageInput.config.featureCount($1.size) }
      return imageInput.opening + String(repeating: imageInput.token, count: count) + imageInput.closing
    }[...]
    let placeholderCount = messages.reduce(0) { $0 + PromptImage.placeholderCount(in: $1.content) }
    guard placeholderCount == images.count else {
      throw InputError(
        "encode prompt", at: place, expected: "\(images.count) times \(PromptImage.placeholder), one an image",
        found: "\(placeholderCount)")
    }
    let filled = messages.map { message in
      var parts = message.content.split(separator: PromptImage.placeholder, omittingEmptySubsequences: false)[...]
      var content = String(parts.removeFirst())
      for part in parts { content += tokenTexts.removeFirst() + part }
      return ChatMessage(role: message.role, content: content)
    }
    let prompt = EncodedPrompt(tokens: try tokenizer.encodeChat(filled), images: tensors.flatMap { $0 })
    try config.checkImages(prompt.images, prompt: prompt.tokens, at: place)
    return prompt
  }

  /// The pixels of a prompt's images, as `encode` gives them.
  /// - Throws: `InputError` as `encode` does.
  public func pixels(of images: [PromptImage], place: String) throws -> [ImageTensor] {
    try images.enumerated().flatMap { try pixels(of: $1, place: "\(place), image \($0)") }
  }

  private func pixels(of image: PromptImage, place: String) throws -> [ImageTensor] {
    guard let imageInput else { throw Self.noVisionEncoder(1, place) }
    return try imageInput.processor.tensors(of: ImageFile.decode(image.bytes, place: place))
  }

  private static func noVisionEncoder(_ count: Int, _ place: String) -> InputError {
    InputError(
      "encode prompt", at: place, expected: "no images, since the model has no vision encoder", found: "\(count)")
  }
}
