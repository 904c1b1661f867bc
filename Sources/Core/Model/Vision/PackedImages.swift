import Architecture
import CKernels
import Layers

/// The images of one forward pass as rows of the vision encoder, packed without padding.
///
/// Rows of an image: its patches, those that become one feature next to each other, in raster order of features within
/// raster order of windows; then the class token where the family has one. So a feature is `mergeCount` consecutive
/// rows, a window is consecutive rows, and so is an image. Attention reads the runs through tables of cache blocks, as
/// the decoder's rows do.
package struct PackedImages {
  /// A run of rows that attend to one another.
  package struct Run {
    package var first: Int
    package var count: Int
    /// Where the run's block table begins in `Segments.tables`.
    package var table: Int
  }

  /// A partition of the rows into runs, with cache blocks for each.
  package struct Segments {
    package private(set) var runs: [Run] = []
    /// `[P]`: the run of each row.
    package private(set) var runOfRow: [Int32] = []
    package private(set) var tables: [Int32] = []

    package var blockCount: Int { tables.count }

    fileprivate mutating func add(rows count: Int) {
      let size = KeyValueCache.blocks(for: count)
      runOfRow.append(contentsOf: repeatElement(Int32(runs.count), count: count))
      runs.append(Run(first: runs.last.map { $0.first + $0.count } ?? 0, count: count, table: tables.count))
      tables.append(contentsOf: Int32(tables.count)..<Int32(tables.count + size))
    }
  }

  /// A row's patch in its image, in patches from the top and from the left.
  package struct Place {
    package var height: Int32
    package var width: Int32
    /// The patch's index in `patches`; negative for a class token.
    package var patch: Int32
    /// Row of the table of learned positions.
    package var position: Int32
  }

  /// `[P]`
  package private(set) var places: [Place] = []
  /// `[patches, patchInputCount]`
  package private(set) var patches: [Float] = []
  package private(set) var patchCount = 0
  package private(set) var images = Segments()
  /// The windows of all images; equal to `images` in a model without windows.
  package private(set) var windows = Segments()
  /// `[N]`: the first row of each feature, images in order, features in raster order.
  package private(set) var features: [Int32] = []
  /// The patches' largest height and width, for the table of rotary positions.
  package private(set) var longestSide = 0

  package var rowCount: Int { places.count }

  /// - Parameter images: each checked by `ModelConfig.checkImages`.
  package init(_ images: [ImageTensor], config: VisionConfig) {
    for image in images { add(image, config) }
  }

  private mutating func add(_ image: ImageTensor, _ config: VisionConfig) {
    let merge = config.mergeSize
    let rows = image.size.height / config.patchSize
    let columns = image.size.width / config.patchSize
    precondition(rows > 0 && columns > 0 && rows % merge == 0 && columns % merge == 0, "an unchecked image")
    let (cellRows, cellColumns) = (rows / merge, columns / merge)
    let windowCells = config.windowSize.map { max(1, $0 / config.featurePixels) } ?? max(cellRows, cellColumns)
    let first = places.count
    var featureRows = [Int32](repeating: 0, count: cellRows * cellColumns)
    for top in stride(from: 0, to: cellRows, by: windowCells) {
      for left in stride(from: 0, to: cellColumns, by: windowCells) {
        let begin = places.count
        for cellRow in top..<min(top + windowCells, cellRows) {
          for cellColumn in left..<min(left + windowCells, cellColumns) {
            featureRows[cellRow * cellColumns + cellColumn] = Int32(places.count)
            for i in 0..<merge * merge {
              addPatch(image, config, row: cellRow * merge + i / merge, column: cellColumn * merge + i % merge, columns)
            }
          }
        }
        if config.windowSize != nil { windows.add(rows: places.count - begin) }
      }
    }
    if config.classToken { places.append(Place(height: 0, width: 0, patch: -1, position: 0)) }
    images.add(rows: places.count - first)
    if config.windowSize == nil { windows = images }
    features.append(contentsOf: featureRows)
    longestSide = max(longestSide, rows, columns)
  }

  private mutating func addPatch(_ image: ImageTensor, _ config: VisionConfig, row: Int, column: Int, _ columns: Int) {
    places.append(
      Place(
        height: Int32(row), width: Int32(column), patch: Int32(patchCount),
        position: Int32(row * columns + column + (config.classToken ? 1 : 0))))
    patchCount += 1
    let size = config.patchSize
    let (height, width) = (image.size.height, image.size.width)
    for channel in 0..<config.channelCount {
      for _ in 0..<(config.temporalPatchSize ?? 1) {
        for y in row * size..<(row + 1) * size {
          let start = (channel * height + y) * width + column * size
          patches.append(contentsOf: image.values[start..<start + size])
        }
      }
    }
  }
}
