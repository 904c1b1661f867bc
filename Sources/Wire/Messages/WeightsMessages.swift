import Tensor

/// How a worker fetches the weights of a policy version: a manifest, then chunks.

/// The part of a policy that a payload holds.
public enum WeightsPart: UInt32, Equatable, Sendable, CaseIterable {
  /// A version's own tensors: all of the model's, or its adapter's.
  case policy = 0
  /// The weights that adapters are added to. They never change in a run, so a worker fetches them once; their version
  /// is 0.
  case baseModel = 1
}

/// What a policy version consists of. The worker needs nothing else: no model folder on its machine.
public struct WeightsManifest: Equatable, Sendable {
  public enum Encoding: UInt32, Sendable {
    case float32 = 1
    case bfloat16 = 2

    /// Bytes of one scalar.
    public var scalarByteCount: Int {
      switch self {
      case .float32: 4
      case .bfloat16: 2
      }
    }
  }
  public struct Tensor: Equatable, Sendable {
    public var name: String
    public var shape: [UInt32]
    public var encoding: Encoding
    public init(name: String, shape: [UInt32], encoding: Encoding) {
      self.name = name
      self.shape = shape
      self.encoding = encoding
    }

    /// Bytes of the tensor in the payload; nil if they overflow.
    public var byteCount: UInt64? {
      var product = UInt64(encoding.scalarByteCount)
      for size in shape {
        let (next, overflow) = product.multipliedReportingOverflow(by: UInt64(size))
        if overflow { return nil }
        product = next
      }
      return product
    }
  }

  /// The tensors are A and B of a low-rank adapter.
  public struct Adapter: Equatable, Sendable {
    public var rank: UInt32
    public var alpha: Double
    /// The base model's `payloadHash`.
    public var baseHash: UInt64
    public init(rank: UInt32, alpha: Double, baseHash: UInt64) {
      self.rank = rank
      self.alpha = alpha
      self.baseHash = baseHash
    }
  }

  public var part: WeightsPart
  public var version: PolicyVersion
  /// Text files of the model folder: config.json, tokenizer.json, tokenizer_config.json, generation_config.json. Those
  /// of a policy with an adapter come with its base model.
  public var files: [String: [UInt8]]
  /// In the canonical order. In the payload they follow each other, each from a multiple of 64 bytes on, zeros between.
  public var tensors: [Tensor]
  public var payloadByteCount: UInt64
  public var chunkByteCount: UInt32
  /// XXH3-64 of the whole payload.
  public var payloadHash: UInt64
  /// The precision that the worker samples with; the weights are the same either way.
  public var rolloutPrecision: RolloutPrecision
  public var adapter: Adapter?

  public init(
    part: WeightsPart = .policy, version: PolicyVersion, files: [String: [UInt8]], tensors: [Tensor],
    payloadByteCount: UInt64,
    chunkByteCount: UInt32, payloadHash: UInt64, rolloutPrecision: RolloutPrecision = .exact,
    adapter: Adapter? = nil
  ) {
    self.part = part
    self.version = version
    self.files = files
    self.tensors = tensors
    self.payloadByteCount = payloadByteCount
    self.chunkByteCount = chunkByteCount
    self.payloadHash = payloadHash
    self.rolloutPrecision = rolloutPrecision
    self.adapter = adapter
  }

  /// Every tensor starts at a multiple of this many bytes.
  static let alignment: UInt64 = 64

  /// Bytes of the whole payload that the tensors need; nil if they overflow.
  public static func payloadByteCount(of tensors: [Tensor]) -> UInt64? {
    var total: UInt64 = 0
    for tensor in tensors {
      guard let byteCount = tensor.byteCount, byteCount <= WireLimits.payloadByteCountMax else { return nil }
      total += (byteCount + alignment - 1) & ~(alignment - 1)
      if total > WireLimits.payloadByteCountMax { return nil }
    }
    return total
  }

  /// How many chunks the payload is cut into; only the last may be shorter than `chunkByteCount`.
  public var chunkCount: Int {
    Int((payloadByteCount + UInt64(chunkByteCount) - 1) / UInt64(chunkByteCount))
  }

  /// The bytes of chunk `index` within the payload.
  public func range(ofChunk index: Int) -> Range<Int> {
    precondition(index >= 0 && index < chunkCount, "chunk \(index) of \(chunkCount)")
    let start = index * Int(chunkByteCount)
    return start..<min(start + Int(chunkByteCount), Int(payloadByteCount))
  }
}

public struct ChunkRequest: Equatable, Sendable {
  public var part: WeightsPart
  public var version: PolicyVersion
  public var first: UInt32
  public var count: UInt32
  /// The version whose payload the worker holds and would take a difference against.
  public var base: PolicyVersion?
  public init(
    part: WeightsPart = .policy, version: PolicyVersion, first: UInt32, count: UInt32, base: PolicyVersion?
  ) {
    self.part = part
    self.version = version
    self.first = first
    self.count = count
    self.base = base
  }
}

public struct WeightsChunk: Equatable, Sendable {
  public enum Encoding: UInt32, Sendable {
    /// The bytes themselves.
    case plain = 1
    /// zstd of the bytes XOR the base version's bytes.
    case differenceZstd = 2
    /// The version is gone; ask for the manifest again.
    case gone = 3
  }
  public var part: WeightsPart
  public var version: PolicyVersion
  public var index: UInt32
  public var encoding: Encoding
  public var base: PolicyVersion?
  public var bytes: [UInt8]
  public init(
    part: WeightsPart = .policy, version: PolicyVersion, index: UInt32, encoding: Encoding, base: PolicyVersion?,
    bytes: [UInt8]
  ) {
    self.part = part
    self.version = version
    self.index = index
    self.encoding = encoding
    self.base = base
    self.bytes = bytes
  }
}
