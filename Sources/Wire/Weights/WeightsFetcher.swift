import Core
import Glibc

/// The worker's side of the weight transfer: a pure state machine, events in, effects out.
///
/// It asks for the manifest of the newest version, then for chunks, a bounded window at a time, and verifies the hash of
/// the whole. Every chunk remembers of which version it is, so that a transfer can be given up at any moment and the next
/// one still takes differences. A transfer is finished as long as the learner has its version, even when a newer one
/// is announced meanwhile; else a slow link would never finish any.
///
/// One buffer holds the weights and changes in place. From `finished` until `loaded` it belongs to the caller.
public struct WeightsFetcher: Sendable {
  public enum Event: Sendable {
    /// The farm wants this version or a newer one.
    case announced(PolicyVersion)
    /// A message of the weights socket; others than `manifest` and `chunk` mean nothing here.
    case received(Message)
    /// The caller has copied what it needs of the finished payload.
    case loaded
    /// Time goes by.
    case tick
  }

  public enum Effect: Sendable {
    /// To the learner, on the weights socket.
    case send(Message)
    /// Complete and verified; the caller loads it and then says `loaded`.
    case finished(WeightsPayload)
    /// Something from the learner made no sense, and is asked for again.
    case rejected(reason: String)
  }

  /// Chunks under way.
  public static let windowDefault = 8
  /// When nothing arrives for so long, or for three times as long as the last chunk took, what is under way is asked for
  /// again; the span doubles up to the maximum. So a slow line is not filled with second copies.
  public static let timeout: Milliseconds = 2000
  public static let timeoutMax: Milliseconds = 30_000

  private enum Phase {
    case idle
    case askingManifest
    case fetching(Transfer)
    /// The caller reads the buffer.
    case delivered
  }

  private struct Transfer {
    enum Chunk: Equatable {
      case missing
      case requested
      case done
    }
    var manifest: WeightsManifest
    var chunks: [Chunk]
    /// No chunk before it is missing.
    var cursor = 0
    var requestedCount = 0
    var doneCount = 0
  }

  private let window: Int
  private let payloadByteCountMax: UInt64
  private var phase = Phase.idle
  /// The newest version announced.
  private var wanted: PolicyVersion?
  private var bytes = AlignedBuffer<UInt8>(count: 0)
  /// Of the buffer's bytes.
  private var layout: WeightsManifest?
  /// The version of each chunk of the buffer; nil when its bytes mean nothing.
  private var versions: [PolicyVersion?] = []
  /// When something last arrived or was asked for again.
  private var lastSign: Milliseconds = 0
  private var lastArrival: Milliseconds = 0
  private var patience = WeightsFetcher.timeout
  private var differ = SharedDifference()

  /// The version of the last finished payload.
  public private(set) var version: PolicyVersion?

  /// - Parameters:
  ///   - window: chunks under way at a time.
  ///   - payloadByteCountMax: a manifest of more bytes is rejected; by default what the machine has of memory.
  public init(
    window: Int = WeightsFetcher.windowDefault, payloadByteCountMax: UInt64 = WeightsFetcher.physicalMemoryByteCount
  ) {
    precondition(window > 0, "window \(window)")
    self.window = window
    self.payloadByteCountMax = payloadByteCountMax
  }

  public static var physicalMemoryByteCount: UInt64 {
    UInt64(max(0, sysconf(Int32(_SC_PHYS_PAGES)))) * UInt64(max(0, sysconf(Int32(_SC_PAGESIZE))))
  }

  /// Chunks done and wanted of the transfer under way.
  public var progress: (done: Int, of: Int)? {
    if case .fetching(let transfer) = phase { (transfer.doneCount, transfer.chunks.count) } else { nil }
  }

  public mutating func on(_ event: Event, now: Milliseconds) -> [Effect] {
    switch event {
    case .announced(let announced):
      wanted = max(wanted ?? announced, announced)
      if case .idle = phase { return startIfNeeded(now) }
    case .loaded:
      if case .delivered = phase {
        phase = .idle
        return startIfNeeded(now)
      }
    case .received(.manifest(let manifest)): return received(manifest, now)
    case .received(.chunk(let chunk)): return received(chunk, now)
    case .received: break
    case .tick: return timePassed(now)
    }
    return []
  }

  private mutating func startIfNeeded(_ now: Milliseconds) -> [Effect] {
    guard let wanted, version.map({ $0 < wanted }) ?? true else { return [] }
    return askManifest(now)
  }

  private mutating func askManifest(_ now: Milliseconds) -> [Effect] {
    phase = .askingManifest
    arrived(now, patience: Self.timeout)
    return [.send(.manifestRequest)]
  }

  private mutating func timePassed(_ now: Milliseconds) -> [Effect] {
    guard now - lastSign >= patience else { return [] }
    switch phase {
    case .idle, .delivered: return []
    case .askingManifest:
      lastSign = now
      patience = min(patience * 2, Self.timeoutMax)
      return [.send(.manifestRequest)]
    case .fetching(var transfer):
      lastSign = now
      patience = min(patience * 2, Self.timeoutMax)
      for index in transfer.chunks.indices where transfer.chunks[index] == .requested {
        transfer.chunks[index] = .missing
      }
      transfer.requestedCount = 0
      transfer.cursor = 0
      return request(&transfer)
    }
  }

  private mutating func arrived(_ now: Milliseconds, patience: Milliseconds) {
    lastSign = now
    lastArrival = now
    self.patience = patience
  }

  private mutating func received(_ manifest: WeightsManifest, _ now: Milliseconds) -> [Effect] {
    // A learner that is older than what was announced, restarting for example, is asked again after the time-out.
    guard case .askingManifest = phase, let wanted, manifest.version >= wanted else { return [] }
    guard manifest.payloadByteCount <= payloadByteCountMax else {
      return [
        .rejected(
          reason: "weights of \(manifest.payloadByteCount) bytes; this machine takes \(payloadByteCountMax) at most")
      ]
    }
    if layout?.hasLayout(of: manifest) != true {
      bytes = AlignedBuffer(count: Int(manifest.payloadByteCount))
      versions = Array(repeating: nil, count: manifest.chunkCount)
    }
    layout = manifest
    arrived(now, patience: Self.timeout)
    var transfer = Transfer(manifest: manifest, chunks: versions.map { $0 == manifest.version ? .done : .missing })
    transfer.doneCount = transfer.chunks.count { $0 == .done }
    return transfer.doneCount == transfer.chunks.count ? finish(transfer, now) : request(&transfer)
  }

  /// Asks for missing chunks until the window is full, in runs that share a base.
  private mutating func request(_ transfer: inout Transfer) -> [Effect] {
    var effects: [Effect] = []
    while transfer.requestedCount < window {
      while transfer.cursor < transfer.chunks.count, transfer.chunks[transfer.cursor] != .missing {
        transfer.cursor += 1
      }
      let first = transfer.cursor
      guard first < transfer.chunks.count else { break }
      var end = first
      let limit = min(
        transfer.chunks.count, first + min(window - transfer.requestedCount, Int(WireLimits.chunksPerRequestMax)))
      while end < limit, transfer.chunks[end] == .missing, versions[end] == versions[first] {
        transfer.chunks[end] = .requested
        end += 1
      }
      transfer.requestedCount += end - first
      effects.append(
        .send(
          .chunkRequest(
            ChunkRequest(
              version: transfer.manifest.version, first: UInt32(first), count: UInt32(end - first),
              base: versions[first]))))
    }
    phase = .fetching(transfer)
    return effects
  }

  private mutating func received(_ chunk: WeightsChunk, _ now: Milliseconds) -> [Effect] {
    guard case .fetching(var transfer) = phase, chunk.version == transfer.manifest.version else { return [] }
    if chunk.encoding == .gone { return askManifest(now) }
    let index = Int(chunk.index)
    guard index < transfer.chunks.count else {
      return [.rejected(reason: "chunk \(index) of \(transfer.chunks.count)")]
    }
    arrived(now, patience: min(max(3 * (now - lastArrival), Self.timeout), Self.timeoutMax))
    // A second copy must not be applied: the XOR would undo itself.
    guard transfer.chunks[index] != .done else { return [] }
    do {
      try write(chunk, index, of: transfer.manifest)
    } catch {
      return [.rejected(reason: "chunk \(index) of \(transfer.manifest.version): \(error)")]
    }
    if transfer.chunks[index] == .requested { transfer.requestedCount -= 1 }
    transfer.chunks[index] = .done
    transfer.doneCount += 1
    versions[index] = chunk.version
    if transfer.doneCount == transfer.chunks.count { return finish(transfer, now) }
    if transfer.requestedCount > window / 2 {
      phase = .fetching(transfer)
      return []
    }
    return request(&transfer)
  }

  /// - Throws: `InputError` when the chunk has the wrong size, another base, or a malformed difference.
  private mutating func write(_ chunk: WeightsChunk, _ index: Int, of manifest: WeightsManifest) throws {
    let range = manifest.range(ofChunk: index)
    let target = UnsafeMutableRawBufferPointer(start: bytes.pointer + range.lowerBound, count: range.count)
    switch chunk.encoding {
    case .plain:
      guard chunk.bytes.count == range.count else {
        throw InputError(
          "write", at: "weights chunk", expected: "\(range.count) bytes", found: "\(chunk.bytes.count)")
      }
      target.copyBytes(from: chunk.bytes)
    case .differenceZstd:
      guard let base = chunk.base, base == versions[index] else {
        throw InputError(
          "apply difference", at: "weights chunk", expected: "base \(versions[index]?.description ?? "none")",
          found: chunk.base?.description ?? "none")
      }
      do {
        try differ.apply(chunk.bytes, to: target)
      } catch {
        // Perhaps the base is wrong: the next request asks for the bytes themselves.
        versions[index] = nil
        throw error
      }
    case .gone: preconditionFailure("a chunk that is gone has no bytes")
    }
  }

  private mutating func finish(_ transfer: Transfer, _ now: Milliseconds) -> [Effect] {
    let hash = WeightsPayload.hash(bytes)
    guard hash == transfer.manifest.payloadHash else {
      versions = Array(repeating: nil, count: versions.count)
      let reason =
        "\(transfer.manifest.version) has hash \(String(hash, radix: 16)), expected "
        + "\(String(transfer.manifest.payloadHash, radix: 16)); fetching all of it again"
      return [.rejected(reason: reason)] + askManifest(now)
    }
    version = transfer.manifest.version
    phase = .delivered
    return [.finished(WeightsPayload(manifest: transfer.manifest, bytes: bytes))]
  }
}

/// A difference engine that copies of a fetcher share; only one of them is in use.
///
/// `@unchecked Sendable`: the fetcher is a value with one owner, and uses it only inside `on`.
private final class SharedDifference: @unchecked Sendable {
  private var differ = ChunkDifference()
  func apply(_ difference: [UInt8], to chunk: UnsafeMutableRawBufferPointer) throws {
    try differ.apply(difference, to: chunk)
  }
}
