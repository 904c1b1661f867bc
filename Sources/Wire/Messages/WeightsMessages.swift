/// How a worker fetches the weights of a policy version: a manifest, then chunks.

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

  public var version: PolicyVersion
  /// Text files of the model folder: config.json, tokenizer.json, tokenizer_config.json, generation_config.json.
  public var files: [String: [UInt8]]
  /// In the canonical order; their bytes follow each other in the payload.
  public var tensors: [Tensor]
  public var payloadByteCount: UInt64
  public var chunkByteCount: UInt32
  /// XXH3-64 of the whole payload.
  public var payloadHash: UInt64

  public init(
    version: PolicyVersion, files: [String: [UInt8]], tensors: [Tensor], payloadByteCount: UInt64,
    chunkByteCount: UInt32, payloadHash: UInt64
  ) {
    self.version = version
    self.files = files
    self.tensors = tensors
    self.payloadByteCount = payloadByteCount
    self.chunkByteCount = chunkByteCount
    self.payloadHash = payloadHash
  }
}

public struct ChunkRequest: Equatable, Sendable {
  public var version: PolicyVersion
  public var first: UInt32
  public var count: UInt32
  /// The version whose payload the worker holds and would take a difference against.
  public var base: PolicyVersion?
  public init(version: PolicyVersion, first: UInt32, count: UInt32, base: PolicyVersion?) {
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
  public var version: PolicyVersion
  public var index: UInt32
  public var encoding: Encoding
  public var base: PolicyVersion?
  public var bytes: [UInt8]
  public init(version: PolicyVersion, index: UInt32, encoding: Encoding, base: PolicyVersion?, bytes: [UInt8]) {
    self.version = version
    self.index = index
    self.encoding = encoding
    self.base = base
    self.bytes = bytes
  }
}
