import Architecture
import Layers

/// The tokens (and images) of one forward pass, packed without padding: a row each, whatever sequence it belongs to.
package struct RowBatch {
  /// Row `row`'s key and value go to `slot` of `block`. A row may go to several places (a prompt's last rows, which its
  /// samples continue).
  package struct CacheWrite {
    package var row: Int32
    package var block: Int32
    package var slot: Int32
  }

  /// `[M]`
  package var tokens: [Int32] = []
  /// `[M]`; a row attends to positions `0 ... position` of its sequence.
  package var positions: [Int32] = []
  /// `[M]`; those of text are its positions, but for what follows an image in a model with rotary sections.
  package var rotaryPositions: [RotaryPosition] = []
  /// `[M]`: where the row's block table begins in `tables`.
  package var tableStarts: [Int32] = []
  package var tables: [Int32] = []
  package var writes: [CacheWrite] = []
  /// Rows whose final hidden state is wanted, `[R]`; a row may be named more than once.
  package var outputs: [Int32] = []

  /// Images whose features stand for rows, in order.
  package var images: [ImageTensor] = []
  /// `[N]`: the row whose embedding is feature i of the images, instead of its token's.
  package var features: [Int32] = []

  package init() {}

  package var count: Int { tokens.count }

  /// Whether no row attends to another one of this pass, as in decode: each has a table, and one write, of its own.
  package private(set) var rowsAreIndependent = true

  /// Adds a block table and returns where it begins.
  package mutating func addTable(_ blocks: [Int32]) -> Int32 {
    let start = Int32(tables.count)
    tables.append(contentsOf: blocks)
    return start
  }

  /// Adds a row whose key and value go to its place in its own table. Returns its index.
  /// - Parameter rotary: where it stands for the rotary embedding, if not at `position`.
  @discardableResult
  package mutating func addRow(token: Int32, position: Int, rotary: RotaryPosition? = nil, table: Int32) -> Int32 {
    let row = Int32(tokens.count)
    if let last = tableStarts.last, table <= last { rowsAreIndependent = false }
    tokens.append(token)
    positions.append(Int32(position))
    rotaryPositions.append(rotary ?? RotaryPosition(position))
    tableStarts.append(table)
    let block = tables[Int(table) + position / KeyValueCache.blockPositions]
    addWrite(row: row, block: block, position: position)
    return row
  }

  /// Adds a prompt's rows; a row of the image token takes the next feature of `images`.
  ///
  /// Returns the last row's index, and what is added to the position of a row behind the prompt to find its rotary
  /// position.
  @discardableResult
  package mutating func addPrompt(
    _ tokens: [Int32], images: [ImageTensor], config: ModelConfig, table: Int32
  ) -> (last: Int32, rotaryOffset: Int) {
    let rotary = PromptRotary(tokens, images: images, config: config)
    let imageToken = images.isEmpty ? nil : config.vision?.imageToken
    var last: Int32 = 0
    for (position, token) in tokens.enumerated() {
      last = addRow(token: token, position: position, rotary: rotary.positions[position], table: table)
      if token == imageToken { features.append(last) }
    }
    self.images.append(contentsOf: images)
    return (last, rotary.offset)
  }

  /// Sends a row's key and value to one more block.
  package mutating func addWrite(row: Int32, block: Int32, position: Int) {
    if row != writes.count { rowsAreIndependent = false }
    writes.append(CacheWrite(row: row, block: block, slot: Int32(position % KeyValueCache.blockPositions)))
  }
}
