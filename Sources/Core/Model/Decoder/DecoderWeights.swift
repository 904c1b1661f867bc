import Architecture
import Layers
import Tensor

/// The packed weights of a decoder, and the way from a parameter of `ModelConfig.parameters` to its place in them.
///
/// q, k and v are stacked into one matrix, and gate and up into another: fewer and larger products.
package final class DecoderWeights: Sendable {
  package struct Layer: Sendable {
    /// `[(H + 2K) D, C]`
    package let queryKeyValue: any WeightMatrix
    /// `[C, H D]`
    package let attentionOutput: any WeightMatrix
    /// `[2 F, C]`
    package let gateUp: any WeightMatrix
    /// `[C, F]`
    package let down: any WeightMatrix
    package let inputNorm: AlignedBuffer<Float>
    package let postAttentionNorm: AlignedBuffer<Float>
    package let queryNorm: AlignedBuffer<Float>?
    package let keyNorm: AlignedBuffer<Float>?
    package let queryKeyValueBias: AlignedBuffer<Float>?
    package let attentionOutputBias: AlignedBuffer<Float>?
    package let gateUpBias: AlignedBuffer<Float>?
    package let downBias: AlignedBuffer<Float>?
  }

  package let config: ModelConfig
  package let precision: Precision
  /// `[V, C]`
  package let embedding: any WeightMatrix
  /// `[V, C]`; the embedding itself when tied.
  package let head: any WeightMatrix
  package let layers: [Layer]
  package let finalNorm: AlignedBuffer<Float>
  package let vision: VisionWeights?
  private let places: [ParameterPlace]
  package let parameters: [ParameterShape]

  /// - Parameter rollout: `int8` quantizes the decoder's matrices, not the embedding that tokens are looked up in, and
  ///   no vision encoder.
  package init(config: ModelConfig, precision: Precision, rollout: RolloutPrecision = .exact) {
    self.config = config
    self.precision = precision
    let width = config.hiddenSize
    let q = config.headCount * config.headSize
    let kv = config.keyValueHeadCount * config.headSize
    let f = config.feedForwardSize
    func exact(_ rows: Int, _ depth: Int) -> PackedMatrix {
      PackedMatrix(precision, rows: rows, depth: depth)
    }
    func matrix(_ rows: Int, _ depth: Int, keepsRows: Bool = false) -> any WeightMatrix {
      rollout == .exact
        ? exact(rows, depth) : QuantizedMatrix(precision, rows: rows, depth: depth, keepsRows: keepsRows)
    }
    func vector(_ count: Int, if present: Bool) -> AlignedBuffer<Float>? {
      present ? AlignedBuffer(count: count) : nil
    }
    let (attention, feedForward) = (config.block.attention, config.block.feedForward)
    let hasHeadNorms = attention.queryKeyNorm == .eachHead
    head = matrix(config.vocabularySize, width, keepsRows: config.tiedHead)
    embedding = config.tiedHead ? head : exact(config.vocabularySize, width)
    finalNorm = AlignedBuffer(count: width)
    layers = (0..<config.layerCount).map { _ in
      Layer(
        queryKeyValue: matrix(q + 2 * kv, width), attentionOutput: matrix(width, q), gateUp: matrix(2 * f, width),
        down: matrix(width, f), inputNorm: AlignedBuffer(count: width), postAttentionNorm: AlignedBuffer(count: width),
        queryNorm: vector(config.headSize, if: hasHeadNorms),
        keyNorm: vector(config.headSize, if: hasHeadNorms),
        queryKeyValueBias: vector(q + 2 * kv, if: attention.queryKeyValueBias),
        attentionOutputBias: vector(width, if: attention.outputBias),
        gateUpBias: vector(2 * f, if: feedForward.bias), downBias: vector(width, if: feedForward.bias))
    }
    vision = config.vision.map {
      VisionWeights(config: $0, decoder: width, precision: precision)
    }
    parameters = config.parameters
    var places: [String: ParameterPlace] = [
      "model.embed_tokens.weight": .matrix(embedding, firstRow: 0),
      "lm_head.weight": .matrix(head, firstRow: 0),
      "model.norm.weight": .vector(finalNorm, first: 0),
    ]
    for (index, layer) in layers.enumerated() {
      func put(_ name: String, _ place: ParameterPlace) { places["model.layers.\(index).\(name)"] = place }
      func put(_ name: String, _ buffer: AlignedBuffer<Float>?, _ first: Int = 0) {
        if let buffer { put(name, .vector(buffer, first: first)) }
      }
      put("input_layernorm.weight", layer.inputNorm)
      put("post_attention_layernorm.weight", layer.postAttentionNorm)
      for (name, first) in [("q", 0), ("k", q), ("v", q + kv)] {
        put("self_attn.\(name)_proj.weight", .matrix(layer.queryKeyValue, firstRow: first))
        put("self_attn.\(name)_proj.bias", layer.queryKeyValueBias, first)
      }
      put("self_attn.q_norm.weight", layer.queryNorm)
      put("self_attn.k_norm.weight", layer.keyNorm)
      put("self_attn.o_proj.weight", .matrix(layer.attentionOutput, firstRow: 0))
      put("self_attn.o_proj.bias", layer.attentionOutputBias)
      for (name, first) in [("gate", 0), ("up", f)] {
        put("mlp.\(name)_proj.weight", .matrix(layer.gateUp, firstRow: first))
        put("mlp.\(name)_proj.bias", layer.gateUpBias, first)
      }
      put("mlp.down_proj.weight", .matrix(layer.down, firstRow: 0))
      put("mlp.down_proj.bias", layer.downBias)
    }
    self.places = parameters.map { [vision] parameter in
      guard let place = places[parameter.name] ?? vision?.places[parameter.name] else {
        preconditionFailure("no place for \(parameter.name)")
      }
      return place
    }
  }

  /// Packs rows (slices along the first dimension) of one parameter from fp32.
  package func load(parameter index: Int, rows: Range<Int>, float32 values: UnsafePointer<Float>, pool: ThreadPool) {
    switch places[index] {
    case .matrix(let matrix, let firstRow):
      matrix.load(rows: firstRow + rows.lowerBound, count: rows.count, float32: values, pool: pool)
    case .vector(let buffer, let first):
      let depth = parameters[index].depth
      let target = buffer.pointer + first + rows.lowerBound * depth
      // A parameter of more than one dimension is of the precision, also where it is used as a vector (learned
      // positions): such parameters are broadcast in bf16.
      if precision == .bfloat16 && parameters[index].shape.count > 1 {
        for i in 0..<rows.count * depth { target[i] = Float(bitPattern: UInt32(values[i].bfloat16Bits) << 16) }
      } else {
        target.update(from: values, count: rows.count * depth)
      }
    case .unused: break
    }
  }

  /// Packs rows of one parameter from bf16.
  package func load(parameter index: Int, rows: Range<Int>, bfloat16 values: UnsafePointer<UInt16>, pool: ThreadPool) {
    switch places[index] {
    case .matrix(let matrix, let firstRow):
      matrix.load(rows: firstRow + rows.lowerBound, count: rows.count, bfloat16: values, pool: pool)
    case .vector(let buffer, let first):
      let depth = parameters[index].depth
      let target = buffer.pointer + first + rows.lowerBound * depth
      for i in 0..<rows.count * depth { target[i] = Float(bitPattern: UInt32(values[i]) << 16) }
    case .unused: break
    }
  }

  /// How a parameter that was loaded from scalars of `precision` can be read back.
  package enum ReadBack {
    /// `read` gives it back bit for bit.
    case exact
    /// It is not in the decoder at all.
    case unused
    /// It was rounded.
    case impossible
  }

  package func readBack(parameter index: Int, loadedFrom encoding: Precision) -> ReadBack {
    switch places[index] {
    case .matrix(let matrix, _): encoding == precision && matrix.isExact ? .exact : .impossible
    case .vector:
      encoding == .float32 && precision == .bfloat16 && parameters[index].shape.count > 1 ? .impossible : .exact
    case .unused: .unused
    }
  }

  /// Reads rows of one parameter back as scalars of the precision that they were loaded from, bit for bit.
  package func read(
    parameter index: Int, rows: Range<Int>, as encoding: Precision, into out: UnsafeMutableRawPointer
  ) {
    switch places[index] {
    case .matrix(let matrix, let firstRow):
      precondition(encoding == precision, "a matrix of \(precision) as \(encoding)")
      matrix.read(rows: firstRow + rows.lowerBound..<firstRow + rows.upperBound, into: out)
    case .vector(let buffer, let first):
      let depth = parameters[index].depth
      let source = buffer.pointer + first + rows.lowerBound * depth
      switch encoding {
      case .float32: out.copyMemory(from: source, byteCount: rows.count * depth * 4)
      case .bfloat16:
        let halves = out.assumingMemoryBound(to: UInt16.self)
        for i in 0..<rows.count * depth { halves[i] = UInt16(source[i].bitPattern >> 16) }
      }
    case .unused: preconditionFailure("\(parameters[index].name) is not in the decoder")
    }
  }
}
