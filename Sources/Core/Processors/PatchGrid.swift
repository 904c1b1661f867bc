import Support

/// Qwen2-VL's choice of an image's size: near its own, with sides that patches fill exactly.
///
/// Source: `smart_resize` of transformers, models/qwen2_vl.
public enum PatchGrid {
  /// The largest ratio of the sides, as there.
  static let aspectRatioMax = 200.0

  /// - Parameters:
  ///   - factor: both sides become multiples of it.
  ///   - pixelCount: what the area is brought into, as nearly as the factor allows.
  public static func size(
    width: Int, height: Int, factor: Int, pixelCount: ClosedRange<Int>
  ) throws -> ImageProcessor.Size {
    let (own, unit) = ((width: Double(width), height: Double(height)), Double(factor))
    guard max(own.width, own.height) / min(own.width, own.height) <= aspectRatioMax else {
      throw InputError(
        "prepare image", at: "\(width) x \(height) pixels",
        expected: "one side at most \(Int(aspectRatioMax)) times the other", found: "a thinner image")
    }
    // Python rounds halves to even.
    var size = ImageProcessor.Size(
      width: Int((own.width / unit).rounded(.toNearestOrEven)) * factor,
      height: Int((own.height / unit).rounded(.toNearestOrEven)) * factor)
    if size.width * size.height > pixelCount.upperBound {
      let ratio = (own.height * own.width / Double(pixelCount.upperBound)).squareRoot()
      size.height = max(factor, Int((own.height / ratio / unit).rounded(.down)) * factor)
      size.width = max(factor, Int((own.width / ratio / unit).rounded(.down)) * factor)
    } else if size.width * size.height < pixelCount.lowerBound {
      let ratio = (Double(pixelCount.lowerBound) / (own.height * own.width)).squareRoot()
      size.height = Int((own.height * ratio / unit).rounded(.up)) * factor
      size.width = Int((own.width * ratio / unit).rounded(.up)) * factor
    }
    return size
  }
}

/// InternVL's choice of a grid of tiles: the one whose shape is nearest to the image's.
///
/// Source: `get_optimal_tiled_canvas` of transformers, models/got_ocr2.
public enum TileGrid {
  /// Of equally near grids the one with more tiles, unless they would hold more than twice the image's pixels.
  public static func best(
    width: Int, height: Int, tile: ImageProcessor.Size, count: ClosedRange<Int>
  ) -> (columns: Int, rows: Int) {
    let aspectRatio = Double(width) / Double(height)
    let area = Double(width * height)
    var best = (columns: 1, rows: 1)
    var bestDifference = Double.infinity
    for grid in grids(count) {
      let difference = abs(aspectRatio - Double(grid.columns) / Double(grid.rows))
      if difference < bestDifference {
        (best, bestDifference) = (grid, difference)
      } else if difference == bestDifference,
        area > 0.5 * Double(tile.width * tile.height * grid.columns * grid.rows)
      {
        best = grid
      }
    }
    return best
  }

  /// Every grid with that many tiles, small ones first, among equals narrow ones first.
  private static func grids(_ count: ClosedRange<Int>) -> [(columns: Int, rows: Int)] {
    var grids: [(columns: Int, rows: Int)] = []
    for tiles in count {
      for columns in 1...tiles where tiles % columns == 0 { grids.append((columns, tiles / columns)) }
    }
    return grids
  }
}
