import CKernels

/// The output head in training: scores of targets, and the gradient of any function of their log-probabilities.
///
/// Logits are made for `chunk` positions at a time and never kept: the backward pass makes them again.
package struct VocabularyLoss: ~Copyable {
  /// `[R]` each.
  package struct Scores {
    package var logProbabilities: [Float]
    package var entropies: [Float]
    package var logNormalizers: [Float]
  }

  /// Positions whose logits exist at once.
  private static let chunk = 256

  private let decoder: Decoder
  private var logits = ScratchBuffer<Float>()
  private var dlogits: ElementScratch
  private var left = ScratchBuffer<UInt32>()
  private var right = ScratchBuffer<UInt32>()
  private var dstates = ScratchBuffer<Float>()

  package init(decoder: Decoder) {
    self.decoder = decoder
    dlogits = ElementScratch(decoder.precision)
  }

  /// Log-probability of each target and entropy of its distribution, from states `[R, C]`.
  package mutating func score(_ states: ElementBuffer, targets: [Int32], temperature: Float) -> Scores {
    let v = decoder.config.vocabularySize
    let c = decoder.config.hiddenSize
    let inverse = 1 / temperature
    let results = AlignedBuffer<Float>(count: 3 * targets.count)
    let out = results.pointer
    let r = targets.count
    for first in stride(from: 0, to: r, by: Self.chunk) {
      let count = min(Self.chunk, r - first)
      let logits = logits.reserve(Self.chunk * v)
      decoder.logits(states.units(at: first * c), count: count, into: logits)
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

  /// Given dLoss/dlog pi of each target, adds to the head's gradient `[V, C]` (unless it is frozen) and returns dLoss/dstates `[R, C]`.
  package mutating func backward(
    _ states: ElementBuffer, targets: [Int32], scores: Scores, coefficients: [Float], temperature: Float,
    headGradient: UnsafeMutablePointer<Float>?
  ) -> UnsafeMutablePointer<Float> {
    let v = decoder.config.vocabularySize
    let c = decoder.config.hiddenSize
    let precision = decoder.precision
    let kind = precision.kind
    let pool = decoder.pool
    // an odd vocabulary is padded so that rows are whole units
    let vRow = precision.units(v) * precision.elementsPerUnit
    let dstates = dstates.reserve(targets.count * c)
    for first in stride(from: 0, to: targets.count, by: Self.chunk) {
      let count = min(Self.chunk, targets.count - first)
      let logits = logits.reserve(Self.chunk * v)
      let dlogits = dlogits.reserve(Self.chunk * vRow)
      decoder.logits(states.units(at: first * c), count: count, into: logits)
      pool.run(count) { i in
        let index = first + i
        fv_softmax_backward(
          kind, logits + i * v, Int64(v), 1 / temperature, scores.logNormalizers[index], Int64(targets[index]),
          coefficients[index], dlogits.at(i * vRow))
      }
      decoder.weights.head.multiplyTransposed(
        dlogits.units(at: 0), count: count, into: dstates + first * c, pool: pool)
      guard let headGradient else { continue }
      let units = precision.units(count)
      let left = left.reserve(PackedMatrix.panelCount(v) * units * 64)
      let right = right.reserve(PackedMatrix.panelCount(c) * units * 64)
      pool.run(PackedMatrix.panelCount(v), chunk: 8) { panels in
        fv_pack_depth_rows(
          kind, dlogits.at(0), Int64(vRow), Int64(count), Int64(v), 0, Int64(units), Int64(panels.lowerBound),
          Int64(panels.upperBound), left)
      }
      pool.run(PackedMatrix.panelCount(c)) { panel in
        fv_pack_depth_rows(
          kind, states.at(first * c), Int64(c), Int64(count), Int64(c), 0, Int64(units), Int64(panel), Int64(panel + 1),
          right)
      }
      Product(
        precision: precision, rows: v, columns: c, units: units, a: left, layout: .panels, panels: right,
        y: headGradient, yRow: c, bias: nil, accumulates: true
      ).run(pool)
    }
    return dstates
  }
}
