import Imaging
import Processors
import Support
import Testing

@Suite struct ResamplingTests {
  @Test("Every filter, growing and shrinking, gives Pillow's pixels")
  func pillow() throws {
    let cases = try #require(try ImagingFixtures.json("resize.json").array)
    #expect(cases.count == 40)
    for one in cases {
      let source = try one.image("pixels", "width", "height")
      let filter = try #require(ResamplingFilter(rawValue: one.int("filter")))
      let resized = try source.resized(width: one.int("toWidth"), height: one.int("toHeight"), filter: filter)
      #expect(
        try largestDifference(resized.pixels, one.bytes("resized")) == 0,
        "\(filter), \(source.width) x \(source.height) to \(resized.width) x \(resized.height)")
    }
  }

  @Test(
    "A size of nothing or beyond the limits is refused", arguments: [(0, 4), (4, -1), (70_000, 1), (60_000, 60_000)])
  func sizes(_ width: Int, _ height: Int) {
    let image = Image(width: 2, height: 2, pixels: [UInt8](repeating: 0, count: 12))
    #expect(throws: InputError.self) { try image.resized(width: width, height: height) }
  }

  @Test("A cut beyond the image is black there", arguments: [(-2, -1), (2, 2), (-9, 0), (9, 9)])
  func crops(_ left: Int, _ top: Int) {
    let image = Image(width: 3, height: 3, pixels: (0..<27).map { UInt8($0 + 1) })
    let cut = image.cropped(left: left, top: top, width: 4, height: 4)
    for y in 0..<4 {
      for x in 0..<4 {
        let inside = (0..<3).contains(x + left) && (0..<3).contains(y + top)
        let expected = inside ? image.pixels[((y + top) * 3 + x + left) * 3] : 0
        #expect(cut.pixels[(y * 4 + x) * 3] == expected)
      }
    }
  }
}

@Suite struct ImageProcessorTests {
  @Test("Every processor gives the floats of transformers, to the bit")
  func transformers() throws {
    let cases = try #require(try ImagingFixtures.json("processors.json").array)
    #expect(cases.count == 19)
    for one in cases {
      let name = try one.text("name")
      let processor = try ImageProcessor(file: #require(one["config"]).serialized(), place: name)
      let image = try one.image("pixels", "width", "height")
      let tensor = try processor.pixels(of: image)
      let shape = try #require(one["shape"]?.array).compactMap(\.int)
      #expect(tensor.shape == shape, "\(name), \(image.width) x \(image.height)")
      let grid = try #require(one["grid"]?.array).compactMap(\.int)
      if !grid.isEmpty { #expect(grid == [tensor.grid.time, tensor.grid.rows, tensor.grid.columns]) }
      let bytes = try one.bytes("values")
      #expect(bytes.count == tensor.values.count * 4)
      let expected = stride(from: 0, to: bytes.count, by: 4).map { at in
        Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[at + $1]) << (8 * UInt32($1)) })
      }
      #expect(tensor.values == expected, "\(name), \(image.width) x \(image.height)")
    }
  }

  @Test("Grids of tiles and sizes of patches are those of transformers")
  func arrangements() throws {
    let json = try ImagingFixtures.json("arrangements.json")
    for row in try #require(json["tiles"]?.array).compactMap({ $0.array?.compactMap(\.int) }) {
      let grid = TileGrid.best(width: row[0], height: row[1], tile: .init(width: 448, height: 448), count: 1...12)
      #expect([grid.columns, grid.rows] == [row[2], row[3]], "\(row)")
    }
    for row in try #require(json["patches"]?.array).compactMap({ $0.array?.compactMap(\.int) }) {
      let size = try PatchGrid.size(width: row[0], height: row[1], factor: 28, pixelCount: 56 * 56...28 * 28 * 1280)
      #expect([size.width, size.height] == [row[2], row[3]], "\(row)")
    }
  }

  @Test("An image 200 times as long as wide is refused by Qwen2-VL, and by a shortest edge that makes it huge")
  func thin() throws {
    let thin = Image(width: 1, height: 201, pixels: [UInt8](repeating: 1, count: 603))
    let qwen = try ImageProcessor(file: Array(#"{"image_processor_type": "Qwen2VLImageProcessor"}"#.utf8), place: "q")
    #expect(throws: InputError.self) { try qwen.pixels(of: thin) }
    let clip = ImageProcessor(.single(resize: .shortestEdge(1024), crop: nil))
    #expect(throws: InputError.self) { try clip.pixels(of: thin) }
  }

  @Test(
    "A config that cannot be right names its key",
    arguments: [
      (#"{"image_processor_type": "Other"}"#, "image_processor_type"),
      (#"{"image_mean": [1, 2]}"#, "image_mean"),
      (#"{"image_std": [1, 0, 1]}"#, "image_std"),
      (#"{"resample": 9}"#, "resample"),
      (#"{"size": {"height": 0, "width": 3}, "image_processor_type": "ViTImageProcessor"}"#, "size"),
      (#"{"crop_size": 100000}"#, "crop_size"),
      (#"{"do_resize": "yes"}"#, "do_resize"),
      (#"{"patch_size": 0, "image_processor_type": "Qwen2VLImageProcessor"}"#, "patch_size"),
      (#"{"max_pixels": 99999999999, "image_processor_type": "Qwen2VLImageProcessor"}"#, "max_pixels"),
      (#"{"min_pixels": 500, "max_pixels": 100, "image_processor_type": "Qwen2VLImageProcessor"}"#, "max_pixels"),
      (#"{"max_patches": 100000, "image_processor_type": "GotOcr2ImageProcessor"}"#, "max_patches"),
    ])
  func malformed(_ text: String, _ key: String) {
    do {
      _ = try ImageProcessor(file: Array(text.utf8), place: "preprocessor_config.json")
      Issue.record("\(text) was accepted")
    } catch {
      #expect("\(error)".contains("key \(key)"))
    }
  }
}

@Suite struct Base64Tests {
  @Test("What is encoded decodes to the same", arguments: 0..<40)
  func roundTrip(_ count: Int) {
    var random = RandomStream(seed: UInt64(count), purpose: .test)
    let bytes = (0..<count).map { _ in UInt8(random.integer(below: 256)) }
    #expect(Base64.decode(Base64.encode(bytes)) == bytes)
  }

  @Test(
    "The examples of RFC 4648",
    arguments: [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")])
  func examples(_ text: String, _ encoded: String) {
    #expect(Base64.encode(Array(text.utf8)) == encoded)
    #expect(Base64.decode(encoded) == Array(text.utf8))
  }

  @Test("Line breaks are passed over")
  func lines() { #expect(Base64.decode("Zm9v\r\nYmFy\n") == Array("foobar".utf8)) }

  @Test(
    "Anything else is refused",
    arguments: ["Z", "Zg", "Zg=", "Zg===", "Zh==", "Z=g=", "Zm9v!", "=", "Zm9vZg==Zm9v", "Ωm9v"])
  func malformed(_ text: String) { #expect(Base64.decode(text) == nil) }
}
