import Architecture
import Layers
import Tensor

/// What the vision encoder's forward pass keeps for its backward pass. P rows, N features, C width of the encoder.
///
/// As in `Tape`, what is cheap is computed again. Buffers grow to the largest batch and are used again.
package final class VisionTape {
  package struct Layer {
    /// Residual stream before the first norm, `[P, C]`, and the norm's statistics, `[P, 2]`.
    package let input: AlignedBuffer<Float>
    package let inputStatistics: AlignedBuffer<Float>
    /// Queries, keys and values as attention took them, `[P, 3 C]`.
    package let heads: ElementBuffer
    /// With norms of queries and keys: both before them, `[P, 2 C]`, and their statistics, `[P, 2, 2]`.
    package let beforeHeadNorm: AlignedBuffer<Float>?
    package let headStatistics: AlignedBuffer<Float>?
    /// Attention's result, `[P, C]`, and its softmax's maximum and sum, `[P, H, 2]`.
    package let attended: ElementBuffer
    package let statistics: AlignedBuffer<Float>
    /// With layer scale: the two updates before it, `[P, C]`.
    package let attentionUpdate: AlignedBuffer<Float>?
    package let feedForwardUpdate: AlignedBuffer<Float>?
    /// Residual stream before the second norm, `[P, C]`, and the norm's statistics, `[P, 2]`.
    package let middle: AlignedBuffer<Float>
    package let middleStatistics: AlignedBuffer<Float>
    /// The first projection(s) of the feed-forward part, `[P, F]` or `[P, 2 F]`.
    package let inner: ElementBuffer
  }

  /// The batch that the rest belongs to.
  package var images: PackedImages
  package let rowCapacity: Int
  package let featureCapacity: Int
  /// `[P, patchInputCount]`
  package let patches: ElementBuffer
  /// With a norm behind the embedding: its input, `[P, C]`, and statistics, `[P, 2]`.
  package let embedded: AlignedBuffer<Float>?
  package let embeddedStatistics: AlignedBuffer<Float>?
  package let layers: [Layer]
  /// Last states of the features' patches, `[N mergeCount, C]`; with a final norm its statistics and output.
  package let final: AlignedBuffer<Float>
  package let finalStatistics: AlignedBuffer<Float>?
  package let normed: AlignedBuffer<Float>?
  /// Statistics of the projector's norm, a row of its width each.
  package let projectorStatistics: AlignedBuffer<Float>?
  /// What the projector's first layer took, `[N, mergedSize]`, and gave, `[N, projectorSize]`.
  package let merged: ElementBuffer
  package let inner: ElementBuffer

  package init(_ images: PackedImages, config: VisionConfig, decoder width: Int, precision: Precision) {
    self.images = images
    let p = images.rowCount + images.rowCount / 8
    let n = images.features.count + images.features.count / 8
    rowCapacity = p
    featureCapacity = n
    let c = config.hiddenSize
    func floats(_ count: Int) -> AlignedBuffer<Float> { AlignedBuffer(count: count) }
    func elements(_ count: Int) -> ElementBuffer { ElementBuffer(precision, count: count) }
    patches = elements(p * config.patchInputCount)
    embedded = config.normBeforeLayers ? floats(p * c) : nil
    embeddedStatistics = config.normBeforeLayers ? floats(p * 2) : nil
    let inner = config.feedForwardSize * config.activation.inputCount
    layers = (0..<config.usedLayerCount).map { _ in
      Layer(
        input: floats(p * c), inputStatistics: floats(p * 2), heads: elements(p * 3 * c),
        beforeHeadNorm: config.queryKeyNorm ? floats(p * 2 * c) : nil,
        headStatistics: config.queryKeyNorm ? floats(p * 4) : nil, attended: elements(p * c),
        statistics: floats(p * config.headCount * 2), attentionUpdate: config.layerScale ? floats(p * c) : nil,
        feedForwardUpdate: config.layerScale ? floats(p * c) : nil, middle: floats(p * c),
        middleStatistics: floats(p * 2), inner: elements(p * inner))
    }
    let rows = n * config.mergeCount
    final = floats(rows * c)
    finalStatistics = config.finalNorm ? floats(rows * 2) : nil
    normed = config.finalNorm ? floats(rows * c) : nil
    projectorStatistics =
      config.projectorNorm == nil ? nil : floats(n * config.mergedSize / config.projectorNormWidth * 2)
    merged = elements(n * config.mergedSize)
    self.inner = elements(n * config.projectorSize(decoder: width))
  }
}
