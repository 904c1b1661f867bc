/// The packed weights of a decoder, and the way from a parameter of `ModelConfig.parameters` to its place in them.
///
/// q, k and v are stacked into one matrix, and gate and up into another: fewer and larger products.
package final class DecoderWeights: Sendable {
  package struct Layer: Sendable {
    /// `[(H + 2K) D, C]`
    package let queryKeyValue: PackedMatrix
    /// `[C, H D]`
    package let attentionOutput: PackedMatrix
    /// `[2 F, C]`
    package let gateUp: PackedMatrix
    /// `[C, F]`
    package let down: PackedMatrix
    package let inputNorm: AlignedBuffer<Float>
    package let postAttentionNorm: AlignedBuffer<Float>
    package let queryNorm: AlignedBuffer<Float>?
    package let keyNorm: AlignedBuffer<Float>?
    package let queryKeyValueBias: AlignedBuffer<Float>?
    package let attentionOutputBias: AlignedBuffer<Float>?
    package let gateUpBias: AlignedBuffer<Float>?
    package let downBias: AlignedBuffer<Float>?
  }

  /// Where one parameter lives: rows of a matrix, scalars of a vector, or nowhere, since it is only kept and saved.
  package enum Place: Sendable {
    case matrix(PackedMatrix, firstRow: Int)
    case vector(AlignedBuffer<Float>, first: Int)
    case unused
  }

  package let config: ModelConfig
  package let precision: Precision
  /// `[V, C]`
  package let embedding: PackedMatrix
  /// `[V, C]`; the embedding itself when tied.
  package let head: PackedMatrix
  package let layers: [Layer]
  package let finalNorm: AlignedBuffer<Float>
  package let vision: VisionWeights?
  private let places: [Place]
  private let parameters: [ParameterShape]

  /// - Parameter trainable: keeps the transposed packing that the backward pass needs.
  package init(config: ModelConfig, precision: Precision, trainable: Bool) {
    self.config = config
    self.precision = precision
    let width = config.hiddenSize
    let q = config.headCount * config.headSize
    let kv = config.keyValueHeadCount * config.headSize
    let f = config.feedForwardSize
    func matrix(_ rows: Int, _ depth: Int) -> PackedMatrix {
      PackedMatrix(precision, rows: rows, depth: depth, transposed: trainable)
    }
    func vector(_ count: Int, if present: Bool) -> AlignedBuffer<Float>? {
      present ? AlignedBuffer(count: count) : nil
    }
    embedding = matrix(config.vocabularySize, width)
    head = config.tiedHead ? embedding : matrix(config.vocabularySize, width)
    finalNorm = AlignedBuffer(count: width)
    layers = (0..<config.layerCount).map { _ in
      Layer(
        queryKeyValue: matrix(q + 2 * kv, width), attentionOutput: matrix(width, q), gateUp: matrix(2 * f, width),
        down: matrix(width, f), inputNorm: AlignedBuffer(count: width), postAttentionNorm: AlignedBuffer(count: width),
        queryNorm: vector(config.headSize, if: config.queryKeyNorm),
        keyNorm: vector(config.headSize, if: config.queryKeyNorm),
        queryKeyValueBias: vector(q + 2 * kv, if: config.queryKeyValueBias),
        attentionOutputBias: vector(width, if: config.attentionOutputBias),
        gateUpBias: vector(2 * f, if: config.feedForwardBias), downBias: vector(width, if: config.feedForwardBias))
    }
    vision = config.vision.map {
      VisionWeights(config: $0, decoder: width, precision: precision, trainable: trainable)
    }
    parameters = config.parameters
    var places: [String: Place] = [
      "model.embed_tokens.weight": .matrix(embedding, firstRow: 0),
      "lm_head.weight": .matrix(head, firstRow: 0),
      "model.norm.weight": .vector(finalNorm, first: 0),
    ]
    for (index, layer) in layers.enumerated() {
      func put(_ name: String, _ place: Place) { places["model.layers.\(index).\(name)"] = place }
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

  /// Packs one parameter from fp32.
  package func load(parameter index: Int, float32 values: UnsafePointer<Float>, pool: ThreadPool) {
    switch places[index] {
    case .matrix(let matrix, let firstRow):
      matrix.load(rows: firstRow, count: parameters[index].shape[0], float32: values, pool: pool)
    case .vector(let buffer, let first):
      load(parameters[index], values, into: buffer.pointer + first)
    case .unused: break
    }
  }

  /// A parameter of more than one dimension is of the precision, also where it is used as a vector (learned positions): such
  /// parameters are broadcast in bf16.
  private func load(
    _ parameter: ParameterShape, _ values: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>
  ) {
    if precision == .bfloat16 && parameter.shape.count > 1 {
      for i in 0..<parameter.count { target[i] = Float(bitPattern: UInt32(values[i].bfloat16Bits) << 16) }
    } else {
      target.update(from: values, count: parameter.count)
    }
  }

  /// Packs one matrix parameter from bf16.
  package func load(parameter index: Int, bfloat16 values: UnsafePointer<UInt16>, pool: ThreadPool) {
    switch places[index] {
    case .matrix(let matrix, let firstRow):
      matrix.load(rows: firstRow, count: parameters[index].shape[0], bfloat16: values, pool: pool)
    case .vector(let buffer, let first):
      for i in 0..<parameters[index].count {
        buffer.pointer[first + i] = Float(bitPattern: UInt32(values[i]) << 16)
      }
    case .unused: break
    }
  }
}
