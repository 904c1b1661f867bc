import Imaging
import Support

/// Reads preprocessor_config.json into an `ImageProcessor`.
///
/// Older and newer files say the same in several ways: sizes as a number or as an object, Qwen2-VL's bounds as
/// min_pixels and max_pixels or as shortest_edge and longest_edge, the Fast suffix of a class. Steps that a file turns
/// off are left out.
extension ImageProcessor {
  private static let operation = "read preprocessor_config.json"
  /// The longest side that the file may name, in pixels.
  private static let sideMax = 8192

  /// - Parameter place: names the file in errors.
  /// - Throws: `InputError` for another class, a missing or impossible value.
  public init(file bytes: [UInt8], place: String) throws {
    let json = try JSON.parse(bytes, place: place)
    let reader = Reader(json: json, place: place)
    let name =
      try json.optional("image_processor_type", String.self, at: place)
      ?? json.optional("feature_extractor_type", String.self, at: place) ?? "CLIPImageProcessor"
    let mean: [Float]
    let deviation: [Float]
    if try reader.flag("do_normalize") {
      mean = try reader.channels("image_mean", [0.48145466, 0.4578275, 0.40821073])
      deviation = try reader.channels("image_std", [0.26862954, 0.26130258, 0.27577711])
      guard deviation.allSatisfy({ $0 > 0 }) else { throw reader.failure("image_std", "numbers above 0") }
    } else {
      (mean, deviation) = ([0, 0, 0], [1, 1, 1])
    }
    let rescaleFactor =
      try reader.flag("do_rescale") ? json.optional("rescale_factor", Double.self, at: place) ?? 1 / 255 : 1
    self.init(
      try Self.arrangement(name.hasSuffix("Fast") ? String(name.dropLast(4)) : name, reader),
      filter: try reader.filter(), rescaleFactor: rescaleFactor, mean: mean, deviation: deviation)
  }

  private static func arrangement(_ name: String, _ reader: Reader) throws -> Arrangement {
    switch name {
    case "CLIPImageProcessor", "CLIPFeatureExtractor", "SiglipImageProcessor", "ViTImageProcessor":
      let isCLIP = name.hasPrefix("CLIP")
      let resize = try reader.flag("do_resize")
      let crop = try reader.flag("do_center_crop", default: isCLIP)
      return .single(
        resize: resize
          ? try reader.resize(default: isCLIP ? .shortestEdge(224) : .to(Size(width: 224, height: 224)))
          : nil,
        crop: crop ? try reader.size("crop_size", default: Size(width: 224, height: 224)) : nil)
    case "Qwen2VLImageProcessor":
      guard try reader.flag("do_resize") else { throw reader.failure("do_resize", "true for this class") }
      let patch = try reader.integer("patch_size", default: 14, in: 1...256)
      let merge = try reader.integer("merge_size", default: 2, in: 1...16)
      let time = try reader.integer("temporal_patch_size", default: 2, in: 1...16)
      let smallest = try reader.pixels("min_pixels", "shortest_edge", default: 56 * 56)
      let largest = try reader.pixels("max_pixels", "longest_edge", default: 28 * 28 * 1280)
      guard smallest <= largest else { throw reader.failure("max_pixels", "at least min_pixels") }
      return .patches(patch: patch, merge: merge, time: time, pixelCount: smallest...largest)
    case "GotOcr2ImageProcessor", "InternVLImageProcessor":
      guard try reader.flag("do_resize") else { throw reader.failure("do_resize", "true for this class") }
      let size = try reader.size("size", default: Size(width: 384, height: 384))
      // InternVL's processor cuts into tiles whatever the file says.
      let isInternVL = reader.json["processor_class"]?.string == "InternVLProcessor"
      let tiles = try isInternVL || reader.flag("crop_to_patches", default: name.hasPrefix("Intern"))
      let least = try reader.integer("min_patches", default: 1, in: 1...64)
      let most = try reader.integer("max_patches", default: 12, in: least...64)
      return tiles && most > 1
        ? .tiles(size: size, count: least...most, thumbnail: true) : .single(resize: .to(size), crop: nil)
    default:
      throw InputError(
        operation, at: "\(reader.place), key image_processor_type",
        expected: "CLIPImageProcessor, SiglipImageProcessor, ViTImageProcessor, Qwen2VLImageProcessor or "
          + "GotOcr2ImageProcessor", found: "\"\(name.prefix(60))\"")
    }
  }

  /// The file's keys, each checked.
  private struct Reader {
    let json: JSON
    let place: String

    func failure(_ key: String, _ expected: String) -> InputError {
      InputError(
        operation, at: "\(place), key \(key)", expected: expected, found: json[key]?.kind ?? "nothing")
    }

    func flag(_ key: String, default value: Bool = true) throws -> Bool {
      try json.optional(key, Bool.self, at: place) ?? value
    }

    func integer(_ key: String, default value: Int, in range: ClosedRange<Int>) throws -> Int {
      let found = try json.optional(key, Int.self, at: place) ?? value
      guard range.contains(found) else { throw failure(key, "\(range.lowerBound) to \(range.upperBound)") }
      return found
    }

    func channels(_ key: String, _ value: [Float]) throws -> [Float] {
      guard let items = try json.optional(key, [JSON].self, at: place) else { return value }
      let numbers = items.compactMap { $0.double.map { Float($0) } }
      guard numbers.count == 3, items.count == 3, numbers.allSatisfy(\.isFinite) else {
        throw failure(key, "three numbers")
      }
      return numbers
    }

    func filter() throws -> ResamplingFilter {
      let number = try json.optional("resample", Int.self, at: place) ?? ResamplingFilter.bicubic.rawValue
      guard let filter = ResamplingFilter(rawValue: number) else {
        throw failure("resample", "1 (Lanczos), 2 (bilinear), 3 (bicubic) or 4 (box)")
      }
      return filter
    }

    private func side(_ value: JSON?, _ key: String) throws -> Int {
      guard let side = value?.int, (1...sideMax).contains(side) else {
        throw failure(key, "sides of 1 to \(sideMax) pixels")
      }
      return side
    }

    func size(_ key: String, default size: Size) throws -> Size {
      switch json[key] {
      case nil, .null?: return size
      case .object(let members)?:
        let edge = members["shortest_edge"]
        return Size(
          width: try side(members["width"] ?? edge, key), height: try side(members["height"] ?? edge, key))
      case let value?:
        let side = try side(value, key)
        return Size(width: side, height: side)
      }
    }

    func resize(default resize: Resize) throws -> Resize {
      switch json["size"] {
      case nil, .null?: return resize
      case .object(let members)?:
        if let edge = members["shortest_edge"], edge != .null { return .shortestEdge(try side(edge, "size")) }
        return .to(try size("size", default: Size(width: 1, height: 1)))
      case let value?:
        let side = try side(value, "size")
        if case .shortestEdge = resize { return .shortestEdge(side) }
        return .to(Size(width: side, height: side))
      }
    }

    /// A number of pixels under either of its names.
    func pixels(_ key: String, _ keyInSize: String, default value: Int) throws -> Int {
      let found = [json[key], json["size"]?[key], json["size"]?[keyInSize]].compactMap { $0 }.first { $0 != .null }
      guard let found else { return value }
      guard let count = found.int, (1...Image.resizedPixelCountMax).contains(count) else {
        throw failure(key, "1 to \(Image.resizedPixelCountMax) pixels")
      }
      return count
    }
  }
}
