import CWire
import Tensor

extension RolloutPrecision {
  fileprivate var encoded: Fovea__RolloutPrecision {
    switch self {
    case .exact: FOVEA__ROLLOUT_PRECISION__ROLLOUT_PRECISION_EXACT
    case .int8: FOVEA__ROLLOUT_PRECISION__ROLLOUT_PRECISION_INT8
    }
  }

  fileprivate init(_ value: Fovea__RolloutPrecision) throws {
    guard let known = Self.allCases.first(where: { $0.encoded == value }) else {
      throw Field.failure(
        "manifest.rollout_precision", expected: "a known value", found: "\(value.rawValue)")
    }
    self = known
  }
}

extension WeightsPart {
  var encoded: Fovea__WeightsPart { Fovea__WeightsPart(rawValue: rawValue) }

  init(_ value: Fovea__WeightsPart, _ name: String) throws { self = try Field.known(value.rawValue, name) }
}

extension WeightsManifest.Adapter {
  func encoded(in arena: EncodingArena) -> UnsafeMutablePointer<Fovea__WeightsManifest__Adapter> {
    var m = Fovea__WeightsManifest__Adapter()
    fovea__weights_manifest__adapter__init(&m)
    m.rank = rank
    m.alpha = alpha
    m.base_hash = baseHash
    return arena.place(m)
  }

  init(_ m: Fovea__WeightsManifest__Adapter) throws {
    self.init(
      rank: try Field.within(m.rank, 1...WireLimits.countMax, "manifest.adapter.rank"),
      alpha: try Field.finite(m.alpha, "manifest.adapter.alpha"), baseHash: m.base_hash)
  }
}

extension WeightsManifest.Tensor {
  func encoded(in arena: EncodingArena) -> UnsafeMutablePointer<Fovea__WeightsManifest__Tensor> {
    var m = Fovea__WeightsManifest__Tensor()
    fovea__weights_manifest__tensor__init(&m)
    m.name = arena.text(name)
    m.n_shape = shape.count
    m.shape = arena.array(shape)
    m.encoding = Fovea__WeightsManifest__Encoding(rawValue: encoding.rawValue)
    return arena.place(m)
  }

  init(_ m: Fovea__WeightsManifest__Tensor) throws {
    self.init(
      name: try Field.name(m.name, "manifest.tensors.name"),
      shape: try Field.numbers(m.n_shape, m.shape, "manifest.tensors.shape", 0...WireLimits.dimensionsMax),
      encoding: try Field.known(m.encoding.rawValue, "manifest.tensors.encoding"))
  }
}

extension WeightsManifest {
  func encoded(in arena: EncodingArena) -> UnsafeMutablePointer<Fovea__WeightsManifest> {
    var m = Fovea__WeightsManifest()
    fovea__weights_manifest__init(&m)
    m.version = version.value
    m.n_files = files.count
    m.files = arena.named(files)
    m.n_tensors = tensors.count
    m.tensors = arena.pointers(tensors.map { $0.encoded(in: arena) })
    m.payload_byte_count = payloadByteCount
    m.chunk_byte_count = chunkByteCount
    m.payload_hash = payloadHash
    m.rollout_precision = rolloutPrecision.encoded
    m.part = part.encoded
    m.adapter = adapter?.encoded(in: arena)
    return arena.place(m)
  }

  /// The tensors' bytes add up to the payload, with a limit, so that the payload may be sliced without further
  /// checks.
  init(_ m: Fovea__WeightsManifest) throws {
    self.init(
      part: try WeightsPart(m.part, "manifest.part"), version: try Field.version(m.version, "manifest.version"),
      files: try Field.named(
        m.n_files, m.files, "manifest.files", entriesMax: WireLimits.filesMax, max: WireLimits.fileByteCountMax),
      tensors: try Field.list(
        m.n_tensors, m.tensors, "manifest.tensors", 0...WireLimits.tensorsMax, WeightsManifest.Tensor.init),
      payloadByteCount: try Field.within(
        m.payload_byte_count, 0...WireLimits.payloadByteCountMax, "manifest.payload_byte_count"),
      chunkByteCount: try Field.within(
        m.chunk_byte_count, WireLimits.chunkByteCountMin...WireLimits.chunkByteCountMax, "manifest.chunk_byte_count"),
      payloadHash: m.payload_hash, rolloutPrecision: try RolloutPrecision(m.rollout_precision),
      adapter: try m.adapter.map { try Adapter($0.pointee) })
    let byteCount = WeightsManifest.payloadByteCount(of: tensors)
    guard byteCount == payloadByteCount else {
      throw Field.failure(
        "manifest.payload_byte_count", expected: byteCount.map { "\($0)" } ?? "tensors of a possible size",
        found: "\(payloadByteCount)")
    }
  }
}

extension ChunkRequest {
  func encoded(in arena: EncodingArena) -> UnsafeMutablePointer<Fovea__ChunkRequest> {
    var m = Fovea__ChunkRequest()
    fovea__chunk_request__init(&m)
    m.version = version.value
    m.first = first
    m.count = count
    m.base_version = arena.version(base)
    m.part = part.encoded
    return arena.place(m)
  }

  init(_ m: Fovea__ChunkRequest) throws {
    self.init(
      part: try WeightsPart(m.part, "chunk_request.part"),
      version: try Field.version(m.version, "chunk_request.version"),
      first: try Field.count(m.first, "chunk_request.first"),
      count: try Field.within(m.count, 1...WireLimits.chunksPerRequestMax, "chunk_request.count"),
      base: try Field.version(m.base_version, "chunk_request.base_version"))
  }
}

extension WeightsChunk {
  /// Everything but the bytes, which the codec packs from where they lie.
  func encoded(in arena: EncodingArena) -> UnsafeMutablePointer<Fovea__WeightsChunk> {
    var m = Fovea__WeightsChunk()
    fovea__weights_chunk__init(&m)
    m.version = version.value
    m.index = index
    m.encoding = Fovea__WeightsChunk__Encoding(rawValue: encoding.rawValue)
    m.base_version = arena.version(base)
    m.part = part.encoded
    return arena.place(m)
  }

  init(_ m: Fovea__WeightsChunk) throws {
    self.init(
      part: try WeightsPart(m.part, "chunk.part"), version: try Field.version(m.version, "chunk.version"),
      index: try Field.count(m.index, "chunk.index"),
      encoding: try Field.known(m.encoding.rawValue, "chunk.encoding"),
      base: try Field.version(m.base_version, "chunk.base_version"),
      bytes: try Field.bytes(m.bytes, "chunk.bytes", max: Int(WireLimits.chunkByteCountMax)))
  }
}
