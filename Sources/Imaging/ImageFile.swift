import CImages
import Support

/// The file formats that are read. Their first bytes tell them apart, since names and media types may be wrong.
public enum ImageFormat: String, Sendable, CaseIterable {
  case jpeg = "JPEG"
  case png = "PNG"

  /// nil for anything else.
  public init?(of bytes: [UInt8]) {
    if bytes.starts(with: [0xFF, 0xD8, 0xFF]) {
      self = .jpeg
    } else if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) {
      self = .png
    } else {
      return nil
    }
  }
}

/// The header of an image file.
public struct ImageHeader: Equatable, Sendable {
  public var format: ImageFormat
  public var width: Int
  public var height: Int
  /// As stored: 1 gray, 2 gray and alpha, 3 colour or a palette, 4 colour and alpha or CMYK.
  public var channels: Int
  /// Bits a channel, as stored.
  public var bits: Int
}

/// Decodes image files, and writes PNG.
///
/// JPEG: gray, YCbCr and RGB as libjpeg-turbo decodes them by default; CMYK and YCCK converted. PNG: every kind.
/// A file that ends early, or whose damage changes pixels, is refused.
public enum ImageFile {
  /// The header, with the limits checked.
  /// - Parameter place: names the file in errors.
  /// - Throws: `InputError` for bytes that are no image or break a limit.
  public static func header(of bytes: [UInt8], limits: ImageLimits = ImageLimits(), place: String) throws -> ImageHeader
  {
    guard bytes.count <= limits.byteCountMax else {
      throw failure(place, expected: "a file of at most \(limits.byteCountMax) bytes", found: "\(bytes.count)")
    }
    guard let format = ImageFormat(of: bytes) else {
      throw failure(place, expected: "a JPEG or PNG file", found: "\(bytes.count) bytes of something else")
    }
    var header = fovea_image_header()
    try call(place, format) { reason in
      (format == .jpeg ? fovea_jpeg_header : fovea_png_header)(bytes, bytes.count, &header, reason)
    }
    let (width, height) = (Int(header.width), Int(header.height))
    guard (1...limits.sideMax).contains(width), (1...limits.sideMax).contains(height),
      width * height <= limits.pixelCountMax
    else {
      throw failure(
        place, expected: "sides of at most \(limits.sideMax) and at most \(limits.pixelCountMax) pixels",
        found: "\(width) x \(height)")
    }
    return ImageHeader(
      format: format, width: width, height: height, channels: Int(header.channels), bits: Int(header.bits))
  }

  /// Decodes the whole image.
  /// - Throws: `InputError` for bytes that are no image, break a limit, end early, or are damaged.
  public static func decode(_ bytes: [UInt8], limits: ImageLimits = ImageLimits(), place: String) throws -> Image {
    let header = try header(of: bytes, limits: limits, place: place)
    let decode = header.format == .jpeg ? fovea_jpeg_decode : fovea_png_decode
    let count = header.width * header.height * 3
    let pixels = try [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      try call(place, header.format) { reason in
        decode(bytes, bytes.count, UInt32(header.width), UInt32(header.height), buffer.baseAddress, reason)
      }
      initialized = count
    }
    return Image(width: header.width, height: header.height, pixels: pixels)
  }

  /// A PNG file of the image, 8-bit RGB.
  public static func png(_ image: Image) -> [UInt8] {
    var file: UnsafeMutablePointer<UInt8>?
    var count = 0
    do {
      try call("memory", .png) { reason in
        fovea_png_encode(image.pixels, UInt32(image.width), UInt32(image.height), &file, &count, reason)
      }
    } catch { fatalError("\(error)") }  // only when memory runs out
    defer { fovea_image_free(file) }
    return Array(UnsafeBufferPointer(start: file, count: count))
  }

  private static func call(
    _ place: String, _ format: ImageFormat, _ body: (UnsafeMutablePointer<CChar>) -> fovea_image_status
  ) throws {
    try withUnsafeTemporaryAllocation(of: CChar.self, capacity: FOVEA_IMAGE_REASON_BYTES) { reason in
      reason.initialize(repeating: 0)
      guard let start = reason.baseAddress else { preconditionFailure("an empty allocation") }
      let status = body(start)
      if status == FOVEA_IMAGE_OK { return }
      let text = String(cString: start)
      switch status {
      case FOVEA_IMAGE_TRUNCATED:
        throw failure(place, expected: "a whole \(format.rawValue) file", found: "one that ends early (\(text))")
      case FOVEA_IMAGE_UNSUPPORTED:
        throw failure(place, expected: "a \(format.rawValue) of a kind that is read", found: text)
      case FOVEA_IMAGE_OUT_OF_MEMORY:
        throw failure(place, expected: "memory for the image", found: text)
      default:
        throw failure(place, expected: "a sound \(format.rawValue) file", found: "a damaged one (\(text))")
      }
    }
  }

  private static func failure(_ place: String, expected: String, found: String) -> InputError {
    InputError("decode image", at: place, expected: expected, found: found)
  }
}
