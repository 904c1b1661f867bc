import Support

/// One image (or one tile of it) as a vision encoder takes it: resized, normalised, fp32.
public struct ImageTensor: Equatable, Sendable {
  public var size: VisionConfig.ImageSize
  /// `[channels, height, width]`
  public var values: [Float]

  /// - Parameter values: `[channels, height, width]`.
  public init(height: Int, width: Int, values: [Float]) {
    size = VisionConfig.ImageSize(height: height, width: width)
    self.values = values
  }
}

extension ModelConfig {
  /// Whether the prompt's image tokens and the images fit together and the model: throws otherwise.
  ///
  /// - Parameter place: names the prompt in errors.
  /// - Throws: `InputError` for images where the model has no vision encoder, an image of a size that the encoder does
  ///   not take or with values that are NaN, and another number of image tokens than of features.
  public func checkImages(_ images: [ImageTensor], prompt tokens: [Int32], at place: String) throws {
    func failure(_ expected: String, _ found: String) -> InputError {
      InputError("take images", at: place, expected: expected, found: found)
    }
    guard let vision else {
      if images.isEmpty { return }
      throw failure("no images, since the model has no vision encoder", "\(images.count)")
    }
    var featureCount = 0
    for (index, image) in images.enumerated() {
      let (height, width) = (image.size.height, image.size.width)
      let unit = vision.featurePixels
      if let required = vision.imageSize, required != image.size {
        throw failure(
          "images of \(required.height) x \(required.width) pixels", "\(height) x \(width) (image \(index))")
      }
      guard height > 0, width > 0, height % unit == 0, width % unit == 0, height <= 1 << 15, width <= 1 << 15 else {
        throw failure("sides that are multiples of \(unit) pixels", "\(height) x \(width) (image \(index))")
      }
      guard image.values.count == vision.channelCount * height * width else {
        throw failure(
          "\(vision.channelCount) x \(height) x \(width) values", "\(image.values.count) (image \(index))")
      }
      guard image.values.allSatisfy({ abs($0) <= 1e6 }) else {
        throw failure("normalised pixels, at most 1e6", "a larger value or NaN (image \(index))")
      }
      featureCount += vision.featureCount(image.size)
    }
    let tokenCount = tokens.count { $0 == vision.imageToken }
    guard tokenCount == featureCount else {
      throw failure("\(featureCount) image tokens, one a feature of the \(images.count) images", "\(tokenCount)")
    }
  }
}
