import CKernels

/// The kernels' threads of a process. Kernels never run on Swift's cooperative pool.
///
/// `@unchecked Sendable`: `run` may be called from one thread at a time, which the model and the optimizer, each owned
/// by one thread, guarantee; the C pool synchronizes its threads itself.
public final class ThreadPool: @unchecked Sendable {
  private let pool: OpaquePointer
  /// Threads that a loop runs on, the caller's among them.
  public let threadCount: Int

  /// Starts `threads - 1` threads; the caller of a loop is the last one.
  public init(threads: Int) {
    precondition(threads >= 1 && threads <= 1024, "threads must be 1...1024, not \(threads)")
    guard let pool = fv_pool_create(Int32(threads)) else { fatalError("cannot start \(threads) threads") }
    self.pool = pool
    threadCount = threads
  }

  deinit { fv_pool_destroy(pool) }

  /// Calls `body` once for every index in `0 ..< count`, on all threads, and returns when all are done. Denormals are
  /// flushed to zero inside. Which thread takes which index is open, so no result may depend on it.
  package func run(_ count: Int, _ body: (Int) -> Void) {
    run(count) { index, _ in body(index) }
  }

  /// The same with the thread's number in `0 ..< threadCount`, for scratch space of its own.
  package func run(_ count: Int, _ body: (_ index: Int, _ thread: Int) -> Void) {
    withoutActuallyEscaping(body) { body in
      withUnsafePointer(to: Loop(pool: pool, body: body)) { loop in
        fv_pool_run(
          pool, Int64(count),
          { context, first, thread in
            let loop = context!.assumingMemoryBound(to: Loop.self)
            // Held once for all of the thread's calls: counting references at each call would make the threads contend.
            let body = loop.pointee.body
            let pool = loop.pointee.pool
            var index = first
            while index >= 0 {
              body(Int(index), Int(thread))
              index = fv_pool_next(pool, thread)
            }
          }, UnsafeMutableRawPointer(mutating: loop))
      }
    }
  }

  private struct Loop {
    var pool: OpaquePointer
    var body: (Int, Int) -> Void
  }

  /// Calls `body` with consecutive ranges of at most `chunk` indices that cover `0 ..< count`.
  package func run(_ count: Int, chunk: Int, _ body: (Range<Int>) -> Void) {
    run((count + chunk - 1) / chunk) { index in
      body(index * chunk..<min(count, (index + 1) * chunk))
    }
  }
}
