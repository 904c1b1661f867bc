import Architecture
import CKernels
import Glibc
import Support
import Tensor

/// A weight matrix `[rows, depth]` as 8-bit integers with one scale a row: the inexact fast path of rollouts.
///
/// Half the memory traffic of bf16 and twice the rate of its products. Weights are rotated and quantized as they are
/// loaded, activations row by row in every product; the arithmetic is `fovea_int8.h`'s, so a result has the same bits
/// for any number of rows, threads and tasks, on any instruction set, but not those of `PackedMatrix`.
package final class QuantizedMatrix: WeightMatrix {
  package let rows: Int
  package let depth: Int
  /// The precision of loaded weights and of activations.
  private let precision: Precision
  private let wordCount: Int
  private let panels: AlignedBuffer<UInt32>
  private let scales: AlignedBuffer<Float>
  private let offsets: AlignedBuffer<Int32>
  /// The rows as they were loaded, when the matrix is also an embedding: an embedding is read, not multiplied, so its
  /// exact values cost memory but no time.
  private let embeddings: ElementBuffer?

  /// - Parameter keepsRows: keeps the exact rows too, for `unpack`.
  package init(_ precision: Precision, rows: Int, depth: Int, keepsRows: Bool = false) {
    precondition(depth % 2 == 0, "a reduction over \(depth) elements must be even")
    precondition(depth <= fv_int8_depth_max, "a reduction over \(depth) elements overflows 32 bits")
    self.precision = precision
    self.rows = rows
    self.depth = depth
    wordCount = (depth + 15) / 16 * 4
    let columns = PackedMatrix.panelCount(rows) * 64
    panels = AlignedBuffer(count: columns * wordCount)
    scales = AlignedBuffer(count: columns)
    offsets = AlignedBuffer(count: columns)
    embeddings = keepsRows ? ElementBuffer(precision, count: rows * depth) : nil
  }

  package func load(rows begin: Int, count: Int, float32 w: UnsafePointer<Float>, pool: ThreadPool) {
    let rounded = ElementBuffer(precision, count: count * depth)
    let kind = precision.kind
    pool.run(count, chunk: 64) { range in
      let first = range.lowerBound * depth
      fv_round(kind, w + first, Int64(range.count * depth), rounded.at(first))
    }
    load(rows: begin, count: count, elements: rounded.at(0), pool: pool)
  }

  package func load(rows begin: Int, count: Int, bfloat16 w: UnsafePointer<UInt16>, pool: ThreadPool) {
    guard precision != .bfloat16 else {
      return load(rows: begin, count: count, elements: UnsafeRawPointer(w), pool: pool)
    }
    let wide = AlignedBuffer<Float>(count: count * depth)
    fv_widen(fv_bf16, w, Int64(count * depth), wide.pointer)
    load(rows: begin, count: count, elements: UnsafeRawPointer(wide.pointer), pool: pool)
  }

  /// Quantizes and packs rows of the precision.
  private func load(rows begin: Int, count: Int, elements w: UnsafeRawPointer, pool: ThreadPool) {
    precondition(begin + count <= rows)
    let kind = precision.kind
    let rowBytes = depth * precision.elementByteCount
    pool.run(count, chunk: 64) { range in
      let source = w + range.lowerBound * rowBytes
      withRotationScratch {
        fv_int8_pack_columns(
          kind, source, Int64(depth), Int64(range.count), Int64(begin + range.lowerBound), Int64(wordCount), $0,
          panels.pointer, scales.pointer, offsets.pointer)
      }
      if let embeddings { memcpy(embeddings.at((begin + range.lowerBound) * depth), source, range.count * rowBytes) }
    }
  }

  package var isExact: Bool { false }

  package func read(rows: Range<Int>, into out: UnsafeMutableRawPointer) {
    preconditionFailure("weights that were quantized cannot be read back")
  }

  /// Space for one rotated row.
  private func withRotationScratch(_ body: (UnsafeMutablePointer<Float>) -> Void) {
    withUnsafeTemporaryAllocation(byteCount: wordCount * 16, alignment: 64) {
      body($0.baseAddress!.assumingMemoryBound(to: Float.self))
    }
  }

  package func unpack(row: Int, into out: UnsafeMutablePointer<Float>) {
    guard let embeddings else { preconditionFailure("the matrix keeps no exact rows") }
    fv_widen(precision.kind, embeddings.at(row * depth), Int64(depth), out)
  }

  package func multiply(
    _ x: UnsafePointer<UInt32>, count: Int, rows part: Range<Int>, into y: UnsafeMutablePointer<Float>,
    bias: UnsafePointer<Float>?, pool: ThreadPool
  ) {
    precondition(part.lowerBound % 64 == 0 && part.upperBound <= rows, "rows \(part) of \(rows)")
    let kind = precision.kind
    let rowBytes = depth * precision.elementByteCount
    withUnsafeTemporaryAllocation(byteCount: count * (wordCount + 1) * 4, alignment: 64) { scratch in
      let quantized = scratch.baseAddress!.assumingMemoryBound(to: UInt32.self)
      let inputScales = (scratch.baseAddress! + count * wordCount * 4).assumingMemoryBound(to: Float.self)
      pool.run(count, chunk: 16) { range in
        withRotationScratch {
          for row in range {
            fv_int8_quantize_row(
              kind, UnsafeRawPointer(x) + row * rowBytes, Int64(depth), Int64(wordCount), $0,
              quantized + row * wordCount,
              inputScales + row)
          }
        }
      }
      let product = fv_int8_matmul(
        rows: Int64(count), columns: Int64(part.count), units: Int64(wordCount), a: quantized, a_scales: inputScales,
        panels: panels.pointer + part.lowerBound * wordCount, scales: scales.pointer + part.lowerBound,
        offsets: offsets.pointer + part.lowerBound, y: y, y_row: Int64(part.count),
        bias: bias.map { $0 + part.lowerBound })
      ProductTasks.run(rows: count, columns: part.count, pool: pool) { rows, panels in
        withUnsafePointer(to: product) {
          fv_int8_matmul_block(
            $0, Int64(rows.lowerBound), Int64(rows.upperBound), Int64(panels.lowerBound), Int64(panels.upperBound))
        }
      }
    }
  }
}

extension ModelConfig {
  /// Checks that a decoder of this configuration may be made with the arithmetic.
  ///
  /// - Throws: `InputError` when a reduction is too long for it.
  package func check(rollout: RolloutPrecision, at place: String) throws {
    let longest = max(hiddenSize, feedForwardSize, headCount * headSize)
    guard rollout == .int8, longest > fv_int8_depth_max else { return }
    throw InputError(
      "sample with int8", at: place, expected: "layers of at most \(fv_int8_depth_max) inputs",
      found: "\(longest)")
  }
}
