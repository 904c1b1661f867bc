/// Limits of an image, checked against its header before anything is decoded.
///
/// A file of a few kilobytes can claim an image of gigabytes, which would exhaust the memory of a decoder that trusts
/// it.
public struct ImageLimits: Equatable, Sendable {
  /// The most bytes of the encoded file.
  public var byteCountMax: Int
  /// The longest side, in pixels.
  public var sideMax: Int
  public var pixelCountMax: Int

  public init(byteCountMax: Int = 32 << 20, sideMax: Int = 16_384, pixelCountMax: Int = 50_000_000) {
    self.byteCountMax = byteCountMax
    self.sideMax = sideMax
    self.pixelCountMax = pixelCountMax
  }
}
