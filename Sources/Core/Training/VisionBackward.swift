import Architecture
import CKernels
import Glibc
import Layers
import Model
import Tensor

/// The backward pass of `VisionEncoder`, from the gradient of its features to all parameters that training changes.
///
/// The order of every sum is that of the rows, so gradients are the same bits for any number of threads. Where the
/// encoder is frozen it ends behind the projector. Not thread-safe: one owner, one call at a time.
package final class VisionBackward {
  private let encoder: VisionEncoder
  private let linear: LinearBackward
  private let trainsEncoder: Bool
  private let trainsAnything: Bool
  private var dx = ScratchBuffer<Float>()
  private var dscaled = ScratchBuffer<Float>()
  private var dnormal = ScratchBuffer<Float>()
  private var dwide = ScratchBuffer<Float>()
  private var dinner = ScratchBuffer<Float>()
  private var statistics = ScratchBuffer<Float>()
  private var attentionScratch = ScratchBuffer<Float>()
  private var normal: ElementScratch
  private var activated: ElementScratch

  package init(encoder: VisionEncoder, linear: LinearBackward) {
    self.encoder = encoder
    self.linear = linear
    let names = linear.gradients.parameters.map(\.name).filter(linear.trainable.contains)
    trainsEncoder = names.contains { $0.hasPrefix("vision.") }
    trainsAnything = trainsEncoder || names.contains { $0.hasPrefix("projector.") }
    normal = ElementScratch(encoder.precision)
    activated = ElementScratch(encoder.precision)
  }

  private var config: VisionConfig { encoder.config }
  private var weights: VisionWeights { encoder.weights }
  private var pool: ThreadPool { encoder.pool }
  private var kind: fv_kind { encoder.precision.kind }

  /// From dLoss/dfeatures `[N, decoder's C]`.
  package func run(tape: VisionTape, dfeatures: UnsafeMutablePointer<Float>) {
    guard trainsAnything else { return }
    let dfinal = projector(tape, dfeatures)
    guard trainsEncoder else { return }
    let p = tape.images.rowCount
    let c = config.hiddenSize
    let width = config.mergedSize
    let dx = dx.reserve(p * c)
    memset(dx, 0, p * c * 4)
    for (feature, row) in tape.images.features.enumerated() {
      memcpy(dx + Int(row) * c, dfinal + feature * width, width * 4)
    }
    for (index, layer) in weights.layers.enumerated().reversed() {
      let prefix = "vision.layers.\(index)."
      feedForward(layer, tape.layers[index], prefix: prefix, rows: p, dx: dx)
      attention(layer, tape.layers[index], index: index, images: tape.images, dx: dx)
    }
    embedding(tape, dx: dx)
  }

  // MARK: Projector: linear_2(act(linear_1(norm(merge(norm(x))))))

  /// Returns dLoss/dx of the gathered patches, `[N, mergedSize]`.
  private func projector(
    _ tape: VisionTape, _ dfeatures: UnsafeMutablePointer<Float>
  ) -> UnsafeMutablePointer<Float> {
    let n = tape.images.features.count
    let width = config.mergedSize
    let inner = weights.projector1.matrix.rows
    let activated = activated.reserve(n * inner)
    let activation = config.projectorActivation
    activate(activation, tape.inner, rows: n, width: inner, output: activated)
    let dactivated = dwide.reserve(n * inner)
    linear.run(
      weights.projector2.matrix, [.init("projector.linear_2", rows: encoder.outputWidth)], dy: dfeatures,
      x: activated, rows: n, dx: dactivated)
    let dhidden = dinner.reserve(n * inner)
    activate(activation, tape.inner, rows: n, width: inner, dy: dactivated, dx: dhidden)
    let dmerged = dnormal.reserve(n * width)
    linear.run(
      weights.projector1.matrix, [.init("projector.linear_1", rows: inner)], dy: dhidden, x: tape.merged, rows: n,
      dx: dmerged)
    var d = dmerged
    if let norm = weights.projectorNorm, let statistics = tape.projectorStatistics {
      let rows = n * width / norm.width
      let x = tape.normed ?? tape.final
      let out = dinner.reserve(n * width)
      memset(out, 0, n * width * 4)
      self.norm("projector.norm", norm, d, x: x, statistics: statistics, rows: rows, dx: out)
      d = out
    }
    if let norm = weights.finalNorm, let statistics = tape.finalStatistics {
      let out = dwide.reserve(n * width)
      memset(out, 0, n * width * 4)
      self.norm(
        "vision.final_norm", norm, d, x: tape.final, statistics: statistics, rows: n * config.mergeCount, dx: out)
      d = out
    }
    return d
  }

  // MARK: Feed-forward: x += scale2 * second(act(first(norm2(x))))

  private func feedForward(
    _ layer: VisionWeights.Layer, _ saved: VisionTape.Layer, prefix: String, rows p: Int,
    dx: UnsafeMutablePointer<Float>
  ) {
    let c = config.hiddenSize
    let f = config.feedForwardSize
    let gated = config.activation.isGated
    let dupdate = unscale(dx, layer.scale2, saved.feedForwardUpdate, name: prefix + "scale2", rows: p)
    let activated = activated.reserve(p * f)
    activate(config.activation, saved.inner, rows: p, width: f, output: activated)
    let dactivated = dinner.reserve(p * f)
    linear.run(
      layer.second.matrix, [.init(prefix + (gated ? "mlp.down" : "mlp.fc2"), rows: c)], dy: dupdate, x: activated,
      rows: p, dx: dactivated)
    let dfirst = dwide.reserve(p * f * config.activation.inputCount)
    activate(config.activation, saved.inner, rows: p, width: f, dy: dactivated, dx: dfirst)
    let normal = renormalized(layer.norm2, saved.middle, rows: p)
    let dnormal = dnormal.reserve(p * c)
    linear.run(
      layer.first.matrix, (gated ? ["gate", "up"] : ["fc1"]).map { .init(prefix + "mlp." + $0, rows: f) }, dy: dfirst,
      x: normal, rows: p, dx: dnormal)
    norm(prefix + "norm2", layer.norm2, dnormal, x: saved.middle, statistics: saved.middleStatistics, rows: p, dx: dx)
  }

  private func activate(
    _ activation: Activation, _ x: ElementBuffer, rows: Int, width: Int,
    dy: UnsafeMutablePointer<Float>? = nil, output: ElementBuffer? = nil, dx: UnsafeMutablePointer<Float>? = nil
  ) {
    let kind = kind
    let inputs = width * activation.inputCount
    pool.run(rows, chunk: 8) { rows in
      for row in rows {
        activation.backward(
          kind, x.at(row * inputs), width: width, dy: dy.map { UnsafePointer($0 + row * width) },
          output: output?.at(row * width), dx: dx.map { $0 + row * inputs })
      }
    }
  }

  // MARK: Attention: x += scale1 * output(attention(q, k, v of norm1(x)))

  private func attention(
    _ layer: VisionWeights.Layer, _ saved: VisionTape.Layer, index: Int, images: PackedImages,
    dx: UnsafeMutablePointer<Float>
  ) {
    let p = images.rowCount
    let c = config.hiddenSize
    let prefix = "vision.layers.\(index)."
    let dupdate = unscale(dx, layer.scale1, saved.attentionUpdate, name: prefix + "scale1", rows: p)
    let dattended = dinner.reserve(p * c)
    linear.run(
      layer.output.matrix, [.init(prefix + "attention.output", rows: c)], dy: dupdate, x: saved.attended, rows: p,
      dx: dattended)
    let dheads = dwide.reserve(p * 3 * c)
    memset(dheads, 0, p * 3 * c * 4)
    attend(saved, encoder.segments(of: images, layer: index), dout: dattended, dheads: dheads)
    rotateBack(layer, saved, prefix: prefix, images: images, dheads: dheads)
    let normal = renormalized(layer.norm1, saved.input, rows: p)
    let dnormal = dnormal.reserve(p * c)
    let parts: [LinearBackward.Part] =
      config.fusedQueryKeyValue
      ? [.init(prefix + "attention.qkv", rows: 3 * c)]
      : ["q", "k", "v"].map { .init(prefix + "attention." + $0, rows: c) }
    linear.run(layer.queryKeyValue.matrix, parts, dy: dheads, x: normal, rows: p, dx: dnormal)
    norm(prefix + "norm1", layer.norm1, dnormal, x: saved.input, statistics: saved.inputStatistics, rows: p, dx: dx)
  }

  /// One task a run and head.
  private func attend(
    _ saved: VisionTape.Layer, _ segments: PackedImages.Segments, dout: UnsafeMutablePointer<Float>,
    dheads: UnsafeMutablePointer<Float>
  ) {
    let h = config.headCount
    let d = config.headSize
    let c = config.hiddenSize
    let kind = kind
    let scale = Float(1 / Double(d).squareRoot())
    let longest = segments.runs.map(\.count).max() ?? 0
    let floats = Int(fv_attention_backward_scratch(Int64(d), Int64(longest)) + 15) & ~15
    let scratches = attentionScratch.reserve(floats * pool.threadCount)
    pool.run(segments.runs.count * h) { task, thread in
      let run = segments.runs[task / h]
      var sequence = fv_attention_sequence(
        head_size: Int64(d), heads: Int64(h), key_value_heads: Int64(h), scale: scale, row: Int64(3 * c),
        prefix: saved.heads.at(run.first * 3 * c), own: saved.heads.at(run.first * 3 * c), prefix_count: 0,
        count: Int64(run.count), bidirectional: 1, prefix_is_loaded: 0, key_capacity: Int64(run.count),
        out: saved.attended.at(run.first * c), dout: dout + run.first * c,
        stats: saved.statistics.pointer + run.first * h * 2, dprefix: dheads + run.first * 3 * c,
        down: dheads + run.first * 3 * c)
      fv_attention_backward(kind, &sequence, Int64(task % h), scratches + thread * floats)
    }
  }

  /// Rotary positions and norms of queries and keys, backwards, in place.
  private func rotateBack(
    _ layer: VisionWeights.Layer, _ saved: VisionTape.Layer, prefix: String, images: PackedImages,
    dheads: UnsafeMutablePointer<Float>
  ) {
    let p = images.rowCount
    let c = config.hiddenSize
    if !config.learnedPositions {
      let rotary = encoder.rotary
      pool.run(p, chunk: 16) { rows in
        for row in rows {
          rotary.rotate(
            dheads + row * 3 * c, heads: 2 * config.headCount, place: images.places[row], direction: -1)
        }
      }
    }
    guard let before = saved.beforeHeadNorm, let statistics = saved.headStatistics, let queryNorm = layer.queryNorm,
      let keyNorm = layer.keyNorm
    else { return }
    for (part, norm, name) in [(0, queryNorm, "q_norm"), (1, keyNorm, "k_norm")] {
      let dweight = linear.gradient(prefix + "attention.\(name).weight")
      pool.run(dweight == nil ? 0 : c, chunk: 64) { columns in
        for row in 0..<p {
          fv_rmsnorm_weight_backward(
            dheads + row * 3 * c + part * c, before.pointer + (row * 2 + part) * c,
            statistics.pointer + (row * 2 + part) * 2 + 1, 1, Int64(c), Int64(columns.lowerBound),
            Int64(columns.upperBound), dweight)
        }
      }
      pool.run(p, chunk: 16) { rows in
        withUnsafeTemporaryAllocation(of: Float.self, capacity: c) { dhead in
          let dhead = dhead.baseAddress!
          for row in rows {
            let dy = dheads + row * 3 * c + part * c
            memset(dhead, 0, c * 4)
            norm.backward(
              dy, x: before.pointer + (row * 2 + part) * c, statistics: statistics.pointer + (row * 2 + part) * 2,
              into: dhead)
            memcpy(dy, dhead, c * 4)
          }
        }
      }
    }
  }

  // MARK: Embedding: x = norm(patch . w + position)

  private func embedding(_ tape: VisionTape, dx: UnsafeMutablePointer<Float>) {
    let images = tape.images
    let p = images.rowCount
    let c = config.hiddenSize
    var dx = dx
    if let norm = weights.embeddingNorm, let x = tape.embedded, let statistics = tape.embeddedStatistics {
      let out = dnormal.reserve(p * c)
      memset(out, 0, p * c * 4)
      self.norm("vision.embedding_norm", norm, dx, x: x, statistics: statistics, rows: p, dx: out)
      dx = out
    }
    let dpositions = linear.gradient("vision.position_embedding")
    let dclass = linear.gradient("vision.class_embedding")
    let dpatches = dwide.reserve(images.patchCount * c)
    // Rows in order, one thread: images share positions and the class token.
    pool.run(1) { _ in
      for (row, place) in images.places.enumerated() {
        if let dpositions { fv_add(dpositions + Int(place.position) * c, dx + row * c, Int64(c)) }
        if place.patch >= 0 {
          memcpy(dpatches + Int(place.patch) * c, dx + row * c, c * 4)
        } else if let dclass {
          fv_add(dclass, dx + row * c, Int64(c))
        }
      }
    }
    linear.run(
      weights.patch.matrix, [.init("vision.patch_embedding", rows: c)], dy: dpatches, x: tape.patches,
      rows: images.patchCount, dx: nil)
  }

  // MARK: Norms and layer scale

  private func norm(
    _ name: String, _ norm: NormWeights, _ dy: UnsafeMutablePointer<Float>, x: AlignedBuffer<Float>,
    statistics: AlignedBuffer<Float>, rows: Int, dx: UnsafeMutablePointer<Float>
  ) {
    let width = norm.width
    norm.weightBackward(
      dy, x: x.pointer, statistics: statistics.pointer, rows: rows, dweight: linear.gradient(name + ".weight"),
      dbias: linear.gradient(name + ".bias"), pool: pool)
    pool.run(rows, chunk: 16) { rows in
      for row in rows {
        norm.backward(
          dy + row * width, x: x.pointer + row * width, statistics: statistics.pointer + 2 * row,
          into: dx + row * width)
      }
    }
  }

  /// The norm's output again, as the forward pass rounded it.
  private func renormalized(_ norm: NormWeights, _ x: AlignedBuffer<Float>, rows p: Int) -> ElementBuffer {
    let c = norm.width
    let kind = kind
    let out = normal.reserve(p * c)
    let statistics = statistics.reserve(2 * p)
    pool.run(p, chunk: 16) { rows in
      for row in rows {
        norm.forward(kind, x.pointer + row * c, into: out.at(row * c), statistics: statistics + 2 * row)
      }
    }
    return out
  }

  /// The gradient of an update before layer scale: dx itself without one. The scale's own gradient is that of a norm's
  /// weight, with the update for the normalised row.
  private func unscale(
    _ dx: UnsafeMutablePointer<Float>, _ scale: AlignedBuffer<Float>?, _ update: AlignedBuffer<Float>?, name: String,
    rows p: Int
  ) -> UnsafeMutablePointer<Float> {
    guard let scale, let update else { return dx }
    let c = config.hiddenSize
    if let dscale = linear.gradient(name) {
      let ones = statistics.reserve(p)
      for row in 0..<p { ones[row] = 1 }
      pool.run(c, chunk: 64) { columns in
        fv_rmsnorm_weight_backward(
          dx, update.pointer, ones, Int64(p), Int64(c), Int64(columns.lowerBound), Int64(columns.upperBound), dscale)
      }
    }
    let out = dscaled.reserve(p * c)
    memcpy(out, dx, p * c * 4)
    pool.run(p, chunk: 16) { rows in
      for row in rows { fv_scale(out + row * c, scale.pointer, Int64(c)) }
    }
    return out
  }
}
