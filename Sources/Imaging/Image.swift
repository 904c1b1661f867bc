/// A decoded image: 8-bit RGB, what Pillow's `convert("RGB")` gives.
///
/// Everything works on this one kind: a gray file becomes three equal channels, transparency is dropped, 16 bits become
/// the high 8, and a rotation that EXIF asks for is not applied, as in the evaluation of the released models.
///
/// Invariant: `pixels.count == width * height * 3`, and both sides are at least 1.
public struct Image: Equatable, Sendable {
  public let width: Int
  public let height: Int
  /// Rows from the top, `[height, width, 3]`.
  public let pixels: [UInt8]

  public init(width: Int, height: Int, pixels: [UInt8]) {
    precondition(
      width >= 1 && height >= 1 && pixels.count == width * height * 3,
      "\(pixels.count) bytes for \(width) x \(height) RGB pixels")
    self.width = width
    self.height = height
    self.pixels = pixels
  }

  /// The part of `height` rows and `width` columns whose first pixel is (`left`, `top`).
  ///
  /// Outside the image it is black.
  public func cropped(left: Int, top: Int, width: Int, height: Int) -> Image {
    var cut = [UInt8](repeating: 0, count: width * height * 3)
    let columns = max(0, left)..<max(max(0, left), min(self.width, left + width))
    for y in max(0, top)..<max(max(0, top), min(self.height, top + height)) where !columns.isEmpty {
      let source = (y * self.width + columns.lowerBound) * 3
      let target = ((y - top) * width + columns.lowerBound - left) * 3
      let count = columns.count * 3
      cut.replaceSubrange(target..<target + count, with: pixels[source..<source + count])
    }
    return Image(width: width, height: height, pixels: cut)
  }
}
