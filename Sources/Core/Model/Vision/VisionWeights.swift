import Architecture
import Layers
import Tensor

/// The packed weights of a vision encoder and its projector, and where each parameter of the configuration lives in
/// them.
package final class VisionWeights: Sendable {
  /// A linear layer: `[rows, depth]` and its bias `[rows]`.
  package struct Linear: Sendable {
    package let matrix: PackedMatrix
    package let bias: AlignedBuffer<Float>?
  }

  package struct Layer: Sendable {
    package let norm1: NormWeights
    /// `[3 C, C]`
    package let queryKeyValue: Linear
    package let queryNorm: NormWeights?
    package let keyNorm: NormWeights?
    /// `[C, C]`
    package let output: Linear
    /// `[C]`
    package let scale1: AlignedBuffer<Float>?
    package let norm2: NormWeights
    /// `[F, C]`, or gate and up stacked, `[2 F, C]`.
    package let first: Linear
    /// `[C, F]`
    package let second: Linear
    /// `[C]`
    package let scale2: AlignedBuffer<Float>?
  }

  package let config: VisionConfig
  /// `[C, patchInputCount]`
  package let patch: Linear
  /// `[C]`
  package let classEmbedding: AlignedBuffer<Float>?
  /// `[positions, C]`
  package let positions: AlignedBuffer<Float>?
  package let embeddingNorm: NormWeights?
  /// The layers that are run.
  package let layers: [Layer]
  package let finalNorm: NormWeights?
  package let projectorNorm: NormWeights?
  /// `[P, mergedSize]` and `[decoder's C, P]`
  package let projector1: Linear
  package let projector2: Linear
  /// Where each parameter lives, by its name.
  package let places: [String: ParameterPlace]

  /// - Parameter width: C of the decoder.
  package init(config: VisionConfig, decoder width: Int, precision: Precision) {
    self.config = config
    let c = config.hiddenSize
    let f = config.feedForwardSize
    var places: [String: ParameterPlace] = [:]
    func vector(_ name: String, _ count: Int) -> AlignedBuffer<Float> {
      let buffer = AlignedBuffer<Float>(count: count)
      places[name] = .vector(buffer, first: 0)
      return buffer
    }
    func norm(_ name: String, _ kind: NormKind, _ width: Int, _ epsilon: Float) -> NormWeights {
      let norm = NormWeights(kind, width: width, epsilon: epsilon)
      places[name + ".weight"] = .vector(norm.weight, first: 0)
      if let bias = norm.bias { places[name + ".bias"] = .vector(bias, first: 0) }
      return norm
    }
    // Several parameters of equal height, stacked.
    func linear(_ names: [String], _ rows: Int, _ depth: Int, bias: Bool) -> Linear {
      let matrix = PackedMatrix(precision, rows: rows * names.count, depth: depth)
      let buffer = bias ? AlignedBuffer<Float>(count: rows * names.count) : nil
      for (index, name) in names.enumerated() {
        places[name + ".weight"] = .matrix(matrix, firstRow: index * rows)
        if let buffer { places[name + ".bias"] = .vector(buffer, first: index * rows) }
      }
      return Linear(matrix: matrix, bias: buffer)
    }
    func normBefore(_ name: String, _ width: Int) -> NormWeights {
      norm(name, config.norm, width, config.normEpsilon)
    }

    patch = linear(
      ["vision.patch_embedding"], c, config.patchInputCount, bias: config.patchBias)
    classEmbedding = config.classToken ? vector("vision.class_embedding", c) : nil
    positions =
      config.learnedPositions ? vector("vision.position_embedding", config.positionCount * c) : nil
    embeddingNorm =
      config.normBeforeLayers ? norm("vision.embedding_norm", .layer, c, config.normEpsilon) : nil
    layers = (0..<config.usedLayerCount).map { index in
      let prefix = "vision.layers.\(index)."
      let attention = prefix + "attention."
      let gated = config.activation.isGated
      return Layer(
        norm1: normBefore(prefix + "norm1", c),
        queryKeyValue: config.fusedQueryKeyValue
          ? linear([attention + "qkv"], 3 * c, c, bias: config.queryKeyValueBias)
          : linear(["q", "k", "v"].map { attention + $0 }, c, c, bias: config.queryKeyValueBias),
        queryNorm: config.queryKeyNorm ? norm(attention + "q_norm", .rootMeanSquare, c, 1e-6) : nil,
        keyNorm: config.queryKeyNorm ? norm(attention + "k_norm", .rootMeanSquare, c, 1e-6) : nil,
        output: linear([attention + "output"], c, c, bias: true),
        scale1: config.layerScale ? vector(prefix + "scale1", c) : nil, norm2: normBefore(prefix + "norm2", c),
        first: linear((gated ? ["gate", "up"] : ["fc1"]).map { prefix + "mlp." + $0 }, f, c, bias: true),
        second: linear([prefix + (gated ? "mlp.down" : "mlp.fc2")], c, f, bias: true),
        scale2: config.layerScale ? vector(prefix + "scale2", c) : nil)
    }
    finalNorm = config.finalNorm ? norm("vision.final_norm", .layer, c, config.normEpsilon) : nil
    projectorNorm = config.projectorNorm.map { norm("projector.norm", $0.kind, config.projectorNormWidth, $0.epsilon) }
    let inner = config.projectorSize(decoder: width)
    projector1 = linear(["projector.linear_1"], inner, config.mergedSize, bias: config.projectorBias)
    projector2 = linear(["projector.linear_2"], width, inner, bias: config.projectorBias)
    // What is kept and saved but not run: layers behind the one whose output is used, and the norm behind them.
    for parameter in config.parameters(decoder: width) where places[parameter.name] == nil {
      places[parameter.name] = .unused
    }
    self.places = places
  }
}
