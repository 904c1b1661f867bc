/// How a model file stores the scalars of a tensor, and how they become fp32.
///
/// A tensor is a run of blocks; a block holds 1 scalar (the float formats), 32 (`q4_0`, `q4_1`, `q8_0`) or 256 (`q4_K`,
/// `q6_K`). A row never shares a block with another row. All fields are little-endian; scales are fp16.
///
/// Every product and sum is rounded to fp32 on its own, as in the formats' reference decoder, so that the decoded
/// weights are the same bits everywhere.
///
/// Source: the GGUF specification (ggml/docs/gguf.md) and the block layouts in ggml-common.h; the safetensors format.
public enum TensorEncoding: String, Equatable, Sendable, CaseIterable {
  case float32 = "F32"
  case float16 = "F16"
  case bfloat16 = "BF16"
  case q4_0 = "Q4_0"
  case q4_1 = "Q4_1"
  case q8_0 = "Q8_0"
  case q4_K = "Q4_K"
  case q6_K = "Q6_K"

  /// The number of scalars in a block.
  public var blockScalarCount: Int {
    switch self {
    case .float32, .float16, .bfloat16: 1
    case .q4_0, .q4_1, .q8_0: 32
    case .q4_K, .q6_K: 256
    }
  }

  /// The number of bytes of a block.
  public var blockByteCount: Int {
    switch self {
    case .float32: 4
    case .float16, .bfloat16: 2
    case .q4_0: 18
    case .q4_1: 20
    case .q8_0: 34
    case .q4_K: 144
    case .q6_K: 210
    }
  }

  /// The bytes of a tensor of that shape, or nil when a dimension is negative, the number overflows, or the last
  /// dimension is not a multiple of the block.
  package func byteCount(shape: [Int]) -> Int? {
    guard (shape.last ?? 1) % blockScalarCount == 0 else { return nil }
    var scalarCount = 1
    for dimension in shape {
      let (product, overflow) = scalarCount.multipliedReportingOverflow(by: dimension)
      guard dimension >= 0, !overflow else { return nil }
      scalarCount = product
    }
    let (byteCount, overflow) = (scalarCount / blockScalarCount).multipliedReportingOverflow(by: blockByteCount)
    return overflow ? nil : byteCount
  }

  /// Decodes whole blocks.
  ///
  /// - Parameters:
  ///   - source: `blockCount * blockByteCount` bytes at any alignment.
  ///   - target: `blockCount * blockScalarCount` scalars.
  package func decode(
    _ source: UnsafeRawPointer, blockCount: Int, to target: UnsafeMutablePointer<Float>
  ) {
    switch self {
    case .float32:
      UnsafeMutableRawPointer(target).copyMemory(from: source, byteCount: 4 * blockCount)
    case .float16:
      for i in 0..<blockCount { target[i] = source.half(at: 2 * i) }
    case .bfloat16:
      for i in 0..<blockCount {
        let bits = source.loadUnaligned(fromByteOffset: 2 * i, as: UInt16.self)
        target[i] = Float(bitPattern: UInt32(bits) << 16)
      }
    case .q4_0: forEachBlock(source, blockCount, target, decodeQ4_0)
    case .q4_1: forEachBlock(source, blockCount, target, decodeQ4_1)
    case .q8_0: forEachBlock(source, blockCount, target, decodeQ8_0)
    case .q4_K: forEachBlock(source, blockCount, target, decodeQ4_K)
    case .q6_K: forEachBlock(source, blockCount, target, decodeQ6_K)
    }
  }

  @inline(__always)
  private func forEachBlock(
    _ source: UnsafeRawPointer, _ blockCount: Int, _ target: UnsafeMutablePointer<Float>,
    _ decodeBlock: (UnsafeRawPointer, UnsafeMutablePointer<Float>) -> Void
  ) {
    for block in 0..<blockCount {
      decodeBlock(source + block * blockByteCount, target + block * blockScalarCount)
    }
  }
}

extension UnsafeRawPointer {
  /// The fp16 number at a byte offset.
  @inline(__always)
  fileprivate func half(at offset: Int) -> Float {
    Float(Float16(bitPattern: loadUnaligned(fromByteOffset: offset, as: UInt16.self)))
  }

  @inline(__always)
  fileprivate func byte(at offset: Int) -> UInt8 { load(fromByteOffset: offset, as: UInt8.self) }
}

/// `q4_0`: scale d, 16 bytes of nibbles; scalar i is the low nibble of byte i, scalar 16 + i the high one. d (q - 8).
@inline(__always)
private func decodeQ4_0(_ block: UnsafeRawPointer, _ target: UnsafeMutablePointer<Float>) {
  let d = block.half(at: 0)
  for i in 0..<16 {
    let byte = block.byte(at: 2 + i)
    target[i] = d * Float(Int32(byte & 15) - 8)
    target[16 + i] = d * Float(Int32(byte >> 4) - 8)
  }
}

/// `q4_1`: scale d, minimum m, nibbles as in `q4_0`. d q + m.
@inline(__always)
private func decodeQ4_1(_ block: UnsafeRawPointer, _ target: UnsafeMutablePointer<Float>) {
  let d = block.half(at: 0)
  let m = block.half(at: 2)
  for i in 0..<16 {
    let byte = block.byte(at: 4 + i)
    target[i] = d * Float(Int32(byte & 15)) + m
    target[16 + i] = d * Float(Int32(byte >> 4)) + m
  }
}

/// `q8_0`: scale d, 32 signed bytes. d q.
@inline(__always)
private func decodeQ8_0(_ block: UnsafeRawPointer, _ target: UnsafeMutablePointer<Float>) {
  let d = block.half(at: 0)
  for i in 0..<32 { target[i] = d * Float(Int8(bitPattern: block.byte(at: 2 + i))) }
}

/// `q4_K`: scales d and dmin, 8 pairs of 6-bit (scale, minimum) in 12 bytes, 128 bytes of nibbles; each run of 32 bytes
/// holds two groups of 32 scalars, the low nibbles before the high ones. (d scale) q - (dmin minimum).
@inline(__always)
private func decodeQ4_K(_ block: UnsafeRawPointer, _ target: UnsafeMutablePointer<Float>) {
  let d = block.half(at: 0)
  let dmin = block.half(at: 2)
  for group in 0..<8 {
    // Groups 0 to 3: the low six bits of bytes j and j + 4. Groups 4 to 7: a nibble of byte 4 + j, and the two bits
    // that those left over.
    let scale: UInt8
    let minimum: UInt8
    if group < 4 {
      scale = block.byte(at: 4 + group) & 63
      minimum = block.byte(at: 8 + group) & 63
    } else {
      let nibbles = block.byte(at: 8 + group)
      scale = nibbles & 15 | (block.byte(at: group) >> 6) << 4
      minimum = nibbles >> 4 | (block.byte(at: 4 + group) >> 6) << 4
    }
    let factor = d * Float(scale)
    let offset = dmin * Float(minimum)
    let nibbles = block + 16 + group / 2 * 32
    let shift = UInt8(group % 2 * 4)
    for i in 0..<32 {
      target[group * 32 + i] = factor * Float(Int32(nibbles.byte(at: i) >> shift & 15)) - offset
    }
  }
}

/// `q6_K`: 128 bytes of low nibbles, 64 bytes of high bit pairs, 16 signed scales, scale d; (d scale) (q - 32). Each
/// half of the block is four groups of 32 scalars: nibbles low of bytes 0 to 31 and 32 to 63, then high; bit pairs from
/// low to high.
@inline(__always)
private func decodeQ6_K(_ block: UnsafeRawPointer, _ target: UnsafeMutablePointer<Float>) {
  let d = block.half(at: 208)
  for group in 0..<8 {
    let (half, quarter) = (group / 4, group % 4)
    let low = block + half * 64 + quarter % 2 * 32
    let high = block + 128 + half * 32
    let lowShift = UInt8(quarter / 2 * 4)
    let highShift = UInt8(quarter * 2)
    for run in 0..<2 {
      let scale = Int8(bitPattern: block.byte(at: 192 + group * 2 + run))
      let factor = d * Float(scale)
      for i in run * 16..<run * 16 + 16 {
        let q = low.byte(at: i) >> lowShift & 15 | (high.byte(at: i) >> highShift & 3) << 4
        target[group * 32 + i] = factor * Float(Int32(q) - 32)
      }
    }
  }
}
