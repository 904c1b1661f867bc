/// What an image may cost, checked from its header before anything is decoded.
///
/// A file of a few kilobytes can hold a picture of gigabytes; a decoder that trusts it hands the machine over.
public struct ImageLimits: Equatable, Sendable {
  /// Of the encoded file.
  public var byteCountMax: Int
  /// Of each side, in pixels.
  public var sideMax: Int
  public var pixelCountMax: Int

  public init(byteCountMax: Int = 32 << 20, sideMax: Int = 16_384, pixelCountMax: Int = 50_000_000) {
    self.byteCountMax = byteCountMax
    self.sideMax = sideMax
    self.pixelCountMax = pixelCountMax
  }
}
