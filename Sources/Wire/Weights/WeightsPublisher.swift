import Architecture
import Synchronization
import Tensor

/// The learner's side of the weight transfer: it holds the newest versions and answers requests.
///
/// It keeps no state of workers: a request says everything. A chunk goes out as it is or as its difference to the
/// version that the worker holds, whichever is smaller; a difference is computed once, by the first request for it, and
/// serves every worker. The newest version costs no memory: until `settle` it lies in the master weights. Memory is
/// bounded by the payloads of the `versionsKept - 1` versions before it and the differences between them, dropped with
/// each version. The base model of an adapter is asked for once by each worker, and lies in the learner's weights as
/// well.
public final class WeightsPublisher: Sendable {
  private struct DifferenceKey: Hashable {
    var version: PolicyVersion
    var base: PolicyVersion
    var chunk: Int
  }

  private struct State: ~Copyable {
    /// The newest version, until it is settled.
    var live: LiveWeights?
    /// What adapters are added to; it never changes.
    var base: LiveWeights?
    /// Settled versions, newest last.
    var payloads: [WeightsPayload] = []
    /// A chunk of the live weights.
    var scratch: [UInt8] = []
    /// nil: the chunk itself is smaller.
    var differences: [DifferenceKey: [UInt8]?] = [:]
    var differ = ChunkDifference()

    var newest: WeightsManifest? { live?.manifest ?? payloads.last?.manifest }

    func payload(_ version: PolicyVersion?) -> WeightsPayload? { payloads.first { $0.manifest.version == version } }

    func manifest(_ version: PolicyVersion) -> WeightsManifest? {
      live?.manifest.version == version ? live?.manifest : payload(version)?.manifest
    }

    /// Calls `body` with a chunk of a version that is there.
    mutating func withChunk<R>(
      _ index: Int, of manifest: WeightsManifest, _ body: (UnsafeRawBufferPointer, inout State) -> R
    ) -> R {
      if manifest.part == .policy, let payload = payload(manifest.version) { return body(payload.chunk(index), &self) }
      guard let live = manifest.part == .baseModel ? base : live, live.manifest.version == manifest.version else {
        preconditionFailure("no \(manifest.version)")
      }
      let range = manifest.range(ofChunk: index)
      var bytes: [UInt8] = []
      swap(&bytes, &scratch)
      defer { swap(&bytes, &scratch) }
      if bytes.count < range.count { bytes = [UInt8](repeating: 0, count: Int(manifest.chunkByteCount)) }
      return bytes.withUnsafeMutableBytes { bytes in
        let chunk = UnsafeMutableRawBufferPointer(rebasing: bytes[..<range.count])
        live.copy(range, to: chunk)
        return body(UnsafeRawBufferPointer(chunk), &self)
      }
    }
  }

  private let state = Mutex(State())
  private let versionsKept: Int

  /// - Parameter versionsKept: the newest version and those before it that stay available, as versions to finish
  ///   fetching and as bases of differences. A worker further behind fetches everything.
  public init(versionsKept: Int = 2) {
    precondition(versionsKept > 1, "versions kept: \(versionsKept)")
    self.versionsKept = versionsKept
  }

  /// The newest version; nil before the first.
  public var version: PolicyVersion? { state.withLock { $0.newest?.version } }

  /// Makes the base of an adapter available, before the first version of it.
  ///
  /// - Parameters:
  ///   - base: it must never change.
  ///   - files: the text files of the model folder, so that a worker needs nothing else.
  public func publish(
    base: ParameterSet, precision: Precision, rolloutPrecision: RolloutPrecision = .exact, files: [String: [UInt8]],
    chunkByteCount: UInt32 = WeightsPayload.chunkByteCount
  ) {
    let live = LiveWeights(
      part: .baseModel, version: PolicyVersion(0), parameters: base, precision: precision,
      rolloutPrecision: rolloutPrecision, files: files, chunkByteCount: chunkByteCount)
    state.withLock { $0.base = live }
  }

  /// Makes a newer version available, whose bytes are read from the master weights. Versions only grow.
  ///
  /// - Parameters:
  ///   - parameters: they must not change before `settle`.
  /// - adapter: what they are of, if they are not all of the model's. They travel as they are then, and the base has
  /// the files.
  ///   - rolloutPrecision: the precision that workers sample with.
  ///   - files: the text files of the model folder, so that a worker needs nothing else.
  public func publish(
    version: PolicyVersion, parameters: ParameterSet, adapter: AdapterDescription? = nil, precision: Precision,
    rolloutPrecision: RolloutPrecision = .exact, files: [String: [UInt8]],
    chunkByteCount: UInt32 = WeightsPayload.chunkByteCount
  ) {
    settle()
    let header = adapter.map { adapter in
      guard let base = state.withLock({ $0.base?.manifest }) else { preconditionFailure("an adapter without its base") }
      precondition(!adapter.isRankStabilized, "a scale that does not travel")
      return WeightsManifest.Adapter(
        rank: UInt32(adapter.rank), alpha: adapter.alpha, baseHash: base.payloadHash)
    }
    let live = LiveWeights(
      version: version, parameters: parameters, precision: header == nil ? precision : .float32,
      rolloutPrecision: rolloutPrecision, files: header == nil ? files : [:], chunkByteCount: chunkByteCount,
      adapter: header)
    state.withLock { state in
      if let newest = state.newest {
        precondition(newest.version < version, "version goes back from \(newest.version)")
      }
      state.live = live
      // Only the newest version's differences are asked for again and again.
      state.differences = state.differences.filter { $0.key.version == version }
    }
  }

  /// Before the master weights change: the newest version's bytes are copied, over those of the oldest one. Not from
  /// two threads at once.
  public func settle() {
    let (live, reused) = state.withLock { state -> (LiveWeights?, AlignedBuffer<UInt8>?) in
      guard let live = state.live else { return (nil, nil) }
      let oldest = state.payloads.count >= versionsKept - 1 ? state.payloads.removeFirst() : nil
      return (live, oldest?.manifest.hasLayout(of: live.manifest) == true ? oldest?.bytes : nil)
    }
    guard let live else { return }
    let payload = WeightsPayload(live, into: reused)
    state.withLock { state in
      state.payloads.append(payload)
      state.live = nil
    }
  }

  /// The answers to a worker's request, in order; none to other messages, and none before the first version: the worker
  /// asks again.
  public func answers(to message: Message) -> [Message] {
    switch message {
    case .manifestRequest(.baseModel):
      return state.withLock { state in state.base.map { [.manifest($0.manifest)] } ?? [] }
    case .manifestRequest(.policy):
      return state.withLock { state in state.newest.map { [.manifest($0)] } ?? [] }
    case .chunkRequest(let request):
      return state.withLock { state in Self.answers(to: request, &state) }
    default: return []
    }
  }

  private static func answers(to request: ChunkRequest, _ state: inout State) -> [Message] {
    guard let manifest = request.part == .baseModel ? state.base?.manifest : state.manifest(request.version) else {
      return [
        .chunk(
          WeightsChunk(
            part: request.part, version: request.version, index: request.first, encoding: .gone, base: nil, bytes: []))
      ]
    }
    let chunkCount = manifest.chunkCount
    let first = min(Int(request.first), chunkCount)
    let count = min(Int(request.count), Int(WireLimits.chunksPerRequestMax), chunkCount - first)
    var base = state.payload(request.base)
    if base?.manifest.hasLayout(of: manifest) == false { base = nil }
    return (first..<first + count).map { index in
      .chunk(chunk(index, of: manifest, minus: base, &state))
    }
  }

  private static func chunk(
    _ index: Int, of manifest: WeightsManifest, minus base: WeightsPayload?, _ state: inout State
  ) -> WeightsChunk {
    let version = manifest.version
    if let base, let difference = difference(index, of: manifest, minus: base, &state) {
      return WeightsChunk(
        version: version, index: UInt32(index), encoding: .differenceZstd, base: base.manifest.version,
        bytes: difference)
    }
    return WeightsChunk(
      part: manifest.part, version: version, index: UInt32(index), encoding: .plain, base: nil,
      bytes: state.withChunk(index, of: manifest) { chunk, _ in Array(chunk) })
  }

  private static func difference(
    _ index: Int, of manifest: WeightsManifest, minus base: WeightsPayload, _ state: inout State
  ) -> [UInt8]? {
    let key = DifferenceKey(version: manifest.version, base: base.manifest.version, chunk: index)
    if let known = state.differences[key] { return known }
    let difference = state.withChunk(index, of: manifest) { chunk, state in
      state.differ.make(chunk, minus: base.chunk(index))
    }
    state.differences[key] = .some(difference)
    return difference
  }
}

extension WeightsManifest {
  /// Whether chunk i of both versions holds the same scalars.
  func hasLayout(of other: WeightsManifest) -> Bool {
    tensors == other.tensors && chunkByteCount == other.chunkByteCount
  }
}
