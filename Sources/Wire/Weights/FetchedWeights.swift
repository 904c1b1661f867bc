import CXXHash
import Synchronization
import Tensor

/// The payload of the version that a worker computes with, read back from where it computes with it.
///
/// So a worker holds its weights once: what travels next is a difference to them. It is read from the end of a load to
/// the beginning of the next one, while nobody writes those weights.
public protocol HeldWeights: Sendable {
  var manifest: WeightsManifest { get }
  /// Writes the payload's bytes `range`, bit for bit as they were loaded; `target` has the same count.
  func copyPayload(_ range: Range<Int>, into target: UnsafeMutableRawBufferPointer)
}

/// A complete and verified version on its way into a worker: its chunks as they travelled, most of them small
/// differences to the version that the worker holds.
public final class FetchedWeights: Sendable, Equatable {
  public let manifest: WeightsManifest
  private let base: (any HeldWeights)?
  private let chunks: Mutex<[FetchedChunk]>

  init(manifest: WeightsManifest, chunks: [FetchedChunk], base: (any HeldWeights)?) {
    self.manifest = manifest
    self.base = base
    self.chunks = Mutex(chunks)
  }

  /// Whether both are the same object: a transfer is loaded once.
  public static func == (a: FetchedWeights, b: FetchedWeights) -> Bool { a === b }

  /// Calls `body` with all bytes of the payload, chunk by chunk in ascending order, and lets go of each chunk. Once.
  ///
  /// The bytes of a chunk are read from the version held before `body` gets them, so `body` may overwrite that version
  /// up to the chunk's end.
  public func consume(_ body: (Range<Int>, UnsafeRawBufferPointer) throws -> Void) rethrows {
    var reader = ChunkReader()
    for index in 0..<manifest.chunkCount {
      let range = manifest.range(ofChunk: index)
      let chunk = chunks.withLock { chunks in
        defer { chunks[index] = .absent }
        return chunks[index]
      }
      guard let bytes = try? reader.read(chunk, range, base: base) else {
        preconditionFailure("chunk \(index) of \(manifest.version) is not what was verified")
      }
      try body(range, bytes)
    }
  }

  /// All of it in memory; instead of `consume`.
  package func payload() -> WeightsPayload {
    let bytes = AlignedBuffer<UInt8>(count: Int(manifest.payloadByteCount))
    consume { range, chunk in
      UnsafeMutableRawBufferPointer(start: bytes.pointer + range.lowerBound, count: range.count).copyMemory(from: chunk)
    }
    return WeightsPayload(manifest: manifest, bytes: bytes)
  }
}

/// One chunk as it is kept until the version is loaded.
enum FetchedChunk: Sendable {
  case plain([UInt8])
  /// zstd of the XOR with the version held.
  case difference([UInt8])
  /// Not there yet, or loaded.
  case absent
}

/// Makes chunks' bytes of what is kept of them, in memory that is used again.
struct ChunkReader: ~Copyable {
  private var differ = ChunkDifference()
  private var buffer = AlignedBuffer<UInt8>(count: 0)

  /// The chunk's bytes, until the next call.
  ///
  /// - Throws: `InputError` when the difference is malformed.
  mutating func read(
    _ chunk: FetchedChunk, _ range: Range<Int>, base: (any HeldWeights)?
  ) throws -> UnsafeRawBufferPointer {
    let target = reserve(range.count)
    switch chunk {
    case .plain(let bytes): target.copyBytes(from: bytes)
    case .difference(let difference):
      guard let base else { preconditionFailure("a difference to nothing") }
      base.copyPayload(range, into: target)
      try differ.apply(difference, to: target)
    case .absent: preconditionFailure("the chunk at \(range.lowerBound) is not there")
    }
    return UnsafeRawBufferPointer(target)
  }

  /// The form in which a plain chunk is kept: its difference to the base, where there is one.
  mutating func compact(_ plain: [UInt8], _ range: Range<Int>, base: (any HeldWeights)?) -> FetchedChunk {
    guard let base else { return .plain(plain) }
    let target = reserve(range.count)
    base.copyPayload(range, into: target)
    let difference = plain.withUnsafeBytes { differ.make($0, minus: UnsafeRawBufferPointer(target)) }
    return difference.map { .difference($0) } ?? .plain(plain)
  }

  private mutating func reserve(_ count: Int) -> UnsafeMutableRawBufferPointer {
    if buffer.count < count { buffer = AlignedBuffer(count: count) }
    return UnsafeMutableRawBufferPointer(start: buffer.pointer, count: count)
  }
}

/// XXH3-64 of a payload that arrives in chunks.
struct PayloadHash: ~Copyable {
  private let state = XXH3_createState()

  init() { XXH3_64bits_reset(state) }
  deinit { XXH3_freeState(state) }

  mutating func update(_ bytes: UnsafeRawBufferPointer) { XXH3_64bits_update(state, bytes.baseAddress, bytes.count) }
  var value: UInt64 { XXH3_64bits_digest(state) }
}
