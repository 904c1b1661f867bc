/// The sizes of a model that is made from nothing; `make` (in ModelFiles) makes it.
///
/// The defaults make 2.7 million parameters, of which the vision encoder has 0.8 million.
public struct NewModelSettings: Equatable, Sendable {
  /// The most tokens of the vocabulary; a short text gives fewer.
  public var vocabularySize = 1024
  public var hiddenSize = 192
  public var feedForwardSize = 512
  public var layerCount = 4
  public var headCount = 4
  public var keyValueHeadCount = 2
  public var maxPositions = 2048
  /// Pixels along each side of an image; 0 makes a model of text alone.
  public var imageSize = 64
  public var patchSize = 8
  public var visionHiddenSize = 128
  public var visionFeedForwardSize = 512
  public var visionLayerCount = 4
  public var visionHeadCount = 4
  /// Paths of the texts that the tokenizer is trained on; the caller of `make` reads them.
  public var textFiles: [String] = []

  public init() {}
}
