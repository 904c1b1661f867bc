import Architecture
import CKernels
import Glibc
import Layers
import Model
import Tensor

/// The backward pass of `Decoder`, layer by layer from a tape, adding to a gradient set.
///
/// Products are `LinearBackward`'s; everything else is fp32. The order of every sum is that of the rows, so gradients
/// are the same bits for any number of threads. Not thread-safe: one owner, one call at a time.
package final class DecoderBackward {
  private let decoder: Decoder
  private let linear: LinearBackward
  private let vision: VisionBackward?
  private var dx = ScratchBuffer<Float>()
  private var dnormal = ScratchBuffer<Float>()
  private var dheads = ScratchBuffer<Float>()
  private var dinner = ScratchBuffer<Float>()
  private var attentionScratch = ScratchBuffer<Float>()
  private var normal: ElementScratch
  private var activated: ElementScratch
  /// dLoss of a layer's widest products, rounded.
  private var dwide: ElementScratch
  private var dfeatures = ScratchBuffer<Float>()

  /// - Parameter weights: those that the decoder was packed from.
  package init(
    decoder: Decoder, weights: EffectiveWeights, gradients: ParameterSet, trainable: TrainableParameters = .all
  ) {
    self.decoder = decoder
    let linear = LinearBackward(
      weights: weights, gradients: gradients, trainable: trainable, precision: decoder.precision,
      pool: decoder.pool)
    self.linear = linear
    vision = decoder.vision.map { VisionBackward(encoder: $0, linear: linear) }
    normal = ElementScratch(decoder.precision)
    activated = ElementScratch(decoder.precision)
    dwide = ElementScratch(decoder.precision)
  }

  private var config: ModelConfig { decoder.config }
  private var pool: ThreadPool { decoder.pool }
  private var kind: fv_kind { decoder.precision.kind }

  /// Where a parameter's gradient is summed, or nil when it is not trained.
  package func gradient(_ name: String) -> UnsafeMutablePointer<Float>? { linear.gradient(name) }

  /// From dLoss/dstates `[R, C]` to all parameters but the head's own.
  /// - Parameter cache: the forward pass's, for the layers that a checkpointed tape has computed again.
  package func run(
    _ packed: PackedGroups, tape: Tape, cache: KeyValueCache, dstates: UnsafeMutablePointer<Float>
  ) {
    let m = packed.rows.count
    let c = config.hiddenSize
    let dx = dx.reserve(m * c)
    memset(dx, 0, m * c * 4)
    finalNorm(packed, tape: tape, dstates: dstates, dx: dx)
    for index in decoder.weights.layers.indices.reversed() {
      let prefix = "model.layers.\(index)."
      if tape.isCheckpointed, index + 1 < decoder.weights.layers.count {
        decoder.recompute(layer: index, packed.rows, cache: cache, tape: tape)
      }
      feedForward(decoder.weights.layers[index], tape.layers[index], prefix: prefix, rows: m, dx: dx)
      attention(decoder.weights.layers[index], tape.layers[index], prefix: prefix, packed: packed, dx: dx)
    }
    let dfeatures = embedding(packed.rows, dx: dx)
    if let vision, let tape = tape.vision, !packed.rows.images.isEmpty { vision.run(tape: tape, dfeatures: dfeatures) }
  }

  /// The gradient of each row's embedding: to its token, or to the feature of an image that stands there. Returns the
  /// features' `[N, C]`.
  private func embedding(_ rows: RowBatch, dx: UnsafeMutablePointer<Float>) -> UnsafeMutablePointer<Float> {
    let c = config.hiddenSize
    let dfeatures = dfeatures.reserve(rows.features.count * c)
    var featureOfRow = [Int32](repeating: -1, count: rows.count)
    for (feature, row) in rows.features.enumerated() { featureOfRow[Int(row)] = Int32(feature) }
    let embedding = linear.gradient("model.embed_tokens.weight")
    // Rows in order, one thread: a token may occur many times.
    pool.run(1) { _ in
      for row in 0..<rows.count {
        if featureOfRow[row] >= 0 {
          memcpy(dfeatures + Int(featureOfRow[row]) * c, dx + row * c, c * 4)
        } else if let embedding {
          fv_add(embedding + Int(rows.tokens[row]) * c, dx + row * c, Int64(c))
        }
      }
    }
    return dfeatures
  }

  private func finalNorm(
    _ packed: PackedGroups, tape: Tape, dstates: UnsafeMutablePointer<Float>, dx: UnsafeMutablePointer<Float>
  ) {
    let c = config.hiddenSize
    normWeight("model.norm.weight", dstates, x: tape.final, inverse: tape.finalInverse, rows: packed.targets.count)
    // Outputs in order, one thread: the prompt's last row is an output of every completion.
    pool.run(1) { _ in
      for (index, row) in packed.rows.outputs.enumerated() {
        fv_rmsnorm_backward(
          dstates + index * c, tape.final.pointer + index * c, tape.finalInverse.pointer[index],
          decoder.weights.finalNorm.pointer, Int64(c), dx + Int(row) * c)
      }
    }
  }

  // MARK: Feed-forward: x += down(silu(gate(h)) * up(h)), h = RMSNorm(x)

  private func feedForward(
    _ layer: DecoderWeights.Layer, _ saved: Tape.Layer, prefix: String, rows m: Int, dx: UnsafeMutablePointer<Float>
  ) {
    let c = config.hiddenSize
    let f = config.feedForwardSize
    let kind = kind
    let activated = activated.reserve(m * f)
    let dgateUp = dwide.reserve(m * max(2 * f, decoder.headsWidth))
    // the activations again, and in the same pass the gradient of what they are made from
    linear.run(layer.down, [.init(prefix + "mlp.down_proj", rows: c)], dy: dx, x: activated, rows: m) { part, dy in
      pool.run(part.count, chunk: 8) { rows in
        for index in rows {
          let row = part.lowerBound + index
          fv_swiglu_backward(
            kind, kind, saved.gateUp.at(row * 2 * f), Int64(f), dy + index * f, activated.at(row * f),
            dgateUp.at(row * 2 * f))
        }
      }
    }
    let normal = renormalized(saved.middle, saved.middleInverse, layer.postAttentionNorm, rows: m)
    let dnormal = dnormal.reserve(m * c)
    linear.run(
      layer.gateUp, [.init(prefix + "mlp.gate_proj", rows: f), .init(prefix + "mlp.up_proj", rows: f)], dy: dgateUp,
      x: normal, rows: m, dx: dnormal)
    norm(
      prefix + "post_attention_layernorm.weight", layer.postAttentionNorm, dnormal, x: saved.middle,
      inverse: saved.middleInverse, rows: m, dx: dx)
  }

  // MARK: Attention: x += output(attention(rope(q(h)), rope(k(h)), v(h))), h = RMSNorm(x)

  private func attention(
    _ layer: DecoderWeights.Layer, _ saved: Tape.Layer, prefix: String, packed: PackedGroups,
    dx: UnsafeMutablePointer<Float>
  ) {
    let m = packed.rows.count
    let c = config.hiddenSize
    let width = decoder.headsWidth
    let q = decoder.queryWidth
    let kv = config.keyValueHeadCount * config.headSize
    let dattended = dinner.reserve(m * q)
    linear.run(
      layer.attentionOutput, [.init(prefix + "self_attn.o_proj", rows: c)], dy: dx, x: saved.attended, rows: m,
      dx: dattended)
    let dheads = dheads.reserve(m * width)
    memset(dheads, 0, m * width * 4)
    attend(saved, packed: packed, dout: dattended, dheads: dheads)
    let drotated = dwide.reserve(m * max(2 * config.feedForwardSize, width))
    rotateBack(layer, saved, prefix: prefix, packed: packed, dheads: dheads, into: drotated)
    let normal = renormalized(saved.input, saved.inputInverse, layer.inputNorm, rows: m)
    let dnormal = dnormal.reserve(m * c)
    linear.run(
      layer.queryKeyValue,
      [
        .init(prefix + "self_attn.q_proj", rows: q), .init(prefix + "self_attn.k_proj", rows: kv),
        .init(prefix + "self_attn.v_proj", rows: kv),
      ], dy: drotated, x: normal, rows: m, dx: dnormal)
    norm(
      prefix + "input_layernorm.weight", layer.inputNorm, dnormal, x: saved.input, inverse: saved.inputInverse, rows: m,
      dx: dx)
  }

  /// One task a group and key-value head: completions add to their prompt's gradients in order.
  private func attend(
    _ saved: Tape.Layer, packed: PackedGroups, dout: UnsafeMutablePointer<Float>, dheads: UnsafeMutablePointer<Float>
  ) {
    let heads = config.headCount
    let kvHeads = config.keyValueHeadCount
    let d = config.headSize
    let width = decoder.headsWidth
    let kind = kind
    let scale = Float(1 / Double(d).squareRoot())
    let longest = packed.groups.map(\.keyCount).max() ?? 0
    let floats = Int(fv_attention_backward_scratch(Int64(d), Int64(longest)) + 15) & ~15
    let scratches = attentionScratch.reserve(floats * pool.threadCount)
    pool.run(packed.groups.count * kvHeads) { task, thread in
      let group = packed.groups[task / kvHeads]
      let scratch = scratches + thread * floats
      func backward(_ run: PackedGroups.Run, prefix: PackedGroups.Run?) {
        guard run.count > 0 else { return }
        var sequence = fv_attention_sequence(
          head_size: Int64(d), heads: Int64(heads), key_value_heads: Int64(kvHeads), scale: scale, row: Int64(width),
          prefix: saved.heads.at((prefix?.first ?? 0) * width), own: saved.heads.at(run.first * width),
          prefix_count: Int64(prefix?.count ?? 0), count: Int64(run.count), bidirectional: 0,
          prefix_is_loaded: prefix == nil ? 0 : 1, key_capacity: Int64(group.keyCount),
          out: saved.attended.at(run.first * heads * d), dout: dout + run.first * heads * d,
          stats: saved.statistics.pointer + run.first * heads * 2, dprefix: dheads + (prefix?.first ?? 0) * width,
          down: dheads + run.first * width)
        fv_attention_backward(kind, &sequence, Int64(task % kvHeads), scratch)
      }
      backward(group.prompt, prefix: nil)
      for run in group.completions { backward(run, prefix: group.prompt) }
    }
  }

  /// Rotary embedding and per-head norms, backwards, in place, and the result rounded.
  private func rotateBack(
    _ layer: DecoderWeights.Layer, _ saved: Tape.Layer, prefix: String, packed: PackedGroups,
    dheads: UnsafeMutablePointer<Float>, into out: ElementBuffer
  ) {
    let m = packed.rows.count
    let d = config.headSize
    let width = decoder.headsWidth
    let rotated = config.headCount + config.keyValueHeadCount
    let rotary = decoder.rotary
    let kind = kind
    func round(_ row: Int) { fv_round(kind, dheads + row * width, Int64(width), out.at(row * width)) }
    pool.run(m, chunk: 16) { rows in
      for row in rows {
        rotary.rotate(dheads + row * width, heads: rotated, at: packed.rows.rotaryPositions[row], direction: -1)
        if saved.beforeHeadNorm == nil { round(row) }
      }
    }
    guard let before = saved.beforeHeadNorm, let inverse = saved.headInverse, let queryNorm = layer.queryNorm,
      let keyNorm = layer.keyNorm
    else { return }
    let dquery = linear.gradient(prefix + "self_attn.q_norm.weight")
    let dkey = linear.gradient(prefix + "self_attn.k_norm.weight")
    // Rows in order, one thread: all heads and rows share one weight.
    pool.run(1) { _ in
      withUnsafeTemporaryAllocation(of: Float.self, capacity: d) { dhead in
        let dhead = dhead.baseAddress!
        for row in 0..<m {
          for head in 0..<rotated {
            let dy = dheads + row * width + head * d
            let x = before.pointer + (row * rotated + head) * d
            let isQuery = head < config.headCount
            if let dweight = isQuery ? dquery : dkey {
              fv_rmsnorm_weight_backward(
                dy, x, inverse.pointer + row * rotated + head, 1, Int64(d), 0, Int64(d), dweight)
            }
            memset(dhead, 0, d * 4)
            fv_rmsnorm_backward(
              dy, x, inverse.pointer[row * rotated + head], (isQuery ? queryNorm : keyNorm).pointer, Int64(d), dhead)
            memcpy(dy, dhead, d * 4)
          }
          round(row)
        }
      }
    }
  }

  // MARK: Norms

  private func norm(
    _ name: String, _ weight: AlignedBuffer<Float>, _ dy: UnsafeMutablePointer<Float>, x: AlignedBuffer<Float>,
    inverse: AlignedBuffer<Float>, rows m: Int, dx: UnsafeMutablePointer<Float>
  ) {
    let c = config.hiddenSize
    normWeight(name, dy, x: x, inverse: inverse, rows: m)
    pool.run(m, chunk: 16) { rows in
      for row in rows {
        fv_rmsnorm_backward(
          dy + row * c, x.pointer + row * c, inverse.pointer[row], weight.pointer, Int64(c), dx + row * c)
      }
    }
  }

  private func normWeight(
    _ name: String, _ dy: UnsafeMutablePointer<Float>, x: AlignedBuffer<Float>, inverse: AlignedBuffer<Float>,
    rows m: Int
  ) {
    guard let dweight = linear.gradient(name) else { return }
    let c = config.hiddenSize
    pool.run(c, chunk: 64) { columns in
      fv_rmsnorm_weight_backward(
        dy, x.pointer, inverse.pointer, Int64(m), Int64(c), Int64(columns.lowerBound), Int64(columns.upperBound),
        dweight)
    }
  }

  /// The norm's output again, as the forward pass rounded it.
  private func renormalized(
    _ x: AlignedBuffer<Float>, _ inverse: AlignedBuffer<Float>, _ weight: AlignedBuffer<Float>, rows m: Int
  ) -> ElementBuffer {
    let c = config.hiddenSize
    let kind = kind
    let out = normal.reserve(m * c)
    let epsilon = config.block.norm.epsilon
    pool.run(m, chunk: 16) { rows in
      for row in rows { fv_rmsnorm(kind, x.pointer + row * c, nil, weight.pointer, epsilon, Int64(c), out.at(row * c)) }
    }
    return out
  }
}
