import Core
import Synchronization

/// The learner's side of the weight transfer: it holds the payloads of the newest versions and answers requests.
///
/// It keeps no state of workers: a request says everything. A chunk goes out as it is or as its difference to the version
/// that the worker holds, whichever is smaller; a difference is computed once, by the first request for it, and serves
/// every worker. Memory is bounded by `payloadsKept` payloads and the differences between them, dropped with each version.
public final class WeightsPublisher: Sendable {
  private struct DifferenceKey: Hashable {
    var version: PolicyVersion
    var base: PolicyVersion
    var chunk: Int
  }

  private struct State: ~Copyable {
    /// Newest last.
    var payloads: [WeightsPayload] = []
    /// nil: the chunk itself is smaller.
    var differences: [DifferenceKey: [UInt8]?] = [:]
    var differ = ChunkDifference()

    func payload(_ version: PolicyVersion?) -> WeightsPayload? { payloads.first { $0.manifest.version == version } }
  }

  private let state = Mutex(State())
  private let payloadsKept: Int

  /// - Parameter payloadsKept: the newest version and those before it that stay available, as versions to finish fetching
  ///   and as bases of differences. A worker further behind fetches everything.
  public init(payloadsKept: Int = 2) {
    precondition(payloadsKept > 0, "payloads kept: \(payloadsKept)")
    self.payloadsKept = payloadsKept
  }

  /// The newest version; nil before the first.
  public var version: PolicyVersion? { state.withLock { $0.payloads.last?.manifest.version } }

  /// Makes a newer version available. Versions only grow.
  public func publish(_ payload: WeightsPayload) {
    state.withLock { state in
      if let newest = state.payloads.last {
        precondition(
          newest.manifest.version < payload.manifest.version, "version goes back from \(newest.manifest.version)")
      }
      state.payloads.append(payload)
      if state.payloads.count > payloadsKept { state.payloads.removeFirst(state.payloads.count - payloadsKept) }
      // Only the newest version's differences are asked for again and again.
      state.differences = state.differences.filter { $0.key.version == payload.manifest.version }
    }
  }

  /// The answers to a worker's request, in order; none to other messages, and none before the first version: the worker
  /// asks again.
  public func answers(to message: Message) -> [Message] {
    switch message {
    case .manifestRequest:
      return state.withLock { state in state.payloads.last.map { [.manifest($0.manifest)] } ?? [] }
    case .chunkRequest(let request):
      return state.withLock { state in Self.answers(to: request, &state) }
    default: return []
    }
  }

  private static func answers(to request: ChunkRequest, _ state: inout State) -> [Message] {
    guard let payload = state.payload(request.version) else {
      return [
        .chunk(WeightsChunk(version: request.version, index: request.first, encoding: .gone, base: nil, bytes: []))
      ]
    }
    let chunkCount = payload.manifest.chunkCount
    let first = min(Int(request.first), chunkCount)
    let count = min(Int(request.count), Int(WireLimits.chunksPerRequestMax), chunkCount - first)
    var base = state.payload(request.base)
    if base?.manifest.hasLayout(of: payload.manifest) == false { base = nil }
    return (first..<first + count).map { index in
      .chunk(chunk(index, of: payload, minus: base, &state))
    }
  }

  private static func chunk(
    _ index: Int, of payload: WeightsPayload, minus base: WeightsPayload?, _ state: inout State
  ) -> WeightsChunk {
    let version = payload.manifest.version
    if let base, let difference = difference(index, of: payload, minus: base, &state) {
      return WeightsChunk(
        version: version, index: UInt32(index), encoding: .differenceZstd, base: base.manifest.version,
        bytes: difference)
    }
    return WeightsChunk(
      version: version, index: UInt32(index), encoding: .plain, base: nil, bytes: Array(payload.chunk(index)))
  }

  private static func difference(
    _ index: Int, of payload: WeightsPayload, minus base: WeightsPayload, _ state: inout State
  ) -> [UInt8]? {
    let key = DifferenceKey(version: payload.manifest.version, base: base.manifest.version, chunk: index)
    if let known = state.differences[key] { return known }
    let difference = state.differ.make(payload.chunk(index), minus: base.chunk(index))
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
