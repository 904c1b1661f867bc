import Architecture
import Imaging

/// Pixels as a vision encoder takes them.
public struct PixelTensor: Equatable, Sendable {
  /// CLIP: `[1, 3, H, W]`. InternVL: `[tiles, 3, H, W]`, the thumbnail last. Qwen2-VL: `[patches, 3 * 2 * P * P]`.
  public var shape: [Int]
  /// fp32, in the order of `shape`.
  public var values: [Float]
  /// Patches of Qwen2-VL (time, down, across), tiles of InternVL (1, down, across; without the thumbnail), else 1, 1,
  /// 1.
  public var grid: (time: Int, rows: Int, columns: Int) { (gridShape[0], gridShape[1], gridShape[2]) }
  private var gridShape: [Int]

  init(shape: [Int], values: [Float], rows: Int = 1, columns: Int = 1) {
    precondition(shape.reduce(1, *) == values.count, "\(values.count) values for \(shape)")
    self.shape = shape
    self.values = values
    gridShape = [1, rows, columns]
  }
}

/// Turns images into a vision encoder's input, as a model's preprocessor_config.json says.
///
/// Source: CLIPImageProcessor, Qwen2VLImageProcessor and GotOcr2ImageProcessor (InternVL3's) of transformers, in their
/// Pillow form: bicubic resizing to 8 bits first, then rescaling in fp64 to fp32, then (x - mean) / std in fp32. As
/// every step after resizing maps one byte of one channel to one float, three tables of 256 do all of it, to the same
/// bits.
public struct ImageProcessor: Equatable, Sendable {
  /// How the image's size and arrangement are chosen.
  public enum Arrangement: Equatable, Sendable {
    /// One image: resized, then the centre cut out.
    case single(resize: Resize?, crop: Size?)
    /// One image whose sides are multiples of `patch * merge`, cut into patches, those that merge next to each other.
    case patches(patch: Int, merge: Int, time: Int, pixelCount: ClosedRange<Int>)
    /// Tiles of one size in the grid that fits the image's shape best, and the whole image as one more tile.
    case tiles(size: Size, count: ClosedRange<Int>, thumbnail: Bool)
  }

  public struct Size: Equatable, Sendable {
    public var width: Int
    public var height: Int
    public init(width: Int, height: Int) {
      self.width = width
      self.height = height
    }
  }

  public enum Resize: Equatable, Sendable {
    case to(Size)
    /// The shorter side gets this length, the other one follows.
    case shortestEdge(Int)
  }

  public var arrangement: Arrangement
  public var filter: ResamplingFilter
  /// A byte times this is what is normalised; 1/255 as a rule.
  public var rescaleFactor: Double
  /// A channel each.
  public var mean: [Float]
  public var deviation: [Float]

  public init(
    _ arrangement: Arrangement, filter: ResamplingFilter = .bicubic, rescaleFactor: Double = 1 / 255,
    mean: [Float] = [0, 0, 0], deviation: [Float] = [1, 1, 1]
  ) {
    precondition(mean.count == 3 && deviation.count == 3, "one mean and deviation a channel")
    self.arrangement = arrangement
    self.filter = filter
    self.rescaleFactor = rescaleFactor
    self.mean = mean
    self.deviation = deviation
  }

  /// The encoder's input for one image, in the layout of `transformers`.
  /// - Throws: `InputError` when the image's shape leads to a size beyond the limits.
  public func pixels(of image: Image) throws -> PixelTensor {
    let (images, rows, columns) = try arranged(image)
    if case .patches(let patch, let merge, let time, _) = arrangement {
      return patches(of: images[0], patch: patch, merge: merge, time: time)
    }
    return PixelTensor(
      shape: [images.count, 3, images[0].height, images[0].width], values: planes(images), rows: rows,
      columns: columns)
  }

  /// The encoder's input for one image as `VisionEncoder` takes it: one tensor, or one a tile.
  /// - Throws: `InputError` when the image's shape leads to a size beyond the limits.
  public func tensors(of image: Image) throws -> [ImageTensor] {
    try arranged(image).images.map { image in
      ImageTensor(height: image.height, width: image.width, values: planes([image]))
    }
  }

  /// The image resized and cropped, or its tiles with the thumbnail last; all of one size.
  private func arranged(_ image: Image) throws -> (images: [Image], rows: Int, columns: Int) {
    switch arrangement {
    case .single(let resize, let crop):
      var image = image
      if let resize {
        let size = resize.size(for: image)
        image = try image.resized(width: size.width, height: size.height, filter: filter)
      }
      if let crop { image = image.centre(crop) }
      return ([image], 1, 1)
    case .patches(let patch, let merge, _, let pixelCount):
      let size = try PatchGrid.size(
        width: image.width, height: image.height, factor: patch * merge, pixelCount: pixelCount)
      return ([try image.resized(width: size.width, height: size.height, filter: filter)], 1, 1)
    case .tiles(let size, let count, let thumbnail):
      let grid = TileGrid.best(width: image.width, height: image.height, tile: size, count: count)
      let whole = try image.resized(
        width: size.width * grid.columns, height: size.height * grid.rows, filter: filter)
      var tiles = (0..<grid.rows * grid.columns).map { index in
        whole.cropped(
          left: index % grid.columns * size.width, top: index / grid.columns * size.height, width: size.width,
          height: size.height)
      }
      if thumbnail, tiles.count > 1 {
        tiles.append(try image.resized(width: size.width, height: size.height, filter: filter))
      }
      return (tiles, grid.rows, grid.columns)
    }
  }

  /// The float of every byte, a table a channel.
  private var tables: [[Float]] {
    (0..<3).map { channel in
      (0..<256).map { (Float(Double($0) * rescaleFactor) - mean[channel]) / deviation[channel] }
    }
  }

  /// `[images, 3, H, W]` of images of one size.
  private func planes(_ images: [Image]) -> [Float] {
    let tables = tables
    var values: [Float] = []
    values.reserveCapacity(images.reduce(0) { $0 + $1.pixels.count })
    for image in images {
      for channel in 0..<3 {
        let table = tables[channel]
        for at in stride(from: channel, to: image.pixels.count, by: 3) { values.append(table[Int(image.pixels[at])]) }
      }
    }
    return values
  }

  /// `[patches, 3 * time * patch * patch]`: groups of merge x merge patches row by row, the patches of a group row by
  /// row, and in a patch channel, time, row, column. A still image fills every time.
  private func patches(of image: Image, patch: Int, merge: Int, time: Int) -> PixelTensor {
    let tables = tables
    let (rows, columns) = (image.height / patch, image.width / patch)
    let length = 3 * time * patch * patch
    var values: [Float] = []
    values.reserveCapacity(rows * columns * length)
    for groupRow in stride(from: 0, to: rows, by: merge) {
      for groupColumn in stride(from: 0, to: columns, by: merge) {
        for index in 0..<merge * merge {
          let top = (groupRow + index / merge) * patch
          let left = (groupColumn + index % merge) * patch
          for channel in 0..<3 {
            let table = tables[channel]
            for _ in 0..<time {
              for y in top..<top + patch {
                let row = (y * image.width + left) * 3 + channel
                for x in 0..<patch { values.append(table[Int(image.pixels[row + x * 3])]) }
              }
            }
          }
        }
      }
    }
    return PixelTensor(shape: [rows * columns, length], values: values, rows: rows, columns: columns)
  }
}

extension ImageProcessor.Resize {
  func size(for image: Image) -> ImageProcessor.Size {
    switch self {
    case .to(let size): return size
    case .shortestEdge(let edge):
      let (short, long) = (min(image.width, image.height), max(image.width, image.height))
      let other = Int(Double(edge * long) / Double(short))
      return image.width <= image.height
        ? ImageProcessor.Size(width: edge, height: other) : ImageProcessor.Size(width: other, height: edge)
    }
  }
}

extension Image {
  /// The middle of the image; a side that is too short is filled up with black, one pixel more in front when it is odd.
  func centre(_ size: ImageProcessor.Size) -> Image {
    cropped(  // a shift rounds down, below zero too
      left: (width - size.width) >> 1, top: (height - size.height) >> 1, width: size.width, height: size.height)
  }
}
