import Tensor

/// The shape of a vision encoder and of the projector that turns its output into embeddings of the decoder.
///
/// One description covers the ViT towers of LLaVA (CLIP, SigLIP), Qwen2.5-VL's and InternVL's: patches enter by one product,
/// go through pre-norm blocks of bidirectional attention and a feed-forward part, are merged (`mergeSize` squared patches
/// to one feature), and leave through a projector of two layers. What a family fixes is computed; what its config.json says
/// is stored.
public struct VisionConfig: Equatable, Sendable {
  /// The tower, by `model_type` of its own configuration.
  public enum Family: String, Equatable, Sendable, CaseIterable {
    case clip = "clip_vision_model"
    case siglip = "siglip_vision_model"
    case qwen = "qwen2_5_vl"
    case internVL = "internvl_vision"
  }

  public enum Norm: String, Equatable, Sendable, CaseIterable {
    /// LayerNorm, with a bias.
    case layer = "layer_norm"
    /// RMSNorm.
    case rootMeanSquare = "rms_norm"
  }

  public enum Activation: String, Equatable, Sendable, CaseIterable {
    case gelu
    case geluTanh = "gelu_pytorch_tanh"
    case quickGELU = "quick_gelu"
    /// silu(gate) * up, from two projections (Qwen2.5-VL).
    case swiglu = "silu"
  }

  public var family: Family
  /// C of the encoder.
  public var hiddenSize: Int
  /// F of the encoder.
  public var feedForwardSize: Int
  public var layerCount: Int
  /// Layers that are run: LLaVA may take the features before the last ones.
  public var usedLayerCount: Int
  public var headCount: Int
  public var channelCount: Int
  /// Pixels along each side of a patch.
  public var patchSize: Int
  /// Frames of a patch; an image is repeated to fill them (Qwen2.5-VL).
  public var temporalPatchSize: Int
  /// Pixels of every image, with learned positions; nil when any multiple of a feature's pixels will do.
  public var imageSize: ImageSize?
  public var norm: Norm
  public var normEpsilon: Float
  public var activation: Activation
  public var queryKeyValueBias: Bool
  /// RMSNorm over all heads together of the queries, and of the keys (InternVL).
  public var queryKeyNorm: Bool
  /// Whether the last states pass a norm before the projector (InternVL without mean pooling).
  public var finalNorm: Bool
  /// Patches along each side of what becomes one feature.
  public var mergeSize: Int
  /// Pixels along each side of an attention window; nil for attention over whole images everywhere.
  public var windowSize: Int?
  /// With windows: the layers that attend to the whole image nevertheless.
  public var fullAttentionLayers: Set<Int>
  public var projectorActivation: Activation
  public var projectorBias: Bool
  /// The token of the prompt whose embedding is a feature of an image.
  public var imageToken: Int32

  /// Height and width in pixels.
  public struct ImageSize: Equatable, Hashable, Sendable {
    public var height: Int
    public var width: Int
    public init(height: Int, width: Int) {
      self.height = height
      self.width = width
    }
  }

  public init(
    family: Family, hiddenSize: Int, feedForwardSize: Int, layerCount: Int, usedLayerCount: Int? = nil, headCount: Int,
    channelCount: Int = 3, patchSize: Int, temporalPatchSize: Int = 1, imageSize: ImageSize?, norm: Norm = .layer,
    normEpsilon: Float = 1e-6, activation: Activation = .geluTanh, queryKeyValueBias: Bool = true,
    queryKeyNorm: Bool = false, finalNorm: Bool = false, mergeSize: Int = 1, windowSize: Int? = nil,
    fullAttentionLayers: Set<Int> = [], projectorActivation: Activation = .gelu, projectorBias: Bool = true,
    imageToken: Int32
  ) {
    self.family = family
    self.hiddenSize = hiddenSize
    self.feedForwardSize = feedForwardSize
    self.layerCount = layerCount
    self.usedLayerCount = usedLayerCount ?? layerCount
    self.headCount = headCount
    self.channelCount = channelCount
    self.patchSize = patchSize
    self.temporalPatchSize = temporalPatchSize
    self.imageSize = imageSize
    self.norm = norm
    self.normEpsilon = normEpsilon
    self.activation = activation
    self.queryKeyValueBias = queryKeyValueBias
    self.queryKeyNorm = queryKeyNorm
    self.finalNorm = finalNorm
    self.mergeSize = mergeSize
    self.windowSize = windowSize
    self.fullAttentionLayers = fullAttentionLayers
    self.projectorActivation = projectorActivation
    self.projectorBias = projectorBias
    self.imageToken = imageToken
  }
}

extension VisionConfig {
  /// D of the encoder.
  public var headSize: Int { hiddenSize / headCount }
  /// Scalars of one patch: channels, frames, rows, columns.
  public var patchInputCount: Int { channelCount * temporalPatchSize * patchSize * patchSize }
  /// Patches that become one feature.
  public var mergeCount: Int { mergeSize * mergeSize }
  /// Width of a feature before the projector.
  public var mergedSize: Int { mergeCount * hiddenSize }
  /// Pixels along each side of one feature; images are multiples of it.
  public var featurePixels: Int { patchSize * mergeSize }

  /// Whether each image has a row that no patch fills (CLIP, InternVL).
  package var classToken: Bool { family == .clip || family == .internVL }
  package var patchBias: Bool { family == .siglip || family == .internVL }
  /// Whether positions are a table that is added, or rotate queries and keys.
  package var learnedPositions: Bool { family != .qwen }
  /// A norm right after the embedding (CLIP).
  package var normBeforeLayers: Bool { family == .clip }
  /// CLIP and SigLIP have a norm after the last layer that LLaVA does not use.
  var unusedFinalNorm: Bool { family == .clip || family == .siglip }
  package var layerScale: Bool { family == .internVL }
  package var fusedQueryKeyValue: Bool { family == .qwen }
  /// Qwen2.5-VL's merger norms every patch, InternVL's projector every feature.
  package var projectorNorm: (kind: Norm, width: Int, epsilon: Float)? {
    switch family {
    case .clip, .siglip: nil
    case .qwen: (.rootMeanSquare, hiddenSize, 1e-6)
    case .internVL: (.layer, mergedSize, 1e-5)
    }
  }
  /// Rows of the table of learned positions.
  package var positionCount: Int {
    guard learnedPositions, let imageSize else { return 0 }
    return (imageSize.height / patchSize) * (imageSize.width / patchSize) + (classToken ? 1 : 0)
  }
  /// Width between the projector's two layers, for a decoder of this width.
  package func projectorSize(decoder width: Int) -> Int { family == .qwen ? mergedSize : width }

  /// Features that an image of this size becomes.
  public func featureCount(_ size: ImageSize) -> Int {
    (size.height / featurePixels) * (size.width / featurePixels)
  }
}

extension VisionConfig {
  /// The parameters in canonical order, under names that all families share: "vision." for the encoder, "projector.".
  ///
  /// - Parameter decoder: C of the decoder.
  package func parameters(decoder width: Int) -> [ParameterShape] {
    let c = hiddenSize
    let f = feedForwardSize
    var list: [ParameterShape] = []
    func add(_ name: String, _ shape: [Int]) { list.append(ParameterShape(name: name, shape: shape)) }
    func linear(_ name: String, _ rows: Int, _ columns: Int, bias: Bool = true) {
      add(name + ".weight", [rows, columns])
      if bias { add(name + ".bias", [rows]) }
    }
    func addNorm(_ name: String, _ width: Int, _ kind: Norm) {
      add(name + ".weight", [width])
      if kind == .layer { add(name + ".bias", [width]) }
    }
    let frames = family == .qwen ? [temporalPatchSize] : []
    add("vision.patch_embedding.weight", [c, channelCount] + frames + [patchSize, patchSize])
    if patchBias { add("vision.patch_embedding.bias", [c]) }
    let leading = family == .internVL ? [1] : []
    if classToken { add("vision.class_embedding", leading + leading + [c]) }
    if learnedPositions { add("vision.position_embedding", leading + [positionCount, c]) }
    if normBeforeLayers { addNorm("vision.embedding_norm", c, .layer) }
    for layer in 0..<layerCount {
      let prefix = "vision.layers.\(layer)."
      addNorm(prefix + "norm1", c, norm)
      for part in fusedQueryKeyValue ? ["qkv"] : ["q", "k", "v"] {
        linear(prefix + "attention.\(part)", part == "qkv" ? 3 * c : c, c, bias: queryKeyValueBias)
      }
      if queryKeyNorm {
        add(prefix + "attention.q_norm.weight", [c])
        add(prefix + "attention.k_norm.weight", [c])
      }
      linear(prefix + "attention.output", c, c)
      if layerScale { add(prefix + "scale1", [c]) }
      addNorm(prefix + "norm2", c, norm)
      if activation == .swiglu {
        linear(prefix + "mlp.gate", f, c)
        linear(prefix + "mlp.up", f, c)
        linear(prefix + "mlp.down", c, f)
      } else {
        linear(prefix + "mlp.fc1", f, c)
        linear(prefix + "mlp.fc2", c, f)
      }
      if layerScale { add(prefix + "scale2", [c]) }
    }
    if unusedFinalNorm || finalNorm { addNorm("vision.final_norm", c, .layer) }
    if let projectorNorm { addNorm("projector.norm", projectorNorm.width, projectorNorm.kind) }
    let inner = projectorSize(decoder: width)
    linear("projector.linear_1", inner, mergedSize, bias: projectorBias)
    linear("projector.linear_2", width, inner, bias: projectorBias)
    return list
  }
}
