import Architecture
import Layers
import Tensor

/// What a forward pass keeps for its backward pass. M rows, R outputs.
///
/// Norms, activations and attention weights are computed again from these, since that is cheaper than their memory: (8
/// C + 2 ((H + 2K) D + H D + 2 F)) bytes a row and layer in bf16. With gradient checkpointing that is kept for one
/// layer, and of the others only the input, 4 C bytes: the backward pass computes a layer's part again before it needs
/// it.
package final class Tape {
  package struct Layer {
    /// Residual stream before the attention's norm, `[M, C]`, and that norm's inverse, `[M]`.
    package let input: AlignedBuffer<Float>
    package let inputInverse: AlignedBuffer<Float>
    /// Queries, keys and values as attention took them, `[M, (H + 2K) D]`.
    package let heads: ElementBuffer
    /// Attention's result, `[M, H D]`, and its softmax's maximum and sum, `[M, H, 2]`.
    package let attended: ElementBuffer
    package let statistics: AlignedBuffer<Float>
    /// Residual stream before the feed-forward's norm, `[M, C]`, and that norm's inverse, `[M]`.
    package let middle: AlignedBuffer<Float>
    package let middleInverse: AlignedBuffer<Float>
    /// Gate and up projections, `[M, 2F]`.
    package let gateUp: ElementBuffer
    /// With per-head norms: queries and keys before them, `[M, (H + K) D]`, and their inverses, `[M, H + K]`.
    package let beforeHeadNorm: AlignedBuffer<Float>?
    package let headInverse: AlignedBuffer<Float>?

    /// The same buffers behind another input.
    fileprivate func withInput(_ input: AlignedBuffer<Float>) -> Layer {
      Layer(
        input: input, inputInverse: inputInverse, heads: heads, attended: attended, statistics: statistics,
        middle: middle, middleInverse: middleInverse, gateUp: gateUp, beforeHeadNorm: beforeHeadNorm,
        headInverse: headInverse)
    }
  }

  /// With checkpointing all layers share everything but their inputs; it holds the layer that was computed last.
  package let layers: [Layer]
  package let isCheckpointed: Bool
  /// Residual stream of the outputs, `[R, C]`, its norm's inverse, `[R]`, and the normalised states, `[R, C]`.
  package let final: AlignedBuffer<Float>
  package let finalInverse: AlignedBuffer<Float>
  package let states: ElementBuffer
  /// Rows and outputs that it has room for.
  package let rowCapacity: Int
  package let outputCapacity: Int
  /// The vision encoder's tape of the last batch with images.
  package private(set) var vision: VisionTape?
  private let precision: Precision

  package init(config: ModelConfig, precision: Precision, rows m: Int, outputs r: Int, checkpointing: Bool = false) {
    isCheckpointed = checkpointing
    rowCapacity = m
    outputCapacity = r
    self.precision = precision
    let c = config.hiddenSize
    let d = config.headSize
    let h = config.headCount
    let k = config.keyValueHeadCount
    let hasHeadNorms = config.block.attention.queryKeyNorm == .eachHead
    func layer() -> Layer {
      Layer(
        input: AlignedBuffer(count: m * c), inputInverse: AlignedBuffer(count: m),
        heads: ElementBuffer(precision, count: m * (h + 2 * k) * d),
        attended: ElementBuffer(precision, count: m * h * d), statistics: AlignedBuffer(count: m * h * 2),
        middle: AlignedBuffer(count: m * c), middleInverse: AlignedBuffer(count: m),
        gateUp: ElementBuffer(precision, count: m * 2 * config.feedForwardSize),
        beforeHeadNorm: hasHeadNorms ? AlignedBuffer(count: m * (h + k) * d) : nil,
        headInverse: hasHeadNorms ? AlignedBuffer(count: m * (h + k)) : nil)
    }
    let shared = checkpointing ? layer() : nil
    layers = (0..<config.layerCount).map { _ in shared?.withInput(AlignedBuffer(count: m * c)) ?? layer() }
    final = AlignedBuffer(count: r * c)
    finalInverse = AlignedBuffer(count: r)
    states = ElementBuffer(precision, count: r * c)
  }

  /// Room for these images, of a model with a vision encoder.
  package func reserveVision(_ images: PackedImages, config: ModelConfig) -> VisionTape? {
    guard let encoder = config.vision else { return nil }
    if let vision, vision.rowCapacity >= images.rowCount, vision.featureCapacity >= images.features.count {
      vision.images = images
      return vision
    }
    vision = nil
    vision = VisionTape(images, config: encoder, decoder: config.hiddenSize, precision: precision)
    return vision
  }
}
