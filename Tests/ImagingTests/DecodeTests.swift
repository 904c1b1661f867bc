import Foundation
import Imaging
import Support
import Testing

@Suite struct DecodeTests {
  @Test("Every kind of file gives Pillow's pixels, to the byte", arguments: ImagingFixtures.encodedFiles)
  func pixels(_ name: String) throws {
    let image = try ImageFile.decode(ImagingFixtures.bytes("decode/\(name)"), place: name)
    let expected = try ImagingFixtures.pixels(name)
    #expect(image.width == expected.width)
    #expect(image.height == expected.height)
    #expect(largestDifference(image.pixels, expected.pixels) == 0)
  }

  @Test("The fixtures are there")
  func fixtures() { #expect(ImagingFixtures.encodedFiles.count >= 25) }

  @Test("What is written as PNG reads back the same")
  func png() throws {
    var random = RandomStream(seed: 3, purpose: .test)
    for (width, height) in [(1, 1), (7, 5), (300, 2), (64, 64)] {
      let image = Image(
        width: width, height: height, pixels: (0..<width * height * 3).map { _ in UInt8(random.integer(below: 256)) })
      let file = ImageFile.png(image)
      #expect(try ImageFile.decode(file, place: "memory") == image)
      #expect(try ImageFile.header(of: file, place: "memory").format == .png)
    }
  }

  @Test("The limits are checked from the header: a bomb is never inflated")
  func bombs() throws {
    let png = ImageFile.png(Image(width: 20, height: 10, pixels: [UInt8](repeating: 9, count: 600)))
    let jpeg = try ImagingFixtures.bytes("decode/rgb.jpg")
    for (file, limits) in [
      (png, ImageLimits(sideMax: 19)), (png, ImageLimits(pixelCountMax: 199)), (png, ImageLimits(byteCountMax: 20)),
      (jpeg, ImageLimits(sideMax: 66)), (jpeg, ImageLimits(pixelCountMax: 67 * 45 - 1)),
    ] {
      #expect(throws: InputError.self) { try ImageFile.decode(file, limits: limits, place: "bomb") }
    }
    #expect(throws: Never.self) { try ImageFile.decode(png, limits: ImageLimits(sideMax: 20), place: "fine") }
    // A header alone that promises 2 billion pixels a side.
    var claim = Array(png.prefix(33))
    claim.replaceSubrange(16..<24, with: [0x7F, 0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF])
    #expect(throws: InputError.self) { try ImageFile.header(of: claim, place: "bomb") }
  }

  @Test(
    "A file that is no image is refused with what it is", arguments: ["", "GIF89a...", "<svg/>", "\u{FF}\u{D8}\u{FF}"])
  func otherFormats(_ text: String) {
    #expect(throws: InputError.self) { try ImageFile.decode(Array(text.utf8), place: "file") }
  }
}

@Suite struct MalformedImageTests {
  @Test("A file cut anywhere is refused", arguments: ImagingFixtures.encodedFiles)
  func truncated(_ name: String) throws {
    let file = try ImagingFixtures.bytes("decode/\(name)")
    for count in 0..<file.count {
      // What a PNG misses after its last pixel, or a JPEG of its end marker, changes no pixel; and yet it was cut.
      #expect(throws: InputError.self, "\(count) of \(file.count) bytes") {
        try ImageFile.decode(Array(file.prefix(count)), place: name)
      }
    }
  }

  @Test("Flipped bits give an error or an image, never a trap", arguments: ImagingFixtures.encodedFiles)
  func flipped(_ name: String) throws {
    let file = try ImagingFixtures.bytes("decode/\(name)")
    var random = RandomStream(seed: 11, purpose: .test)
    let limits = ImageLimits(sideMax: 4096, pixelCountMax: 1 << 20)
    var refused = 0
    let rounds = 400
    for _ in 0..<rounds {
      var broken = file
      for _ in 0...random.integer(below: 4) {
        let at = Int(random.integer(below: UInt64(broken.count)))
        broken[at] ^= UInt8(1) << UInt8(random.integer(below: 8))
      }
      do { _ = try ImageFile.decode(broken, limits: limits, place: name) } catch is InputError { refused += 1 }
    }
    #expect(refused > 0, "the damage of \(rounds) files went unseen")
  }

  @Test(
    "Random bytes after a sound start give an error, never a trap",
    arguments: ["rgb.jpg", "progressive.jpg", "rgb.png"])
  func garbage(_ name: String) throws {
    let file = try ImagingFixtures.bytes("decode/\(name)")
    var random = RandomStream(seed: 12, purpose: .test)
    for _ in 0..<200 {
      let kept = Int(random.integer(below: UInt64(file.count)))
      let tail = (0..<Int(random.integer(below: 300))).map { _ in UInt8(random.integer(below: 256)) }
      let broken = Array(file.prefix(kept)) + tail
      _ = try? ImageFile.decode(broken, limits: ImageLimits(pixelCountMax: 1 << 20), place: name)
    }
  }
}

@Suite struct PhotographTests {
  @Test(
    "Photographs decode and resize to Pillow's pixels",
    .enabled(if: ImagingFixtures.data != nil, "FOVEA_DATA is not set"),
    arguments: ["retina.jpg", "microaneurysms.png"])
  func photographs(_ name: String) throws {
    let expected = try #require(try ImagingFixtures.json("photographs.json")[name])
    let folder = try #require(ImagingFixtures.data)
    let image = try ImageFile.decode(
      [UInt8](Data(contentsOf: URL(fileURLWithPath: folder).appendingPathComponent(name))), place: name)
    #expect(try image.width == expected.int("width"))
    #expect(try image.height == expected.int("height"))
    #expect(try hash(image) == expected.text("pixels"))
    #expect(try hash(image.resized(width: 448, height: 448)) == expected.text("bicubic448"))
    #expect(try hash(image.resized(width: 301, height: 620)) == expected.text("bicubic301x620"))
    #expect(try hash(image.resized(width: 100, height: 100, filter: .lanczos)) == expected.text("lanczos100"))
  }

  /// FNV-1a, as the script that made the fixture computes it.
  private func hash(_ image: Image) -> String {
    let value = image.pixels.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}

func largestDifference(_ a: [UInt8], _ b: [UInt8]) -> Int {
  a.count == b.count ? zip(a, b).reduce(0) { max($0, abs(Int($1.0) - Int($1.1))) } : 256
}
