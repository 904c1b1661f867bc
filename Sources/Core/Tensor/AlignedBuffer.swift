import Glibc

/// A block of memory for kernels: 64-byte aligned, zeroed, of fixed length, freed with its owner.
///
/// `@unchecked Sendable`: the buffer itself holds no lock. Whoever writes it owns it alone at that time; the model and
/// the optimizer hand ranges of it to the thread pool, which never gives one range to two threads.
public final class AlignedBuffer<Element: BitwiseCopyable>: @unchecked Sendable {
  /// The first element; valid as long as the buffer lives.
  public let pointer: UnsafeMutablePointer<Element>
  /// The number of elements.
  public let count: Int
  private static var hugePage: Int { 2 << 20 }

  /// Allocates `count` zeroed elements.
  public init(count: Int) {
    precondition(count >= 0, "negative count \(count)")
    let bytes = count * MemoryLayout<Element>.stride
    // Large blocks (weights, above all) get huge pages: a decode step walks all of them.
    let alignment = bytes >= Self.hugePage ? Self.hugePage : 64
    let byteCount = max(alignment, (bytes + alignment - 1) & ~(alignment - 1))
    guard let raw = aligned_alloc(alignment, byteCount) else { fatalError("out of memory for \(byteCount) bytes") }
    if alignment == Self.hugePage { madvise(raw, byteCount, MADV_HUGEPAGE) }
    memset(raw, 0, byteCount)
    pointer = raw.bindMemory(to: Element.self, capacity: max(count, 1))
    self.count = count
  }

  deinit { free(pointer) }

  /// The whole buffer.
  public var elements: UnsafeMutableBufferPointer<Element> {
    UnsafeMutableBufferPointer(start: pointer, count: count)
  }

  /// Sets every byte to zero.
  public func clear() { memset(pointer, 0, count * MemoryLayout<Element>.stride) }
}
