import Architecture
import CKernels
import Glibc
import Layers
import Model
import Tensor

/// The output head in training: scores of targets, and the gradient of any function of their log-probabilities.
///
/// Logits are never kept. Forward they are made for a few positions at a time, whole; the backward pass, which knows
/// each position's normalizer, makes them again for all positions and a slice of the vocabulary at a time: every weight
/// and every gradient of the head is then visited once. Either way `logitsMax` logits exist at once, however large
/// batch and vocabulary are.
package struct VocabularyLoss: ~Copyable {
  /// `[R]` each.
  package struct Scores {
    package var logProbabilities: [Float]
    package var entropies: [Float]
    package var logNormalizers: [Float]
  }

  private static let logitsMax = 8 << 20

  private let decoder: Decoder
  private var logits = ScratchBuffer<Float>()
  private var dlogits: ElementScratch
  private var left = ScratchBuffer<UInt32>()
  private var right = ScratchBuffer<UInt32>()
  private var transposed: TransposedWeights
  private var dstates = ScratchBuffer<Float>()

  package init(decoder: Decoder) {
    self.decoder = decoder
    dlogits = ElementScratch(decoder.precision)
    transposed = TransposedWeights(decoder.precision, pool: decoder.pool)
  }

  /// Log-probability of each target and entropy of its distribution, from states `[R, C]`.
  package mutating func score(_ states: ElementBuffer, targets: [Int32], temperature: Float) -> Scores {
    let v = decoder.config.vocabularySize
    let c = decoder.config.hiddenSize
    let inverse = 1 / temperature
    let results = AlignedBuffer<Float>(count: 3 * targets.count)
    let out = results.pointer
    let r = targets.count
    let chunk = min(r, max(1, Self.logitsMax / v))
    let logits = logits.reserve(chunk * v)
    for first in stride(from: 0, to: r, by: chunk) {
      let count = min(chunk, r - first)
      decoder.logits(states.words(at: first * c), count: count, into: logits)
      decoder.pool.run(count) { i in
        let row = logits + i * v
        let softmax = fv_softmax_statistics(row, Int64(v), inverse)
        out[first + i] = fv_log_probability(row, Int64(targets[first + i]), inverse, softmax)
        out[r + first + i] = softmax.entropy
        out[2 * r + first + i] = softmax.log_normalizer
      }
    }
    func part(_ index: Int) -> [Float] { Array(results.elements[index * r..<(index + 1) * r]) }
    return Scores(logProbabilities: part(0), entropies: part(1), logNormalizers: part(2))
  }

  /// Given dLoss/dlog pi of each target, adds to the head's gradient `[V, C]` (unless it is frozen) and returns
  /// dLoss/dstates `[R, C]`.
  /// - Parameter weights: the head's fp32 master weights, `[V, C]`.
  package mutating func backward(
    _ states: ElementBuffer, targets: [Int32], scores: Scores, coefficients: [Float], temperature: Float,
    weights: UnsafePointer<Float>, headGradient: UnsafeMutablePointer<Float>?
  ) -> UnsafeMutablePointer<Float> {
    let v = decoder.config.vocabularySize
    let c = decoder.config.hiddenSize
    let r = targets.count
    let precision = decoder.precision
    let kind = precision.kind
    let pool = decoder.pool
    let slice = min(v, max(64, Self.logitsMax / r & ~63))
    let logits = logits.reserve(r * slice)
    // an odd vocabulary's last slice is padded so that rows are whole packed words
    let dlogits = dlogits.reserve(r * (slice + 1))
    let wordCount = precision.wordCount(r)
    let left = left.reserve(PackedMatrix.panelCount(slice) * wordCount * 64)
    let right = right.reserve(PackedMatrix.panelCount(c) * wordCount * 64)
    let dstates = dstates.reserve(r * c)
    PackedMatrix.packDepth(precision, states, row: c, columns: c, depth: r, into: right, pool: pool)
    for first in stride(from: 0, to: v, by: slice) {
      let count = min(slice, v - first)
      let row = precision.wordCount(count) * precision.elementsPerWord
      decoder.weights.head.multiply(
        states.words(at: 0), count: r, rows: first..<first + count, into: logits, bias: nil, pool: pool)
      pool.run(r, chunk: 8) { rows in
        for i in rows {
          fv_softmax_backward(
            kind, logits + i * count, Int64(count), 1 / temperature, scores.logNormalizers[i],
            Int64(targets[i]) - Int64(first), coefficients[i], dlogits.at(i * row))
          if row > count { memset(dlogits.at(i * row + count), 0, precision.elementByteCount) }
        }
      }
      transposed.pack([(weights + first * c, count)], depth: c).multiply(
        dlogits.words(at: 0), count: r, into: dstates, accumulates: first > 0)
      guard let headGradient else { continue }
      PackedMatrix.packDepth(precision, dlogits, row: row, columns: count, depth: r, into: left, pool: pool)
      Product(
        precision: precision, rows: count, columns: c, wordCount: wordCount, a: left, layout: .panels, panels: right,
        y: headGradient + first * c, yRow: c, bias: nil, accumulates: true
      ).run(pool)
    }
    return dstates
  }
}
