import Model
import Tensor
import Wire

/// A version in the decoder's packed weights, read back as the payload that it came from, bit for bit.
///
/// A worker's weights are in its memory once: `PolicyLoader` packs a payload that comes chunk by chunk, and this reads
/// it back for the differences of the next version.
package struct HeldPolicy: HeldWeights {
  package let manifest: WeightsManifest
  private let weights: DecoderWeights
  private let layout: PayloadLayout
  /// The bytes of the tensors for which the decoder has no place, by index.
  private let unused: [Int: [UInt8]]

  package init(manifest: WeightsManifest, weights: DecoderWeights, unused: [Int: [UInt8]]) {
    precondition(Self.isExact(manifest, in: weights), "weights that were rounded cannot be read back")
    self.manifest = manifest
    self.weights = weights
    self.unused = unused
    layout = PayloadLayout(manifest.tensors)
  }

  /// Whether no tensor is rounded on its way into the decoder.
  package static func isExact(_ manifest: WeightsManifest, in weights: DecoderWeights) -> Bool {
    manifest.tensors.enumerated().allSatisfy { index, tensor in
      weights.readBack(parameter: index, loadedFrom: tensor.encoding.precision) != .impossible
    }
  }

  package func copyPayload(_ range: Range<Int>, into target: UnsafeMutableRawBufferPointer) {
    target.initializeMemory(as: UInt8.self, repeating: 0)  // between tensors
    layout.forEachTensor(of: range) { index, bytes, offset in
      read(index, bytes, into: UnsafeMutableRawBufferPointer(rebasing: target[offset..<offset + bytes.count]))
    }
  }

  /// Reads bytes of one tensor: whole rows at once, and rows that the range cuts through a temporary row.
  private func read(_ index: Int, _ bytes: Range<Int>, into target: UnsafeMutableRawBufferPointer) {
    if let kept = unused[index] { return target.copyBytes(from: kept[bytes]) }
    let precision = manifest.tensors[index].encoding.precision
    let rowByteCount = layout.rowByteCounts[index]
    var at = bytes.lowerBound
    while at < bytes.upperBound {
      let row = at / rowByteCount
      let start = target.baseAddress! + (at - bytes.lowerBound)
      let whole = at % rowByteCount == 0 ? (bytes.upperBound - at) / rowByteCount : 0
      if whole > 0 {
        weights.read(parameter: index, rows: row..<row + whole, as: precision, into: start)
        at += whole * rowByteCount
      } else {
        let end = min(bytes.upperBound, (row + 1) * rowByteCount)
        withUnsafeTemporaryAllocation(byteCount: rowByteCount, alignment: 64) { cut in
          weights.read(parameter: index, rows: row..<row + 1, as: precision, into: cut.baseAddress!)
          start.copyMemory(from: cut.baseAddress! + at % rowByteCount, byteCount: end - at)
        }
        at = end
      }
    }
  }
}

/// Packs a payload into a decoder as its chunks come, in ascending order; a row that two chunks share waits for its
/// end.
package struct PolicyLoader {
  private let manifest: WeightsManifest
  private let decoder: Decoder
  private let layout: PayloadLayout
  /// The beginning of a row that ends in the next chunk.
  private var row: [UInt8] = []
  private var unused: [Int: [UInt8]] = [:]

  package init(manifest: WeightsManifest, decoder: Decoder) {
    self.manifest = manifest
    self.decoder = decoder
    layout = PayloadLayout(manifest.tensors)
  }

  /// Packs the payload's bytes `range`, which follow those of the call before.
  package mutating func load(_ range: Range<Int>, _ bytes: UnsafeRawBufferPointer) {
    layout.forEachTensor(of: range) { index, part, offset in
      let bytes = UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + part.count])
      if decoder.weights.readBack(parameter: index, loadedFrom: manifest.tensors[index].encoding.precision) == .unused {
        unused[index, default: []] += bytes
      } else {
        load(index, from: part.lowerBound, bytes)
      }
    }
  }

  /// Ends the load after the last chunk.
  package func finished() -> HeldPolicy {
    precondition(row.isEmpty, "the payload ends within a row")
    return HeldPolicy(manifest: manifest, weights: decoder.weights, unused: unused)
  }

  private mutating func load(_ index: Int, from start: Int, _ bytes: UnsafeRawBufferPointer) {
    let rowByteCount = layout.rowByteCounts[index]
    let begun = start % rowByteCount
    let rest = begun == 0 ? bytes[...] : bytes.dropFirst(rowByteCount - begun)
    if begun > 0 {
      row += bytes.prefix(rowByteCount - begun)
      guard row.count == rowByteCount else { return }
      row.withUnsafeBytes { load(index, rows: start / rowByteCount..<start / rowByteCount + 1, $0) }
      row = []
    }
    let first = (start + rowByteCount - 1) / rowByteCount
    let whole = rest.count / rowByteCount
    load(index, rows: first..<first + whole, UnsafeRawBufferPointer(rebasing: rest))
    row += rest.dropFirst(whole * rowByteCount)
  }

  private func load(_ index: Int, rows: Range<Int>, _ bytes: UnsafeRawBufferPointer) {
    guard !rows.isEmpty, let start = bytes.baseAddress else { return }
    switch manifest.tensors[index].encoding {
    case .bfloat16:
      decoder.load(parameter: index, rows: rows, bfloat16: start.assumingMemoryBound(to: UInt16.self))
    case .float32: decoder.load(parameter: index, rows: rows, float32: start.assumingMemoryBound(to: Float.self))
    }
  }
}

/// The places of a payload's tensors.
private struct PayloadLayout: Sendable {
  private let ranges: [Range<Int>]
  /// Bytes of a slice along each tensor's first dimension.
  let rowByteCounts: [Int]

  init(_ tensors: [WeightsManifest.Tensor]) {
    ranges = zip(WeightsManifest.offsets(of: tensors), tensors).map { $0..<$0 + Int($1.byteCount ?? 0) }
    rowByteCounts = tensors.map { tensor in
      tensor.shape.dropFirst().reduce(tensor.encoding.scalarByteCount) { $0 * Int($1) }
    }
  }

  /// Calls `body` with every tensor that has bytes in `range` of the payload: which of its bytes, and where in `range`.
  func forEachTensor(of range: Range<Int>, _ body: (_ index: Int, _ bytes: Range<Int>, _ offset: Int) -> Void) {
    for (index, tensor) in ranges.enumerated() {
      let part = tensor.clamped(to: range)
      guard !part.isEmpty else { continue }
      body(
        index, part.lowerBound - tensor.lowerBound..<part.upperBound - tensor.lowerBound,
        part.lowerBound - range.lowerBound)
    }
  }
}

extension WeightsManifest.Encoding {
  fileprivate var precision: Precision { self == .bfloat16 ? .bfloat16 : .float32 }
}
