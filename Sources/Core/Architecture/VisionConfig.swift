import Tensor

/// The shape of a vision encoder and of the projector that turns its output into embeddings of the decoder.
///
/// One description covers the ViT towers of LLaVA (CLIP, SigLIP), Qwen2.5-VL and InternVL: patches enter by one
/// product, go through pre-norm blocks of bidirectional attention and a feed-forward part, are merged (`mergeSize`
/// squared patches to one feature), and leave through a projector of two layers.
public struct VisionConfig: Equatable, Sendable {
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
  /// Frames of a patch that has a dimension of time; an image is repeated to fill them (Qwen2.5-VL). Nil for patches
  /// without.
  public var temporalPatchSize: Int?
  public var patchBias: Bool
  /// Pixels of every image; nil when any multiple of a feature's pixels will do.
  public var imageSize: ImageSize?
  /// Whether each image has a row that no patch fills (CLIP, InternVL).
  public var classToken: Bool
  /// Whether positions are a table that is added to the patches of an image of one size, or rotate queries and keys.
  public var learnedPositions: Bool
  /// Whether class token and positions have leading dimensions of 1 in files (InternVL).
  public var batchedEmbeddings: Bool
  /// A LayerNorm right after the embedding (CLIP).
  public var normBeforeLayers: Bool
  public var norm: NormKind
  public var normEpsilon: Float
  public var activation: Activation
  /// Whether queries, keys and values are one parameter (Qwen2.5-VL).
  public var fusedQueryKeyValue: Bool
  public var queryKeyValueBias: Bool
  /// RMSNorm over all heads together of the queries, and of the keys (InternVL).
  public var queryKeyNorm: Bool
  /// Learned scales of what each block adds to the residual stream (InternVL).
  public var layerScale: Bool
  /// Whether the last states pass a LayerNorm before the projector (InternVL without mean pooling).
  public var finalNorm: Bool
  /// Whether the files hold a norm after the last layer that is not run (CLIP and SigLIP in LLaVA).
  public var unusedFinalNorm: Bool
  /// Patches along each side of what becomes one feature.
  public var mergeSize: Int
  /// Pixels along each side of an attention window; nil for attention over whole images everywhere.
  public var windowSize: Int?
  /// With windows: the layers that attend to the whole image nevertheless.
  public var fullAttentionLayers: Set<Int>
  public var projectorNorm: ProjectorNorm?
  /// Whether the projector's first layer keeps the width of a feature; otherwise it has the decoder's.
  public var projectorKeepsWidth: Bool
  public var projectorActivation: Activation
  public var projectorBias: Bool
  /// The token of the prompt whose embedding is a feature of an image.
  public var imageToken: Int32

  /// A norm of what enters the projector.
  public struct ProjectorNorm: Equatable, Sendable {
    public var kind: NormKind
    public var epsilon: Float
    /// Whether it is over a whole feature (InternVL), or over each of its patches (Qwen2.5-VL).
    public var isOverFeatures: Bool

    public init(kind: NormKind, epsilon: Float, isOverFeatures: Bool) {
      self.kind = kind
      self.epsilon = epsilon
      self.isOverFeatures = isOverFeatures
    }
  }

  /// Height and width in pixels.
  public struct ImageSize: Equatable, Hashable, Sendable {
    public var height: Int
    public var width: Int
    public init(height: Int, width: Int) {
      self.height = height
      self.width = width
    }
  }

  /// By default a plain ViT: LayerNorm, learned positions, a patch a feature, and no class token.
  public init(
    hiddenSize: Int, feedForwardSize: Int, layerCount: Int, usedLayerCount: Int? = nil, headCount: Int,
    channelCount: Int = 3, patchSize: Int, temporalPatchSize: Int? = nil, patchBias: Bool = true,
    imageSize: ImageSize?, classToken: Bool = false, learnedPositions: Bool = true, batchedEmbeddings: Bool = false,
    normBeforeLayers: Bool = false, norm: NormKind = .layer, normEpsilon: Float = 1e-6,
    activation: Activation = .geluTanh, fusedQueryKeyValue: Bool = false, queryKeyValueBias: Bool = true,
    queryKeyNorm: Bool = false, layerScale: Bool = false, finalNorm: Bool = false, unusedFinalNorm: Bool = false,
    mergeSize: Int = 1, windowSize: Int? = nil, fullAttentionLayers: Set<Int> = [],
    projectorNorm: ProjectorNorm? = nil, projectorKeepsWidth: Bool = false, projectorActivation: Activation = .gelu,
    projectorBias: Bool = true, imageToken: Int32
  ) {
    self.hiddenSize = hiddenSize
    self.feedForwardSize = feedForwardSize
    self.layerCount = layerCount
    self.usedLayerCount = usedLayerCount ?? layerCount
    self.headCount = headCount
    self.channelCount = channelCount
    self.patchSize = patchSize
    self.temporalPatchSize = temporalPatchSize
    self.patchBias = patchBias
    self.imageSize = imageSize
    self.classToken = classToken
    self.learnedPositions = learnedPositions
    self.batchedEmbeddings = batchedEmbeddings
    self.normBeforeLayers = normBeforeLayers
    self.norm = norm
    self.normEpsilon = normEpsilon
    self.activation = activation
    self.fusedQueryKeyValue = fusedQueryKeyValue
    self.queryKeyValueBias = queryKeyValueBias
    self.queryKeyNorm = queryKeyNorm
    self.layerScale = layerScale
    self.finalNorm = finalNorm
    self.unusedFinalNorm = unusedFinalNorm
    self.mergeSize = mergeSize
    self.windowSize = windowSize
    self.fullAttentionLayers = fullAttentionLayers
    self.projectorNorm = projectorNorm
    self.projectorKeepsWidth = projectorKeepsWidth
    self.projectorActivation = projectorActivation
    self.projectorBias = projectorBias
    self.imageToken = imageToken
  }
}

extension VisionConfig {
  /// D of the encoder.
  public var headSize: Int { hiddenSize / headCount }
  /// Scalars of one patch: channels, frames, rows, columns.
  public var patchInputCount: Int { channelCount * (temporalPatchSize ?? 1) * patchSize * patchSize }
  /// Patches that become one feature.
  public var mergeCount: Int { mergeSize * mergeSize }
  /// Width of a feature before the projector.
  public var mergedSize: Int { mergeCount * hiddenSize }
  /// Pixels along each side of one feature; images are multiples of it.
  public var featurePixels: Int { patchSize * mergeSize }

  /// Scalars that the projector's norm is over.
  package var projectorNormWidth: Int { projectorNorm?.isOverFeatures == true ? mergedSize : hiddenSize }
  /// Rows of the table of learned positions.
  package var positionCount: Int {
    guard learnedPositions, let imageSize else { return 0 }
    return (imageSize.height / patchSize) * (imageSize.width / patchSize) + (classToken ? 1 : 0)
  }
  /// Width between the projector's two layers, for a decoder of this width.
  package func projectorSize(decoder width: Int) -> Int { projectorKeepsWidth ? mergedSize : width }

  /// Features that an image of this size becomes.
  public func featureCount(_ size: ImageSize) -> Int {
    (size.height / featurePixels) * (size.width / featurePixels)
  }
}

extension VisionConfig {
  /// The parameters in canonical order, under names that all families share: those of the encoder begin with "vision.",
  /// those of the projector with "projector.".
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
    func addNorm(_ name: String, _ width: Int, _ kind: NormKind) {
      add(name + ".weight", [width])
      if kind == .layer { add(name + ".bias", [width]) }
    }
    let frames = temporalPatchSize.map { [$0] } ?? []
    add("vision.patch_embedding.weight", [c, channelCount] + frames + [patchSize, patchSize])
    if patchBias { add("vision.patch_embedding.bias", [c]) }
    let leading = batchedEmbeddings ? [1] : []
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
      if activation.isGated {
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
    if let projectorNorm { addNorm("projector.norm", projectorNormWidth, projectorNorm.kind) }
    let inner = projectorSize(decoder: width)
    linear("projector.linear_1", inner, mergedSize, bias: projectorBias)
    linear("projector.linear_2", width, inner, bias: projectorBias)
    return list
  }
}
