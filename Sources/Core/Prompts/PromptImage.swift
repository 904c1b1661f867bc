import CXXHash

/// An image of a prompt as it travels: the encoded file, JPEG or PNG, and its content address.
///
/// It stays encoded until a model takes it: a tenth of the pixels' bytes, and one decoder for every role. The address
/// lets a worker keep what it computed for an image; it follows from the bytes, so it is never sent.
///
/// A chat's text says where the images stand: the n-th `placeholder` of its messages is the n-th image. A text without
/// images may contain the word; then it means nothing.
public struct PromptImage: Hashable, Sendable {
  /// Stands for an image in a chat.
  public static let placeholder = "<image>"
  /// The most images of one prompt.
  public static let countMax = 6
  /// The most bytes of one encoded image.
  public static let byteCountMax = 32 << 20

  /// The encoded file. `Imaging` finds out whether it can be decoded.
  public let bytes: [UInt8]
  public let address: ContentAddress

  public init(bytes: [UInt8]) {
    self.bytes = bytes
    address = ContentAddress(of: bytes)
  }

  public func hash(into hasher: inout Hasher) { hasher.combine(address) }

  /// The placeholders in a text.
  public static func placeholderCount(in text: String) -> Int { text.ranges(of: placeholder).count }
}

/// XXH3-128 of some bytes: equal for equal bytes, and different for different ones but for a chance of 2 to the -128.
/// Not proof against forgery, so a role only uses addresses that it computed from the bytes itself.
public struct ContentAddress: Hashable, Sendable, CustomStringConvertible {
  public let high: UInt64
  public let low: UInt64

  public init(of bytes: [UInt8]) {
    let hash = bytes.withUnsafeBytes { XXH3_128bits($0.baseAddress, $0.count) }
    (high, low) = (hash.high64, hash.low64)
  }

  /// 32 hexadecimal digits.
  public var description: String {
    [high, low].map { half in
      let digits = String(half, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
  }
}
