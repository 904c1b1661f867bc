import Architecture
import CKernels
import Glibc
import Layers
import Tensor

/// The forward pass over packed rows of a decoder whose layers a `BlockDescription` describes. Worker and learner run
/// this same code.
///
/// Batch-invariant: every row's result is the same bits alone or next to others, in decode or in prefill, for any
/// number of threads and any instruction set (`CKernels.h` says how). Not thread-safe: one owner, one call at a time.
///
/// Shapes: M rows, R outputs, C model width, H query heads, K key-value heads, D head width, F feed-forward width, V
/// vocabulary. The residual stream is fp32; inputs of products are of the precision; sums are fp32. With
/// `rollout: .int8` the products are those of `QuantizedMatrix`, and everything else stays as it is.
public final class Decoder {
  public let config: ModelConfig
  public let precision: Precision
  package let weights: DecoderWeights
  package let pool: ThreadPool
  package let rotary: RotaryTable
  package let vision: VisionEncoder?

  private var residual = ScratchBuffer<Float>()
  private var update = ScratchBuffer<Float>()
  private var wide = ScratchBuffer<Float>()
  private var normal: ElementScratch
  private var heads: ElementScratch
  private var attended: ElementScratch
  private var activated: ElementScratch
  private var outputRows = ScratchBuffer<Float>()

  /// A decoder with weights of zero; `load` fills them.
  ///
  /// - Parameters:
  ///   - config: checked; the decoder computes everything that its block description says.
  ///   - rollout: how samples are computed; a decoder that is trained is exact.
  public init(config: ModelConfig, precision: Precision, rollout: RolloutPrecision = .exact, pool: ThreadPool) {
    precondition(config.block.unsupported == nil, "an unchecked configuration: \(config.block)")
    self.config = config
    self.precision = precision
    self.pool = pool
    weights = DecoderWeights(config: config, precision: precision, rollout: rollout)
    rotary = RotaryTable(config: config, positions: config.maxPositions)
    vision = weights.vision.map {
      VisionEncoder(weights: $0, decoder: config.hiddenSize, precision: precision, pool: pool)
    }
    normal = ElementScratch(precision)
    heads = ElementScratch(precision)
    attended = ElementScratch(precision)
    activated = ElementScratch(precision)
  }

  /// Packs all parameters from fp32, rounding matrices to the precision.
  public func load(_ parameters: ParameterSet) {
    for index in parameters.parameters.indices {
      load(parameter: index, float32: UnsafePointer(parameters.scalars(index).baseAddress!))
    }
  }

  /// Packs one parameter of `config.parameters`, or some of its rows, from fp32 values, row-major.
  public func load(parameter index: Int, rows: Range<Int>? = nil, float32 values: UnsafePointer<Float>) {
    let rows = rows ?? 0..<weights.parameters[index].rows
    weights.load(parameter: index, rows: rows, float32: values, pool: pool)
  }

  /// Packs one parameter of `config.parameters`, or some of its rows, from bf16 values, row-major.
  public func load(parameter index: Int, rows: Range<Int>? = nil, bfloat16 values: UnsafePointer<UInt16>) {
    let rows = rows ?? 0..<weights.parameters[index].rows
    weights.load(parameter: index, rows: rows, bfloat16: values, pool: pool)
  }

  /// `(H + 2K) D`, the width of a row of queries, keys and values.
  package var headsWidth: Int { (config.headCount + 2 * config.keyValueHeadCount) * config.headSize }
  /// `H D`
  package var queryWidth: Int { config.headCount * config.headSize }

  /// Runs all layers and returns the normalised final states of `batch.outputs`, `[R, C]`, of the precision.
  ///
  /// Writes the rows' keys and values to `cache` and, for a backward pass, what it needs to `tape`.
  package func forward(_ batch: RowBatch, cache: KeyValueCache, tape: Tape? = nil) -> ElementBuffer {
    let m = batch.count
    let c = config.hiddenSize
    let x = residual.reserve(m * c)
    let delta = update.reserve(m * c)
    embed(batch, into: x, tape: tape)
    for (index, layer) in weights.layers.enumerated() {
      let saved = tape?.layers[index]
      let normal = attend(index, batch, x, adding: index == 0 ? nil : delta, cache: cache, saved: saved)
      for rows in Self.parts(m) {
        let gateUp = widen(layer, normal, rows)
        let activated = activated.reserve(rows.count * config.feedForwardSize)
        activate(gateUp, rows, into: activated, saved: saved?.gateUp)
        layer.down.multiply(
          activated.words(at: 0), count: rows.count, into: delta + rows.lowerBound * c,
          bias: layer.downBias.map { UnsafePointer($0.pointer) }, pool: pool)
      }
    }
    return outputs(batch, x, delta, tape: tape)
  }

  /// Gradient checkpointing: fills the tape of one layer again from that layer's input, by the operations of `forward`.
  package func recompute(layer index: Int, _ batch: RowBatch, cache: KeyValueCache, tape: Tape) {
    let m = batch.count
    let saved = tape.layers[index]
    let x = residual.reserve(m * config.hiddenSize)
    memcpy(x, saved.input.pointer, m * config.hiddenSize * 4)
    let normal = attend(index, batch, x, adding: nil, cache: cache, saved: saved)
    for rows in Self.parts(m) { activate(widen(weights.layers[index], normal, rows), rows, saved: saved.gateUp) }
  }

  /// Rows of the feed-forward's wide activations that exist at once: few enough to stay in the last-level cache.
  package static let rowsPerPart = 512

  package static func parts(_ count: Int) -> [Range<Int>] {
    stride(from: 0, to: count, by: rowsPerPart).map { $0..<min(count, $0 + rowsPerPart) }
  }

  /// A layer's attention, `x += output(attention(norm(x)))`, and the norm behind it.
  private func attend(
    _ index: Int, _ batch: RowBatch, _ x: UnsafeMutablePointer<Float>, adding delta: UnsafeMutablePointer<Float>?,
    cache: KeyValueCache, saved: Tape.Layer?
  ) -> ElementBuffer {
    let layer = weights.layers[index]
    let m = batch.count
    let c = config.hiddenSize
    let normal = normal.reserve(m * c)
    normalize(
      x, adding: delta, weight: layer.inputNorm, rows: m, into: normal, saved: saved?.input,
      inverse: saved?.inputInverse)
    let wide = wide.reserve(m * headsWidth)
    layer.queryKeyValue.multiply(
      normal.words(at: 0), count: m, into: wide, bias: layer.queryKeyValueBias.map { UnsafePointer($0.pointer) },
      pool: pool)
    let heads = saved?.heads ?? heads.reserve(m * headsWidth)
    let attended = saved?.attended ?? attended.reserve(m * queryWidth)
    let cached = cache.layer(index)
    if batch.rowsAreIndependent {
      pool.run(m, chunk: chunk(m, most: 4)) { rows in
        rotate(rows, wide, layer: layer, batch: batch, into: heads, saved: saved)
        store(rows, heads, batch: batch, layer: cached)
        attend(rows, heads, batch: batch, layer: cached, into: attended, statistics: saved?.statistics)
      }
    } else {
      pool.run(m, chunk: chunk(m, most: 16)) { rotate($0, wide, layer: layer, batch: batch, into: heads, saved: saved) }
      pool.run(batch.writes.count, chunk: chunk(batch.writes.count, most: 16)) {
        store($0, heads, batch: batch, layer: cached)
      }
      pool.run(m, chunk: chunk(m, most: 4)) {
        attend($0, heads, batch: batch, layer: cached, into: attended, statistics: saved?.statistics)
      }
    }
    let update = update.reserve(m * c)
    layer.attentionOutput.multiply(
      attended.words(at: 0), count: m, into: update, bias: layer.attentionOutputBias.map { UnsafePointer($0.pointer) },
      pool: pool)

    normalize(
      x, adding: update, weight: layer.postAttentionNorm, rows: m, into: normal, saved: saved?.middle,
      inverse: saved?.middleInverse)
    return normal
  }

  /// The gate and up projections of some rows, `[rows, 2F]`.
  private func widen(
    _ layer: DecoderWeights.Layer, _ normal: ElementBuffer, _ rows: Range<Int>
  ) -> UnsafeMutablePointer<Float> {
    let gateUp = wide.reserve(rows.count * 2 * config.feedForwardSize)
    layer.gateUp.multiply(
      normal.words(at: rows.lowerBound * config.hiddenSize), count: rows.count, into: gateUp,
      bias: layer.gateUpBias.map { UnsafePointer($0.pointer) }, pool: pool)
    return gateUp
  }

  /// Logits `[R, V]` of normalised final states, fp32.
  package func logits(
    _ states: UnsafePointer<UInt32>, count: Int, into logits: UnsafeMutablePointer<Float>
  ) {
    weights.head.multiply(states, count: count, into: logits, pool: pool)
  }

  /// Rows of one task: few enough for every thread to have some.
  private func chunk(_ rows: Int, most: Int) -> Int { max(1, min(most, rows / (2 * pool.threadCount))) }

  /// The embeddings of the tokens, and the images' features in their places.
  private func embed(_ batch: RowBatch, into x: UnsafeMutablePointer<Float>, tape: Tape?) {
    let c = config.hiddenSize
    pool.run(batch.count, chunk: chunk(batch.count, most: 16)) { rows in
      for row in rows { weights.embedding.unpack(row: Int(batch.tokens[row]), into: x + row * c) }
    }
    guard let vision, !batch.images.isEmpty else { return }
    let images = PackedImages(batch.images, config: vision.config)
    precondition(images.features.count == batch.features.count, "unchecked images")
    let features = vision.forward(images, tape: tape?.reserveVision(images, config: config))
    for (feature, row) in batch.features.enumerated() { memcpy(x + Int(row) * c, features + feature * c, c * 4) }
  }

  /// x += delta; out = RMSNorm(x).
  private func normalize(
    _ x: UnsafeMutablePointer<Float>, adding delta: UnsafeMutablePointer<Float>?, weight: AlignedBuffer<Float>,
    rows m: Int, into out: ElementBuffer, saved: AlignedBuffer<Float>?, inverse: AlignedBuffer<Float>?
  ) {
    let c = config.hiddenSize
    let kind = precision.kind
    let epsilon = config.block.norm.epsilon
    pool.run(m, chunk: chunk(m, most: 16)) { rows in
      for row in rows {
        let value = fv_rmsnorm(
          kind, x + row * c, delta.map { UnsafePointer($0 + row * c) }, weight.pointer, epsilon, Int64(c),
          out.at(row * c))
        inverse?.pointer[row] = value
        if let saved { memcpy(saved.pointer + row * c, x + row * c, c * 4) }
      }
    }
  }

  /// Per-head norms (Qwen3), rotary embedding, rounding: queries, keys and values as attention takes them.
  private func rotate(
    _ rows: Range<Int>, _ qkv: UnsafeMutablePointer<Float>, layer: DecoderWeights.Layer, batch: RowBatch,
    into out: ElementBuffer, saved: Tape.Layer?
  ) {
    let width = headsWidth
    let d = config.headSize
    let rotated = config.headCount + config.keyValueHeadCount
    for row in rows {
      let values = qkv + row * width
      if let queryNorm = layer.queryNorm, let keyNorm = layer.keyNorm {
        if let before = saved?.beforeHeadNorm { memcpy(before.pointer + row * rotated * d, values, rotated * d * 4) }
        for head in 0..<rotated {
          let weight = head < config.headCount ? queryNorm : keyNorm
          let inverse = fv_rmsnorm(
            fv_f32, values + head * d, nil, weight.pointer, config.block.norm.epsilon, Int64(d), values + head * d)
          saved?.headInverse?.pointer[row * rotated + head] = inverse
        }
      }
      rotary.rotate(values, heads: rotated, at: batch.rotaryPositions[row], direction: 1)
      fv_round(precision.kind, values, Int64(width), out.at(row * width))
    }
  }

  /// Keys and values of some of the batch's writes, to the cache.
  private func store(_ writes: Range<Int>, _ heads: ElementBuffer, batch: RowBatch, layer: fv_cache_layer) {
    let key = queryWidth
    let value = key + config.keyValueHeadCount * config.headSize
    withUnsafePointer(to: layer) { layer in
      for index in writes {
        let write = batch.writes[index]
        let row = Int(write.row) * headsWidth
        fv_cache_store(precision.kind, layer, heads.at(row + key), heads.at(row + value), write.block, write.slot)
      }
    }
  }

  private func attend(
    _ rows: Range<Int>, _ heads: ElementBuffer, batch: RowBatch, layer: fv_cache_layer, into out: ElementBuffer,
    statistics: AlignedBuffer<Float>?
  ) {
    let longest = Int(batch.positions[rows].max() ?? 0) + 1
    let scratchCount = Int(fv_attention_scratch(layer.heads_per_key_value, Int64(longest)))
    withUnsafeTemporaryAllocation(byteCount: scratchCount * 4, alignment: 64) { scratch in
      let scratch = scratch.baseAddress!.assumingMemoryBound(to: Float.self)
      withUnsafePointer(to: layer) { layer in
        for row in rows {
          let statistics = statistics.map { $0.pointer + row * config.headCount * 2 }
          batch.tables.withUnsafeBufferPointer { tables in
            for kv in 0..<config.keyValueHeadCount {
              fv_attention(
                precision.kind, layer, Int64(kv), heads.at(row * headsWidth),
                tables.baseAddress! + Int(batch.tableStarts[row]), Int64(batch.positions[row]) + 1, scratch,
                out.at(row * queryWidth), statistics)
            }
          }
        }
      }
    }
  }

  /// silu(gate) * up of some rows, and for a backward pass gate and up.
  private func activate(
    _ gateUp: UnsafeMutablePointer<Float>, _ part: Range<Int>, into out: ElementBuffer? = nil, saved: ElementBuffer?
  ) {
    let f = config.feedForwardSize
    let kind = precision.kind
    pool.run(part.count, chunk: chunk(part.count, most: 8)) { rows in
      for row in rows {
        if let out { fv_swiglu(kind, gateUp + row * 2 * f, Int64(f), out.at(row * f)) }
        if let saved {
          fv_round(kind, gateUp + row * 2 * f, Int64(2 * f), saved.at((part.lowerBound + row) * 2 * f))
        }
      }
    }
  }

  private func outputs(
    _ batch: RowBatch, _ x: UnsafeMutablePointer<Float>, _ delta: UnsafeMutablePointer<Float>, tape: Tape?
  ) -> ElementBuffer {
    let c = config.hiddenSize
    let r = batch.outputs.count
    let gathered = tape.map { $0.final.pointer } ?? outputRows.reserve(r * c)
    let out = tape.map { $0.states } ?? normal.reserve(max(r, batch.count) * c)
    let kind = precision.kind
    let epsilon = config.block.norm.epsilon
    pool.run(r, chunk: chunk(r, most: 16)) { rows in
      for index in rows {
        let row = Int(batch.outputs[index]) * c
        memcpy(gathered + index * c, x + row, c * 4)
        let inverse = fv_rmsnorm(
          kind, gathered + index * c, delta + row, weights.finalNorm.pointer, epsilon, Int64(c), out.at(index * c))
        tape?.finalInverse.pointer[index] = inverse
      }
    }
    return out
  }
}
