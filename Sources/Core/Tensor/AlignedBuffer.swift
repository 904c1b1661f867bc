import Glibc

/// A block of memory for kernels: 64-byte aligned, zeroed, of fixed length, freed with its owner.
///
/// A large block is pages of its own, huge where they fit. It takes memory as it is touched, so one that is made too
/// large costs nothing.
///
/// `@unchecked Sendable`: the buffer itself holds no lock. Its writer owns it alone while it writes; the model and
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
    let raw: UnsafeMutableRawPointer
    if bytes >= Self.hugePage {
      raw = Self.mapped(bytes)
    } else {
      guard let block = aligned_alloc(64, max(64, (bytes + 63) & ~63)) else { Self.outOfMemory(bytes) }
      memset(block, 0, bytes)
      raw = block
    }
    pointer = raw.bindMemory(to: Element.self, capacity: max(count, 1))
    self.count = count
  }

  deinit {
    if isMapped { munmap(pointer, Self.wholePages(byteCount)) } else { free(pointer) }
  }

  /// The whole buffer.
  public var elements: UnsafeMutableBufferPointer<Element> {
    UnsafeMutableBufferPointer(start: pointer, count: count)
  }

  /// Sets every byte to zero.
  public func clear() { memset(pointer, 0, byteCount) }

  private var byteCount: Int { count * MemoryLayout<Element>.stride }
  private var isMapped: Bool { byteCount >= Self.hugePage }
  /// Up to 64 KiB, the largest page of any system.
  private static func wholePages(_ byteCount: Int) -> Int { (byteCount + 0xFFFF) & ~0xFFFF }

  /// Pages of zeros from the system. They begin at a huge page: a decode step, for one, walks all weights.
  private static func mapped(_ bytes: Int) -> UnsafeMutableRawPointer {
    let needed = wholePages(bytes)
    let mapping = mmap(nil, needed + hugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let mapping, mapping != MAP_FAILED else { outOfMemory(bytes) }
    let before = -Int(bitPattern: mapping) & (hugePage - 1)
    let start = mapping + before
    if before > 0 { munmap(mapping, before) }
    if before < hugePage { munmap(start + needed, hugePage - before) }
    madvise(start, needed, MADV_HUGEPAGE)
    return start
  }

  private static func outOfMemory(_ bytes: Int) -> Never { fatalError("out of memory for \(bytes) bytes") }
}
