import Foundation

/// One thread that runs an actor's work in order, for work that must not occupy Swift's cooperative pool: an engine step or
/// a training step lasts from milliseconds to minutes.
///
/// An actor that returns it from `unownedExecutor` is isolated to this thread, so the compiler checks what would otherwise
/// be an argument about who touches the model. Work runs in the order in which it was enqueued; `Task.yield()` inside the
/// actor goes to the back of the queue, which is how a loop lets commands in between two turns.
///
/// `@unchecked Sendable`: the queue is only touched under its condition's lock.
public final class ThreadExecutor: SerialExecutor, @unchecked Sendable {
  /// `@unchecked Sendable`: `jobs` and `closed` are only touched under the condition's lock.
  private final class Queue: @unchecked Sendable {
    let condition = NSCondition()
    var jobs: [UnownedJob] = []
    var closed = false

    /// The next jobs, or nil when the queue is closed and empty.
    func next() -> [UnownedJob]? {
      condition.withLock {
        while jobs.isEmpty && !closed { condition.wait() }
        defer { jobs.removeAll(keepingCapacity: true) }
        return jobs.isEmpty ? nil : jobs
      }
    }
  }

  private let queue = Queue()

  /// Starts the thread.
  /// - Parameter name: shown by debuggers and `top -H`.
  public init(name: String) {
    let queue = self.queue
    let executor = UnownedReference(self)
    let thread = Thread {
      Thread.current.name = name
      while let jobs = queue.next() {
        for job in jobs { job.runSynchronously(on: executor.unowned) }
      }
    }
    thread.stackSize = 8 << 20
    thread.start()
  }

  deinit {
    queue.condition.withLock {
      queue.closed = true
      queue.condition.signal()
    }
  }

  /// Adds work at the end of the queue.
  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.condition.withLock {
      queue.jobs.append(job)
      queue.condition.signal()
    }
  }

  /// The reference that an actor returns from its `unownedExecutor`.
  public func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }
}

/// The executor as the thread sees it: a job keeps its actor, and the actor keeps the executor, as long as the job runs.
private struct UnownedReference: @unchecked Sendable {
  let unowned: UnownedSerialExecutor
  init(_ executor: ThreadExecutor) { unowned = UnownedSerialExecutor(ordinary: executor) }
}
