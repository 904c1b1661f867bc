import Architecture
import CKernels
import Glibc
import Layers
import Tensor

/// The forward pass of a vision encoder and its projector over packed images. Worker and learner run this same code.
///
/// As exact as the decoder: a feature is the same bits whatever other images are in the batch, for any number of
/// threads and any instruction set. The residual stream is fp32, inputs of products are of the precision. Attention is
/// the decoder's own kernel over a cache of blocks; that every row's keys are its whole window or image makes it
/// bidirectional. Not thread-safe: one owner, one call at a time.
///
/// Shapes: P rows, N features, C width, H heads, D head width, F feed-forward width.
package final class VisionEncoder {
  package let config: VisionConfig
  package let precision: Precision
  package let weights: VisionWeights
  package let pool: ThreadPool
  /// C of the decoder.
  package let outputWidth: Int
  package private(set) var rotary: VisionRotary

  private var cache: KeyValueCache?
  private var residual = ScratchBuffer<Float>()
  private var update = ScratchBuffer<Float>()
  private var wide = ScratchBuffer<Float>()
  private var statistics = ScratchBuffer<Float>()
  private var gathered = ScratchBuffer<Float>()
  private var normed = ScratchBuffer<Float>()
  private var output = ScratchBuffer<Float>()
  private var patches: ElementScratch
  private var normal: ElementScratch
  private var heads: ElementScratch
  private var attended: ElementScratch
  private var activated: ElementScratch
  private var merged: ElementScratch

  package init(weights: VisionWeights, decoder width: Int, precision: Precision, pool: ThreadPool) {
    config = weights.config
    self.precision = precision
    self.weights = weights
    self.pool = pool
    outputWidth = width
    rotary = VisionRotary(headSize: weights.config.headSize)
    patches = ElementScratch(precision)
    normal = ElementScratch(precision)
    heads = ElementScratch(precision)
    attended = ElementScratch(precision)
    activated = ElementScratch(precision)
    merged = ElementScratch(precision)
  }

  private var kind: fv_kind { precision.kind }

  /// Features `[N, decoder's C]`, fp32, of all images, in order; valid until the next call.
  ///
  /// For a backward pass it writes what that needs to `tape`.
  package func forward(_ images: PackedImages, tape: VisionTape? = nil) -> UnsafeMutablePointer<Float> {
    let p = images.rowCount
    let c = config.hiddenSize
    let f = config.feedForwardSize
    let widest = max(3 * c, f * config.activation.inputCount)
    if !config.learnedPositions { rotary.reserve(images.longestSide) }
    let cache = cache(blocks: max(images.images.blockCount, images.windows.blockCount)).layer(0)
    let x = residual.reserve(p * c)
    let delta = update.reserve(p * c)
    embed(images, into: x, update: delta, tape: tape)
    for (index, layer) in weights.layers.enumerated() {
      let saved = tape?.layers[index]
      let normal = normal.reserve(p * c)
      normalize(
        layer.norm1, x, adding: index == 0 ? nil : delta, rows: p, into: normal, saved: saved?.input,
        statistics: saved?.inputStatistics)
      let qkv = wide.reserve(p * widest)
      multiply(layer.queryKeyValue, normal, rows: p, into: qkv)
      let heads = saved?.heads ?? heads.reserve(p * 3 * c)
      rotate(qkv, layer: layer, images: images, into: heads, saved: saved)
      let segments = segments(of: images, layer: index)
      store(heads, segments, layer: cache)
      let attended = saved?.attended ?? attended.reserve(p * c)
      attend(heads, segments, layer: cache, into: attended, statistics: saved?.statistics)
      multiply(layer.output, attended, rows: p, into: delta)
      scale(delta, by: layer.scale1, rows: p, saved: saved?.attentionUpdate)

      normalize(
        layer.norm2, x, adding: delta, rows: p, into: normal, saved: saved?.middle,
        statistics: saved?.middleStatistics)
      let inner = wide.reserve(p * widest)
      multiply(layer.first, normal, rows: p, into: inner)
      let activated = activated.reserve(p * f)
      activate(config.activation, inner, rows: p, width: f, into: activated, saved: saved?.inner)
      multiply(layer.second, activated, rows: p, into: delta)
      scale(delta, by: layer.scale2, rows: p, saved: saved?.feedForwardUpdate)
    }
    return project(images, x, delta, tape: tape)
  }

  /// The runs that attend to one another in a layer.
  package func segments(of images: PackedImages, layer: Int) -> PackedImages.Segments {
    config.windowSize == nil || config.fullAttentionLayers.contains(layer) ? images.images : images.windows
  }

  private func cache(blocks: Int) -> KeyValueCache {
    if let cache, cache.blockCount >= blocks { return cache }
    let made = KeyValueCache(
      headCount: config.headCount, keyValueHeadCount: config.headCount, headSize: config.headSize,
      precision: precision, layerCount: 1, blockCount: blocks + blocks / 4)
    cache = made
    return made
  }

  // MARK: Steps

  /// x = patch . w + position, or the class token's own embedding.
  private func embed(
    _ images: PackedImages, into x: UnsafeMutablePointer<Float>, update: UnsafeMutablePointer<Float>,
    tape: VisionTape?
  ) {
    let c = config.hiddenSize
    let inputs = config.patchInputCount
    let kind = kind
    let rounded = tape?.patches ?? patches.reserve(images.patchCount * inputs)
    images.patches.withUnsafeBufferPointer { values in
      pool.run(images.patchCount, chunk: 16) { range in
        let first = range.lowerBound * inputs
        fv_round(kind, values.baseAddress! + first, Int64(range.count * inputs), rounded.at(first))
      }
    }
    multiply(weights.patch, rounded, rows: images.patchCount, into: update)
    pool.run(images.rowCount, chunk: 16) { rows in
      for row in rows {
        let place = images.places[row]
        let source = place.patch < 0 ? weights.classEmbedding!.pointer : update + Int(place.patch) * c
        memcpy(x + row * c, source, c * 4)
        if let positions = weights.positions {
          fv_add(x + row * c, positions.pointer + Int(place.position) * c, Int64(c))
        }
      }
    }
    guard let norm = weights.embeddingNorm else { return }
    if let saved = tape?.embedded { memcpy(saved.pointer, x, images.rowCount * c * 4) }
    let statistics = tape?.embeddedStatistics?.pointer ?? statistics.reserve(images.rowCount * 2)
    pool.run(images.rowCount, chunk: 16) { rows in
      for row in rows { norm.forward(fv_f32, x + row * c, into: x + row * c, statistics: statistics + 2 * row) }
    }
  }

  private func multiply(
    _ linear: VisionWeights.Linear, _ x: ElementBuffer, rows: Int, into y: UnsafeMutablePointer<Float>
  ) {
    linear.matrix.multiply(
      x.words(at: 0), count: rows, into: y, bias: linear.bias.map { UnsafePointer($0.pointer) }, pool: pool)
  }

  /// x += delta; out = norm(x).
  private func normalize(
    _ norm: NormWeights, _ x: UnsafeMutablePointer<Float>, adding delta: UnsafeMutablePointer<Float>?, rows p: Int,
    into out: ElementBuffer, saved: AlignedBuffer<Float>?, statistics: AlignedBuffer<Float>?
  ) {
    let c = config.hiddenSize
    let kind = kind
    let statistics = statistics?.pointer ?? self.statistics.reserve(2 * p)
    pool.run(p, chunk: 16) { rows in
      for row in rows {
        norm.forward(
          kind, x + row * c, adding: delta.map { UnsafePointer($0 + row * c) }, into: out.at(row * c),
          statistics: statistics + 2 * row)
        if let saved { memcpy(saved.pointer + row * c, x + row * c, c * 4) }
      }
    }
  }

  /// Norms of queries and keys, rotary positions, rounding: what attention takes.
  private func rotate(
    _ qkv: UnsafeMutablePointer<Float>, layer: VisionWeights.Layer, images: PackedImages, into out: ElementBuffer,
    saved: VisionTape.Layer?
  ) {
    let c = config.hiddenSize
    let kind = kind
    let rotary = config.learnedPositions ? nil : rotary
    let statistics = saved?.headStatistics?.pointer ?? statistics.reserve(4 * images.rowCount)
    pool.run(images.rowCount, chunk: 16) { rows in
      for row in rows {
        let values = qkv + row * 3 * c
        if let queryNorm = layer.queryNorm, let keyNorm = layer.keyNorm {
          if let before = saved?.beforeHeadNorm { memcpy(before.pointer + row * 2 * c, values, 2 * c * 4) }
          queryNorm.forward(fv_f32, values, into: values, statistics: statistics + 4 * row)
          keyNorm.forward(fv_f32, values + c, into: values + c, statistics: statistics + 4 * row + 2)
        }
        rotary?.rotate(values, heads: 2 * config.headCount, place: images.places[row], direction: 1)
        fv_round(kind, values, Int64(3 * c), out.at(row * 3 * c))
      }
    }
  }

  private func store(_ heads: ElementBuffer, _ segments: PackedImages.Segments, layer: fv_cache_layer) {
    let c = config.hiddenSize
    let kind = kind
    let size = KeyValueCache.blockPositions
    pool.run(segments.runOfRow.count, chunk: 16) { rows in
      for row in rows {
        let run = segments.runs[Int(segments.runOfRow[row])]
        let (block, slot) = (row - run.first).quotientAndRemainder(dividingBy: size)
        let values = row * 3 * c
        withUnsafePointer(to: layer) {
          fv_cache_store(
            kind, $0, heads.at(values + c), heads.at(values + 2 * c), segments.tables[run.table + block], Int32(slot))
        }
      }
    }
  }

  private func attend(
    _ heads: ElementBuffer, _ segments: PackedImages.Segments, layer: fv_cache_layer, into out: ElementBuffer,
    statistics: AlignedBuffer<Float>?
  ) {
    let c = config.hiddenSize
    let h = config.headCount
    let kind = kind
    let longest = segments.runs.map(\.count).max() ?? 0
    let scratchCount = Int(fv_attention_scratch(1, Int64(longest)))
    segments.tables.withUnsafeBufferPointer { tables in
      pool.run(segments.runOfRow.count, chunk: 4) { rows in
        withUnsafeTemporaryAllocation(byteCount: scratchCount * 4, alignment: 64) { scratch in
          let scratch = scratch.baseAddress!.assumingMemoryBound(to: Float.self)
          for row in rows {
            let run = segments.runs[Int(segments.runOfRow[row])]
            for head in 0..<h {
              withUnsafePointer(to: layer) {
                fv_attention(
                  kind, $0, Int64(head), heads.at(row * 3 * c), tables.baseAddress! + run.table, Int64(run.count),
                  scratch, out.at(row * c), statistics.map { $0.pointer + row * h * 2 })
              }
            }
          }
        }
      }
    }
  }

  /// Layer scale, where there is one.
  private func scale(
    _ delta: UnsafeMutablePointer<Float>, by scale: AlignedBuffer<Float>?, rows p: Int, saved: AlignedBuffer<Float>?
  ) {
    guard let scale else { return }
    let c = config.hiddenSize
    if let saved { memcpy(saved.pointer, delta, p * c * 4) }
    pool.run(p, chunk: 16) { rows in
      for row in rows { fv_scale(delta + row * c, scale.pointer, Int64(c)) }
    }
  }

  private func activate(
    _ activation: Activation, _ x: UnsafeMutablePointer<Float>, rows: Int, width: Int,
    into out: ElementBuffer, saved: ElementBuffer?
  ) {
    let kind = kind
    let inputs = width * activation.inputCount
    pool.run(rows, chunk: 8) { rows in
      for row in rows {
        activation.forward(kind, x + row * inputs, width: width, into: out.at(row * width))
        if let saved { fv_round(kind, x + row * inputs, Int64(inputs), saved.at(row * inputs)) }
      }
    }
  }

  /// Gathers the patches of each feature, norms them, and runs the projector.
  private func project(
    _ images: PackedImages, _ x: UnsafeMutablePointer<Float>, _ delta: UnsafeMutablePointer<Float>, tape: VisionTape?
  ) -> UnsafeMutablePointer<Float> {
    let c = config.hiddenSize
    let n = images.features.count
    let width = config.mergedSize
    let kind = kind
    let final = tape?.final.pointer ?? gathered.reserve(n * width)
    let merged = tape?.merged ?? merged.reserve(n * width)
    let finalStatistics = tape?.finalStatistics?.pointer ?? statistics.reserve(2 * n * config.mergeCount)
    let normed = config.finalNorm ? (tape?.normed?.pointer ?? normed.reserve(n * width)) : final
    pool.run(n, chunk: 8) { features in
      for feature in features {
        let row = Int(images.features[feature]) * c
        memcpy(final + feature * width, x + row, width * 4)
        if !weights.layers.isEmpty { fv_add(final + feature * width, delta + row, Int64(width)) }
        guard let norm = weights.finalNorm else { continue }
        for part in feature * config.mergeCount..<(feature + 1) * config.mergeCount {
          norm.forward(fv_f32, final + part * c, into: normed + part * c, statistics: finalStatistics + 2 * part)
        }
      }
    }
    if let norm = weights.projectorNorm {
      let rows = n * width / norm.width
      let statistics = tape?.projectorStatistics?.pointer ?? statistics.reserve(2 * rows)
      pool.run(rows, chunk: 8) { rows in
        for row in rows {
          norm.forward(
            kind, normed + row * norm.width, into: merged.at(row * norm.width), statistics: statistics + 2 * row)
        }
      }
    } else {
      pool.run(n, chunk: 8) { rows in
        fv_round(kind, normed + rows.lowerBound * width, Int64(rows.count * width), merged.at(rows.lowerBound * width))
      }
    }
    let inner = weights.projector1.matrix.rows
    let hidden = wide.reserve(n * inner)
    multiply(weights.projector1, merged, rows: n, into: hidden)
    let activated = activated.reserve(n * inner)
    activate(config.projectorActivation, hidden, rows: n, width: inner, into: activated, saved: tape?.inner)
    let output = output.reserve(n * outputWidth)
    multiply(weights.projector2, activated, rows: n, into: output)
    return output
  }
}
