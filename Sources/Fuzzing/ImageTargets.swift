import CZlib
import Imaging
import Support

/// Images, which come from data sets and from peers.
extension FuzzTarget {
  static let images = [image]

  private static let limits = ImageLimits(byteCountMax: 1 << 20, pixelCountMax: 1 << 18)

  /// A JPEG or PNG file, or the base64 of one.
  private static let image = FuzzTarget("image") { bytes in try decode(bytes) }

  static func decode(_ bytes: [UInt8]) throws {
    var file = bytes
    if ImageFormat(of: bytes) == nil {
      guard let decoded = Base64.decode(String(decoding: bytes, as: UTF8.self)) else {
        throw InputError("decode image", at: "input", expected: "an image or base64", found: "neither")
      }
      promise(Base64.decode(Base64.encode(decoded)) == decoded, "base64 is read as it is written")
      file = decoded
    }
    file = withSoundChecksums(file)
    let header = try ImageFile.header(of: file, limits: limits, place: "input")
    let image = try ImageFile.decode(file, limits: limits, place: "input")
    promise(image.width == header.width && image.height == header.height, "an image has its header's size")
    if image.width * image.height <= 1 << 14 {
      promise(
        try ImageFile.decode(ImageFile.png(image), place: "written") == image, "an image is read as it is written")
    }
  }

  /// A PNG whose chunks have the checksums of what is in them now; without that no changed byte would get past libpng's
  /// first look.
  private static func withSoundChecksums(_ file: [UInt8]) -> [UInt8] {
    guard ImageFormat(of: file) == .png else { return file }
    var file = file
    var at = 8
    while at + 12 <= file.count {
      let length = file[at..<at + 4].reduce(0) { $0 << 8 | Int($1) }
      let end = at + 8 + length
      guard end + 4 <= file.count else { break }
      let checksum = UInt32(file.withUnsafeBufferPointer { crc32_z(0, $0.baseAddress! + at + 4, length + 4) })
      for index in 0..<4 { file[end + index] = UInt8(truncatingIfNeeded: checksum >> (24 - 8 * UInt32(index))) }
      at = end + 4
    }
    return file
  }
}
