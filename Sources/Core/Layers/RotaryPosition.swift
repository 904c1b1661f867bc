import Architecture

/// Where a row stands for the rotary embedding: one number for text, three for what an image shows.
///
/// In a model without sections all three are the row's position. With sections (Qwen2.5-VL) a feature of an image has
/// the time of the image and its own row and column, and what follows continues after the largest of them, so an image
/// takes fewer rotary positions than rows. Attention and cache use the row's position nevertheless.
///
/// Source: get_rope_index of modeling_qwen2_5_vl.py in `transformers`, for still images.
package struct RotaryPosition: Equatable, Sendable {
  package var time: Int32
  package var height: Int32
  package var width: Int32

  package init(_ position: Int) { (time, height, width) = (Int32(position), Int32(position), Int32(position)) }

  package init(time: Int, height: Int, width: Int) {
    (self.time, self.height, self.width) = (Int32(time), Int32(height), Int32(width))
  }
}

/// The rotary positions of a prompt.
package struct PromptRotary {
  /// `[M]`
  package private(set) var positions: [RotaryPosition] = []
  /// Added to a completion's position to find its rotary one; 0 or less.
  package private(set) var offset = 0

  package init(_ tokens: [Int32], images: [ImageTensor], config: ModelConfig) {
    guard config.block.rotary.sections != nil, let vision = config.vision, !images.isEmpty else {
      positions = tokens.indices.map { RotaryPosition($0) }
      return
    }
    positions.reserveCapacity(tokens.count)
    var sizes = images.map(\.size)[...]
    var next = 0
    var feature = 0
    for token in tokens {
      guard token == vision.imageToken, let size = sizes.first else {
        positions.append(RotaryPosition(next))
        next += 1
        continue
      }
      let rows = size.height / vision.featurePixels
      let columns = size.width / vision.featurePixels
      positions.append(RotaryPosition(time: next, height: next + feature / columns, width: next + feature % columns))
      feature += 1
      if feature == rows * columns {
        sizes.removeFirst()
        feature = 0
        next += max(rows, columns)
      }
    }
    offset = next - tokens.count
  }
}
