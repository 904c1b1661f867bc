import Architecture
import CKernels
import Glibc
import Tensor

/// Keys and values of all layers in blocks of 16 positions, shared between sequences by block number.
///
/// Memory is reserved at once and touched as it is used. Blocks are reference-counted: samples of a group share the
/// full blocks of their prompt, and own the blocks that they write. Reused blocks are cleared, since a masked position
/// enters a product as 0 times the content of the block.
/// Source of the idea: Kwon et al., "Efficient Memory Management for Large Language Model Serving", 2023.
package final class KeyValueCache {
  /// Positions of one block.
  package static let blockPositions = Int(fv_block_positions)

  package let precision: Precision
  package let blockCount: Int
  private let layers: [fv_cache_layer]
  private let mapping: UnsafeMutableRawPointer
  private let byteCount: Int
  /// Bytes of one block, all layers.
  private let blockBytes: Int
  private var useCounts: [Int32]
  private var free: [Int32]
  private var touched = 0

  /// - Parameters:
  ///   - layerCount: 1 when every layer may use the same memory (the learner).
  package convenience init(config: ModelConfig, precision: Precision, layerCount: Int, blockCount: Int) {
    self.init(
      headCount: config.headCount, keyValueHeadCount: config.keyValueHeadCount, headSize: config.headSize,
      precision: precision, layerCount: layerCount, blockCount: blockCount)
  }

  package init(
    headCount: Int, keyValueHeadCount heads: Int, headSize: Int, precision: Precision, layerCount: Int, blockCount: Int
  ) {
    self.precision = precision
    self.blockCount = blockCount
    let keyBytes = Int(fv_cache_key_units(precision.kind, Int64(headSize))) * 4 * heads
    let valueBytes = Int(fv_cache_value_units(precision.kind, Int64(headSize))) * 4 * heads
    blockBytes = layerCount * (keyBytes + valueBytes)
    byteCount = max(4096, blockCount * blockBytes)
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
    let mapped = mmap(nil, byteCount, PROT_READ | PROT_WRITE, flags, -1, 0)
    guard let mapped, mapped != MAP_FAILED else { fatalError("cannot reserve \(byteCount) bytes for keys and values") }
    mapping = mapped
    // Blocks lie one after the other with all of their layers, so huge pages hold little more than what is used.
    madvise(mapped, byteCount, MADV_HUGEPAGE)
    let blockBytes = blockBytes
    layers = (0..<layerCount).map { layer in
      let keys = mapped + layer * (keyBytes + valueBytes)
      return fv_cache_layer(
        head_size: Int64(headSize), key_value_heads: Int64(heads), heads_per_key_value: Int64(headCount / heads),
        scale: Float(1 / Double(headSize).squareRoot()),
        keys: keys.assumingMemoryBound(to: UInt32.self),
        values: (keys + keyBytes).assumingMemoryBound(to: UInt32.self), block_stride: Int64(blockBytes / 4))
    }
    useCounts = Array(repeating: 0, count: blockCount)
    free = (0..<Int32(blockCount)).reversed()
  }

  deinit { munmap(mapping, byteCount) }

  package func layer(_ index: Int) -> fv_cache_layer { layers[layers.count == 1 ? 0 : index] }

  /// Blocks that can still be taken.
  package var freeBlockCount: Int { free.count }

  /// Blocks that hold positions `0 ..< count`.
  package static func blocks(for count: Int) -> Int { (count + blockPositions - 1) / blockPositions }

  /// Takes a block of zeros, or nil when there is none.
  package func take() -> Int32? {
    guard let block = free.popLast() else { return nil }
    useCounts[Int(block)] = 1
    if Int(block) < touched { clear(Int(block)) } else { touched = Int(block) + 1 }
    return block
  }

  /// One more sequence uses the block.
  package func share(_ block: Int32) { useCounts[Int(block)] += 1 }

  /// One sequence less uses the block; the last one gives it back.
  package func release(_ block: Int32) {
    useCounts[Int(block)] -= 1
    precondition(useCounts[Int(block)] >= 0, "block \(block) was released too often")
    if useCounts[Int(block)] == 0 { free.append(block) }
  }

  /// Copies all layers' keys and values of a block: a sample continues the prompt's last, partly filled block.
  package func copy(_ source: Int32, to destination: Int32) {
    memcpy(mapping + Int(destination) * blockBytes, mapping + Int(source) * blockBytes, blockBytes)
  }

  private func clear(_ block: Int) { memset(mapping + block * blockBytes, 0, blockBytes) }
}
