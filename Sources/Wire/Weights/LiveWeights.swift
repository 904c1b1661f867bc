import CXXHash
import Glibc
import Tensor

/// The newest policy version where the learner has it: the bytes that travel are rounded from the master weights when
/// they are asked for, so that they take no memory of their own.
///
/// With `bfloat16` matrices are rounded to bf16 and vectors kept as fp32, with `float32` everything is kept. Invariant:
/// the master weights do not change as long as it is used; `WeightsPublisher.settle` ends that.
struct LiveWeights: Sendable {
  let manifest: WeightsManifest
  /// Byte offset of each tensor; multiples of 64.
  let offsets: [Int]
  private let parameters: ParameterSet

  init(
    part: WeightsPart = .policy, version: PolicyVersion, parameters: ParameterSet, precision: Precision,
    rolloutPrecision: RolloutPrecision, files: [String: [UInt8]], chunkByteCount: UInt32,
    adapter: WeightsManifest.Adapter? = nil
  ) {
    precondition(chunkByteCount % 4 == 0, "chunks of \(chunkByteCount) bytes cut scalars")
    let tensors = parameters.parameters.map { parameter in
      WeightsManifest.Tensor(
        name: parameter.name, shape: parameter.shape.map { UInt32($0) },
        encoding: precision == .bfloat16 && parameter.shape.count > 1 ? .bfloat16 : .float32)
    }
    guard let byteCount = WeightsManifest.payloadByteCount(of: tensors) else {
      preconditionFailure("weights of more than \(WireLimits.payloadByteCountMax) bytes")
    }
    self.parameters = parameters
    offsets = WeightsManifest.offsets(of: tensors)
    var manifest = WeightsManifest(
      part: part, version: version, files: files, tensors: tensors, payloadByteCount: byteCount,
      chunkByteCount: chunkByteCount,
      payloadHash: 0, rolloutPrecision: rolloutPrecision, adapter: adapter)
    manifest.payloadHash = Self.hash(manifest, offsets, parameters)
    self.manifest = manifest
  }

  /// XXH3 of all bytes, a chunk at a time.
  private static func hash(_ manifest: WeightsManifest, _ offsets: [Int], _ parameters: ParameterSet) -> UInt64 {
    guard let state = XXH3_createState() else { fatalError("out of memory") }
    defer { XXH3_freeState(state) }
    XXH3_64bits_reset(state)
    withUnsafeTemporaryAllocation(byteCount: Int(manifest.chunkByteCount), alignment: 64) { buffer in
      for index in 0..<manifest.chunkCount {
        let range = manifest.range(ofChunk: index)
        let chunk = UnsafeMutableRawBufferPointer(rebasing: buffer[..<range.count])
        copy(range, manifest, offsets, parameters, to: chunk)
        XXH3_64bits_update(state, chunk.baseAddress, chunk.count)
      }
    }
    return XXH3_64bits_digest(state)
  }

  /// The bytes `range`, which begins and ends between two scalars.
  func copy(_ range: Range<Int>, to target: UnsafeMutableRawBufferPointer) {
    Self.copy(range, manifest, offsets, parameters, to: target)
  }

  private static func copy(
    _ range: Range<Int>, _ manifest: WeightsManifest, _ offsets: [Int], _ parameters: ParameterSet,
    to target: UnsafeMutableRawBufferPointer
  ) {
    precondition(target.count == range.count, "\(range.count) bytes into \(target.count)")
    var end = range.lowerBound
    // the last tensor that begins at or before the range
    var index = max(0, (offsets.firstIndex { $0 > range.lowerBound } ?? offsets.count) - 1)
    while index < offsets.count, offsets[index] < range.upperBound {
      let size = manifest.tensors[index].encoding.scalarByteCount
      let source = UnsafeBufferPointer(parameters.scalars(index))
      let first = max(0, (range.lowerBound - offsets[index]) / size)
      let last = min(source.count, (range.upperBound - offsets[index]) / size)
      if first < last {
        let begin = offsets[index] + first * size
        let place = target.baseAddress! + (begin - range.lowerBound)
        // the gap between two tensors
        memset(target.baseAddress! + (end - range.lowerBound), 0, begin - end)
        let scalars = UnsafeBufferPointer(rebasing: source[first..<last])
        switch manifest.tensors[index].encoding {
        case .float32: place.copyMemory(from: scalars.baseAddress!, byteCount: scalars.count * 4)
        case .bfloat16:
          BFloat16.round(
            scalars,
            into: UnsafeMutableBufferPointer(
              start: place.assumingMemoryBound(to: UInt16.self), count: scalars.count))
        }
        end = begin + scalars.count * size
      }
      index += 1
    }
    memset(target.baseAddress! + (end - range.lowerBound), 0, range.upperBound - end)
  }
}
