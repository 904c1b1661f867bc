import Glibc
import Support

/// The worker's side of the weight transfer: a pure state machine, events in, effects out.
///
/// It asks for the manifest of the newest version, then for chunks, a bounded window at a time, and verifies the hash
/// of the whole. It keeps chunks as they travelled: after the first version they are differences to the version that
/// the worker computes with, which is read back for it, so no second copy of the weights is held and that version stays
/// whole until the next one is complete. A transfer is finished as long as the learner has its version, even when a
/// newer one is announced meanwhile; else a slow link would never finish any. A version that is an adapter names its
/// base model, which is fetched before it in the same way, once.
public struct WeightsFetcher: Sendable {
  public enum Event: Sendable {
    /// The farm wants this version or a newer one.
    case announced(PolicyVersion)
    /// A message of the weights socket; others than `manifest` and `chunk` mean nothing here.
    case received(Message)
    /// The caller computes with the finished version now, and can read it back.
    case loaded(any HeldWeights)
    /// Time goes by.
    case tick
  }

  public enum Effect: Sendable {
    /// To the learner, on the weights socket.
    case send(Message)
    /// Complete and verified; the caller loads it and then says `loaded`. Until then it may write the version held.
    case finished(FetchedWeights)
    /// Something from the learner made no sense, and is asked for again.
    case rejected(reason: String)
  }

  /// Chunks under way.
  public static let windowDefault = 8
  /// When nothing arrives for so long, or for three times as long as the last chunk took, what is under way is asked
  /// for again; the span doubles up to the maximum. So a slow line is not filled with second copies.
  public static let timeout: Milliseconds = 2000
  public static let timeoutMax: Milliseconds = 30_000

  private enum Phase {
    case idle
    case askingManifest(WeightsPart)
    case fetching(Transfer)
    /// The caller loads what was finished.
    case delivered
  }

  private struct Transfer {
    enum Chunk: Equatable {
      case missing
      case requested
      case done
    }
    var manifest: WeightsManifest
    /// What differences are to; nil for a first version, or one of another layout.
    var base: (any HeldWeights)?
    var chunks: [Chunk]
    /// The chunks that are done, as they are kept.
    var kept: [FetchedChunk]
    /// Whether the chunk is requested in full: there is no base, or the difference to it was wrong.
    var isWhole: [Bool]
    /// No chunk before it is missing.
    var cursor = 0
    var requestedCount = 0
    var doneCount = 0
    /// Chunks before it are part of the hash so far.
    var hashedCount = 0

    init(_ manifest: WeightsManifest, base: (any HeldWeights)?, isWhole: Bool) {
      self.manifest = manifest
      self.base = base
      chunks = Array(repeating: .missing, count: manifest.chunkCount)
      kept = Array(repeating: .absent, count: manifest.chunkCount)
      self.isWhole = Array(repeating: isWhole || base == nil, count: manifest.chunkCount)
    }
  }

  private let window: Int
  private let payloadByteCountMax: UInt64
  private var phase = Phase.idle
  /// The newest version announced.
  private var wanted: PolicyVersion?
  /// What the worker computes with.
  private var held: (any HeldWeights)?
  /// `payloadHash` of the base model that it holds.
  private var baseModel: UInt64?
  /// The differences to it gave a wrong hash.
  private var isBaseDoubted = false
  /// When something last arrived or was asked for again.
  private var lastSign: Milliseconds = 0
  private var lastArrival: Milliseconds = 0
  /// How long nothing may arrive before what is under way is asked for again.
  private var span = WeightsFetcher.timeout
  private let reader = SharedReader()

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

  public mutating func on(_ event: Event, now: Milliseconds) -> [Effect] {
    switch event {
    case .announced(let announced):
      wanted = max(wanted ?? announced, announced)
      if case .idle = phase { return startIfNeeded(now) }
    case .loaded(let weights):
      if case .delivered = phase {
        switch weights.manifest.part {
        case .policy: held = weights
        case .baseModel: baseModel = weights.manifest.payloadHash
        }
        isBaseDoubted = false
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
    return askManifest(.policy, now)
  }

  private mutating func askManifest(_ part: WeightsPart, _ now: Milliseconds) -> [Effect] {
    phase = .askingManifest(part)
    arrived(now, timeout: Self.timeout)
    return [.send(.manifestRequest(part))]
  }

  private mutating func timePassed(_ now: Milliseconds) -> [Effect] {
    guard now - lastSign >= span else { return [] }
    switch phase {
    case .idle, .delivered: return []
    case .askingManifest(let part):
      lastSign = now
      span = min(span * 2, Self.timeoutMax)
      return [.send(.manifestRequest(part))]
    case .fetching(var transfer):
      lastSign = now
      span = min(span * 2, Self.timeoutMax)
      for index in transfer.chunks.indices where transfer.chunks[index] == .requested {
        transfer.chunks[index] = .missing
      }
      transfer.requestedCount = 0
      transfer.cursor = 0
      return request(&transfer)
    }
  }

  private mutating func arrived(_ now: Milliseconds, timeout: Milliseconds) {
    lastSign = now
    lastArrival = now
    span = timeout
  }

  private mutating func received(_ manifest: WeightsManifest, _ now: Milliseconds) -> [Effect] {
    // A learner that is older than what was announced, restarting for example, is asked again after the time-out.
    guard case .askingManifest(let part) = phase, part == manifest.part, let wanted,
      part == .baseModel || manifest.version >= wanted
    else { return [] }
    guard manifest.payloadByteCount <= payloadByteCountMax else {
      return [
        .rejected(
          reason: "weights of \(manifest.payloadByteCount) bytes; this machine takes \(payloadByteCountMax) at most")
      ]
    }
    if let adapter = manifest.adapter, adapter.baseHash != baseModel { return askManifest(.baseModel, now) }
    arrived(now, timeout: Self.timeout)
    let base = held.flatMap { $0.manifest.hasLayout(of: manifest) ? $0 : nil }
    var transfer = Transfer(manifest, base: base, isWhole: isBaseDoubted)
    reader.beginHash()
    return transfer.chunks.isEmpty ? finish(transfer, now) : request(&transfer)
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
      while end < limit, transfer.chunks[end] == .missing, transfer.isWhole[end] == transfer.isWhole[first] {
        transfer.chunks[end] = .requested
        end += 1
      }
      transfer.requestedCount += end - first
      effects.append(
        .send(
          .chunkRequest(
            ChunkRequest(
              part: transfer.manifest.part, version: transfer.manifest.version, first: UInt32(first),
              count: UInt32(end - first),
              base: transfer.isWhole[first] ? nil : transfer.base?.manifest.version))))
    }
    phase = .fetching(transfer)
    return effects
  }

  private mutating func received(_ chunk: WeightsChunk, _ now: Milliseconds) -> [Effect] {
    guard case .fetching(var transfer) = phase, chunk.part == transfer.manifest.part,
      chunk.version == transfer.manifest.version
    else { return [] }
    if chunk.encoding == .gone { return askManifest(.policy, now) }
    let index = Int(chunk.index)
    guard index < transfer.chunks.count else {
      return [.rejected(reason: "chunk \(index) of \(transfer.chunks.count)")]
    }
    arrived(now, timeout: min(max(3 * (now - lastArrival), Self.timeout), Self.timeoutMax))
    guard transfer.chunks[index] != .done else { return [] }
    do {
      transfer.kept[index] = try kept(chunk, index, transfer)
    } catch {
      return [.rejected(reason: "chunk \(index) of \(transfer.manifest.version): \(error)")]
    }
    if transfer.chunks[index] == .requested { transfer.requestedCount -= 1 }
    transfer.chunks[index] = .done
    transfer.doneCount += 1
    if let reason = hash(&transfer) {
      phase = .fetching(transfer)
      return [.rejected(reason: reason)]
    }
    if transfer.doneCount == transfer.chunks.count { return finish(transfer, now) }
    if transfer.requestedCount > window / 2 {
      phase = .fetching(transfer)
      return []
    }
    return request(&transfer)
  }

  /// The form in which a chunk is kept.
  ///
  /// - Throws: `InputError` when the chunk has the wrong size or another base.
  private func kept(_ chunk: WeightsChunk, _ index: Int, _ transfer: Transfer) throws -> FetchedChunk {
    let range = transfer.manifest.range(ofChunk: index)
    switch chunk.encoding {
    case .plain:
      guard chunk.bytes.count == range.count else {
        throw InputError("keep", at: "weights chunk", expected: "\(range.count) bytes", found: "\(chunk.bytes.count)")
      }
      return reader.compact(chunk.bytes, range, base: transfer.base)
    case .differenceZstd:
      guard let base = chunk.base, base == transfer.base?.manifest.version else {
        throw InputError(
          "keep", at: "weights chunk",
          expected: "base \(transfer.base?.manifest.version.description ?? "none")",
          found: chunk.base?.description ?? "none")
      }
      guard chunk.bytes.count < range.count else {
        throw InputError(
          "keep", at: "weights chunk", expected: "a difference of fewer than \(range.count) bytes",
          found: "\(chunk.bytes.count)")
      }
      return .difference(chunk.bytes)
    case .gone: preconditionFailure("a chunk that is gone has no bytes")
    }
  }

  /// Takes into the hash what follows it without a gap: a little with every chunk, so that no heartbeat waits for all
  /// of it.
  /// - Returns: why a chunk was thrown away; the next time-out asks for its bytes themselves.
  private func hash(_ transfer: inout Transfer) -> String? {
    while transfer.hashedCount < transfer.chunks.count, transfer.chunks[transfer.hashedCount] == .done {
      let index = transfer.hashedCount
      do {
        try reader.hash(transfer.kept[index], transfer.manifest.range(ofChunk: index), base: transfer.base)
        transfer.hashedCount += 1
      } catch {
        transfer.chunks[index] = .requested
        transfer.isWhole[index] = true
        transfer.requestedCount += 1
        transfer.doneCount -= 1
        return "chunk \(index) of \(transfer.manifest.version): \(error)"
      }
    }
    return nil
  }

  /// Hands the version out; without the right hash everything is fetched again, whole.
  private mutating func finish(_ transfer: Transfer, _ now: Milliseconds) -> [Effect] {
    let manifest = transfer.manifest
    let hash = reader.hashValue
    guard hash == manifest.payloadHash else {
      isBaseDoubted = true
      let reason =
        "\(manifest.version) has hash \(String(hash, radix: 16)), expected "
        + "\(String(manifest.payloadHash, radix: 16)); fetching all of it again"
      return [.rejected(reason: reason)] + askManifest(.policy, now)
    }
    if manifest.part == .policy { version = manifest.version }
    phase = .delivered
    return [.finished(FetchedWeights(manifest: manifest, chunks: transfer.kept, base: transfer.base))]
  }
}

/// A reader that copies of a fetcher share; only one of them is in use.
///
/// `@unchecked Sendable`: the fetcher is a value with one owner, and uses it only inside `on`.
private final class SharedReader: @unchecked Sendable {
  private var reader = ChunkReader()

  private var payloadHash = PayloadHash()

  func beginHash() { payloadHash = PayloadHash() }
  var hashValue: UInt64 { payloadHash.value }

  func hash(_ chunk: FetchedChunk, _ range: Range<Int>, base: (any HeldWeights)?) throws {
    payloadHash.update(try reader.read(chunk, range, base: base))
  }

  func compact(_ plain: [UInt8], _ range: Range<Int>, base: (any HeldWeights)?) -> FetchedChunk {
    reader.compact(plain, range, base: base)
  }
}
