/// A prompt as a model takes it: the tokens of its chat, and its images as pixels in the order of their tokens.
public struct EncodedPrompt: Equatable, Sendable {
  public var tokens: [Int32]
  /// One or more for each image of the prompt, which may be cut into tiles.
  public var images: [ImageTensor]

  public init(tokens: [Int32], images: [ImageTensor] = []) {
    self.tokens = tokens
    self.images = images
  }
}
