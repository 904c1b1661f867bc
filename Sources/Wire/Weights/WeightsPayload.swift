import CXXHash
import Glibc
import Support
import Tensor

/// The weights of one policy version as the bytes that travel, with their manifest.
///
/// The learner makes it from its master weights and never changes it.
public final class WeightsPayload: HeldWeights {
  public static let chunkByteCount: UInt32 = 1 << 20

  public let manifest: WeightsManifest
  /// `manifest.payloadByteCount` bytes; tensor i starts at `offsets[i]`.
  let bytes: AlignedBuffer<UInt8>
  /// Byte offset of each tensor; multiples of 64.
  public let offsets: [Int]

  /// Takes a copy of the master weights, rounded as `LiveWeights` says.
  ///
  /// - Parameters:
  ///   - rolloutPrecision: the precision that workers sample with.
  ///   - files: the text files of the model folder, so that a worker needs nothing else.
  public convenience init(
    version: PolicyVersion, parameters: ParameterSet, precision: Precision = .bfloat16,
    rolloutPrecision: RolloutPrecision = .exact, files: [String: [UInt8]],
    chunkByteCount: UInt32 = WeightsPayload.chunkByteCount
  ) {
    self.init(
      LiveWeights(
        version: version, parameters: parameters, precision: precision, rolloutPrecision: rolloutPrecision,
        files: files, chunkByteCount: chunkByteCount))
  }

  /// Takes a copy of all bytes, into those of an earlier payload of the same layout where one is at hand.
  convenience init(_ live: LiveWeights, into bytes: AlignedBuffer<UInt8>? = nil) {
    let bytes = bytes ?? AlignedBuffer(count: Int(live.manifest.payloadByteCount))
    live.copy(0..<bytes.count, to: UnsafeMutableRawBufferPointer(start: bytes.pointer, count: bytes.count))
    self.init(manifest: live.manifest, bytes: bytes)
  }

  /// Bytes that came from elsewhere.
  init(manifest: WeightsManifest, bytes: AlignedBuffer<UInt8>) {
    precondition(bytes.count == Int(manifest.payloadByteCount), "a buffer of another size")
    self.manifest = manifest
    self.bytes = bytes
    offsets = WeightsManifest.offsets(of: manifest.tensors)
  }

  static func hash(_ bytes: AlignedBuffer<UInt8>) -> UInt64 { XXH3_64bits(bytes.pointer, bytes.count) }

  public func copyPayload(_ range: Range<Int>, into target: UnsafeMutableRawBufferPointer) {
    target.copyMemory(from: UnsafeRawBufferPointer(start: bytes.pointer + range.lowerBound, count: range.count))
  }

  /// Calls `body` with the scalars of a tensor that travels as bf16.
  public func withBFloat16<R>(_ index: Int, _ body: (UnsafeBufferPointer<UInt16>) throws -> R) rethrows -> R {
    try withScalars(index, .bfloat16, body)
  }

  /// Calls `body` with the scalars of a tensor that travels as fp32.
  public func withFloat32<R>(_ index: Int, _ body: (UnsafeBufferPointer<Float>) throws -> R) rethrows -> R {
    try withScalars(index, .float32, body)
  }

  private func withScalars<T, R>(
    _ index: Int, _ encoding: WeightsManifest.Encoding, _ body: (UnsafeBufferPointer<T>) throws -> R
  ) rethrows -> R {
    let tensor = manifest.tensors[index]
    precondition(tensor.encoding == encoding, "\(tensor.name) travels as \(tensor.encoding)")
    let count = Int(tensor.byteCount ?? 0) / encoding.scalarByteCount
    return try withExtendedLifetime(bytes) {
      let start = UnsafeRawPointer(bytes.pointer + offsets[index]).assumingMemoryBound(to: T.self)
      return try body(UnsafeBufferPointer(start: start, count: count))
    }
  }

  /// Widens every tensor to fp32, into parameters of the same names and shapes.
  ///
  /// - Throws: `InputError` when they differ.
  public func copy(to parameters: ParameterSet) throws {
    try manifest.check(against: parameters.parameters)
    for (index, tensor) in manifest.tensors.enumerated() {
      let target = parameters.scalars(index)
      switch tensor.encoding {
      case .float32: withFloat32(index) { _ = target.update(fromContentsOf: $0) }
      case .bfloat16:
        withBFloat16(index) { source in
          for scalar in source.indices { target[scalar] = Float(bitPattern: UInt32(source[scalar]) << 16) }
        }
      }
    }
  }

  /// Valid as long as the payload lives.
  package func chunk(_ index: Int) -> UnsafeRawBufferPointer {
    let range = manifest.range(ofChunk: index)
    return UnsafeRawBufferPointer(start: bytes.pointer + range.lowerBound, count: range.count)
  }
}

extension WeightsManifest {
  /// Byte offset of each tensor in the payload.
  public static func offsets(of tensors: [Tensor]) -> [Int] {
    var next = 0
    return tensors.map { tensor in
      defer { next += (Int(tensor.byteCount ?? 0) + Int(alignment) - 1) & ~(Int(alignment) - 1) }
      return next
    }
  }

  /// Checks that the tensors are those of a model, in its order; then a decoder may load them by index.
  ///
  /// - Throws: `InputError` naming the first tensor that differs.
  public func check(against parameters: [ParameterShape]) throws {
    guard tensors.count == parameters.count else {
      throw InputError(
        "load weights", at: "manifest of \(version)", expected: "\(parameters.count) tensors", found: "\(tensors.count)"
      )
    }
    for (tensor, parameter) in zip(tensors, parameters)
    where tensor.name != parameter.name || tensor.shape.map(Int.init) != parameter.shape {
      throw InputError(
        "load weights", at: "tensor \(tensor.name) of \(version)",
        expected: "\(parameter.name) \(parameter.shape)", found: "\(tensor.name) \(tensor.shape)")
    }
  }
}
