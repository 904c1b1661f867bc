import CZstd
import Support

/// The difference of two chunks of equal size: zstd of their XOR.
///
/// A small update leaves most bf16 weights as they are, so that the XOR is nearly all zeros.
struct ChunkDifference: ~Copyable {
  private let compressor = ZSTD_createCCtx()
  private let decompressor = ZSTD_createDCtx()
  private var scratch: [UInt8] = []

  deinit {
    ZSTD_freeCCtx(compressor)
    ZSTD_freeDCtx(decompressor)
  }

  /// nil when the difference is no smaller than the chunk itself.
  mutating func make(_ new: UnsafeRawBufferPointer, minus base: UnsafeRawBufferPointer) -> [UInt8]? {
    precondition(new.count == base.count, "chunks of \(new.count) and \(base.count) bytes")
    guard new.count > 1 else { return nil }
    if scratch.count < new.count { scratch = [UInt8](repeating: 0, count: new.count) }
    return scratch.withUnsafeMutableBytes { scratch in
      let difference = UnsafeMutableRawBufferPointer(rebasing: scratch[..<new.count])
      difference.copyMemory(from: new)
      Self.xor(UnsafeRawBufferPointer(base), into: difference)
      var isSmaller = false
      // The buffer is smaller than the chunk: zstd fails when the difference would not be worth sending.
      let bytes = [UInt8](unsafeUninitializedCapacity: new.count - 1) { buffer, count in
        let size = ZSTD_compressCCtx(
          compressor, buffer.baseAddress, buffer.count, difference.baseAddress, difference.count, 1)
        isSmaller = ZSTD_isError(size) == 0
        count = isSmaller ? size : 0
      }
      // The copy has no more memory than it needs; the buffer above is a whole chunk.
      return isSmaller ? bytes.withUnsafeBytes { Array($0) } : nil
    }
  }

  /// Turns `chunk` from the base into the new one. It is untouched when the difference is malformed.
  ///
  /// - Throws: `InputError` unless the difference is zstd of exactly the chunk's size.
  mutating func apply(_ difference: [UInt8], to chunk: UnsafeMutableRawBufferPointer) throws {
    if scratch.count < chunk.count { scratch = [UInt8](repeating: 0, count: chunk.count) }
    try scratch.withUnsafeMutableBytes { scratch in
      let size = ZSTD_decompressDCtx(
        decompressor, scratch.baseAddress, chunk.count, difference, difference.count)
      guard ZSTD_isError(size) == 0, size == chunk.count else {
        throw InputError(
          "apply difference", at: "weights chunk", expected: "zstd of \(chunk.count) bytes",
          found: ZSTD_isError(size) == 0 ? "\(size) bytes" : String(cString: ZSTD_getErrorName(size)))
      }
      Self.xor(UnsafeRawBufferPointer(rebasing: scratch[..<size]), into: chunk)
    }
  }

  /// Words, because the compiler makes vectors of them; of Swift's own SIMD64<UInt8> it makes single bytes.
  private static func xor(_ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer) {
    precondition(source.count == target.count, "\(source.count) bytes into \(target.count)")
    guard let from = source.baseAddress, let to = target.baseAddress else { return }
    let whole = target.count & ~7
    for offset in stride(from: 0, to: whole, by: 8) {
      let word =
        from.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        ^ to.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
      to.storeBytes(of: word, toByteOffset: offset, as: UInt64.self)
    }
    for offset in whole..<target.count { target[offset] ^= source[offset] }
  }
}
