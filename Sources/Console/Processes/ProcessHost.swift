import CLinux
import Foundation
import Glibc
import Synchronization

/// The main thread of every fovea process: it waits for signals, starts and reaps child processes, and ends the
/// process.
///
/// Why a thread of its own, and the main one: a child asks the kernel to kill it when the *thread* that started it
/// ends, so that thread must live as long as the process; and signals are blocked before any other thread exists, so
/// they arrive here and nowhere else. Everything else runs in `body`, on Swift's pool and on threads of the roles.
///
/// Invariants: every child that was started is reaped here; when the process ends, no child of it is left; children are
/// in process groups of their own, so that Ctrl-C reaches only this process, which drains them in order.
public final class ProcessHost: Sendable {
  private enum Request: Sendable {
    case start(ProcessSpecification, CheckedContinuation<pid_t, any Error>, @Sendable (ProcessEnd) -> Void)
    case signal(pid_t, Int32)
    case end(Int32)
  }

  private let requests = Mutex<[Request]>([])
  private let interruption = Mutex<(isOver: Bool, listeners: [AsyncStream<Void>.Continuation])>((false, []))
  private let drains = Atomic(false)
  /// The program that runs now; children are started from it.
  public let executable: String

  private static let parentVariable = "FOVEA_PARENT"
  private static let interruptingSignals = [SIGINT, SIGTERM, SIGHUP]
  /// SIGUSR1 is how other threads wake the main one.
  private static let signals = interruptingSignals + [SIGCHLD, SIGUSR1]

  private init() {
    executable =
      (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
  }

  /// Yields once, at the first SIGINT, SIGTERM or SIGHUP, so that a process can end in order; at once when it is asked
  /// for afterwards. The second one, or the first when nobody has asked for this, ends the process at once, with all
  /// its children.
  public var interruptions: AsyncStream<Void> {
    drains.store(true, ordering: .relaxed)
    let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    let isOver = interruption.withLock {
      if !$0.isOver { $0.listeners.append(continuation) }
      return $0.isOver
    }
    if isOver { Self.notify(continuation) }
    return stream
  }

  /// Whether the first of those signals has come.
  public var isInterrupted: Bool { interruption.withLock { $0.isOver } }

  private static func notify(_ listener: AsyncStream<Void>.Continuation) {
    listener.yield()
    listener.finish()
  }

  /// Runs `body` and ends the process with its exit code. Call it first of all, on the main thread.
  public static func run(_ body: @escaping @Sendable (ProcessHost) async -> Int32) -> Never {
    dieWithParent()
    var set = sigset_t()
    sigemptyset(&set)
    for signal in signals { sigaddset(&set, signal) }
    pthread_sigmask(SIG_BLOCK, &set, nil)
    signal(SIGPIPE, SIG_IGN)
    let host = ProcessHost()
    Task.detached { host.add(.end(await body(host))) }
    host.loop(set)
  }

  /// Starts a program. `onEnd` is called once, on the main thread, when it has ended and was reaped.
  public func start(
    _ specification: ProcessSpecification, onEnd: @escaping @Sendable (ProcessEnd) -> Void
  ) async throws -> pid_t {
    try await withCheckedThrowingContinuation { add(.start(specification, $0, onEnd)) }
  }

  /// Sends a signal to a child, if it still runs.
  public func send(_ signal: Int32, to child: pid_t) { add(.signal(child, signal)) }

  private func add(_ request: Request) {
    requests.withLock { $0.append(request) }
    kill(getpid(), SIGUSR1)
  }

  private func loop(_ signals: sigset_t) -> Never {
    var signals = signals
    var children: [pid_t: @Sendable (ProcessEnd) -> Void] = [:]
    while true {
      var signal: Int32 = 0
      guard sigwait(&signals, &signal) == 0 else { continue }
      if Self.interruptingSignals.contains(signal) {
        if isInterrupted || !drains.load(ordering: .relaxed) {
          finish(ExitCode.interrupted.rawValue, children: children.keys)
        }
        let listeners = interruption.withLock { state in
          defer { state = (isOver: true, listeners: []) }
          return state.listeners
        }
        for listener in listeners { Self.notify(listener) }
      }
      for request in requests.withLock({ list in
        defer { list = [] }; return list
      }) {
        switch request {
        case .start(let specification, let continuation, let onEnd):
          do {
            let child = try Self.spawn(specification, parent: getpid())
            children[child] = onEnd
            continuation.resume(returning: child)
          } catch {
            continuation.resume(throwing: error)
          }
        case .signal(let child, let signal): if children[child] != nil { kill(child, signal) }
        case .end(let code): finish(code, children: children.keys)
        }
      }
      for child in children.keys {
        var status: Int32 = 0
        if waitpid(child, &status, WNOHANG) == child {
          let onEnd = children.removeValue(forKey: child)
          onEnd?(ProcessEnd(status: status))
        }
      }
    }
  }

  private func finish(_ code: Int32, children: some Collection<pid_t>) -> Never {
    for child in children { kill(child, SIGKILL) }
    Self.reapAll()
    fflush(nil)
    // Not exit(): threads of the roles may still run, and nothing is left to be cleaned up.
    _exit(code)
  }

  /// Waits until no child is left. Not inlined: the release build of Swift 6.3 leaves the waits out of `finish`.
  @inline(never) private static func reapAll() {
    while waitpid(-1, nil, 0) > 0 || errno == EINTR {}
  }

  /// A child of a fovea process ends with it, whatever ends the parent.
  private static func dieWithParent() {
    guard let text = getenv(parentVariable), let parent = pid_t(String(cString: text)) else { return }
    _ = fovea_signal_at_parent_death(SIGKILL)
    // The parent may have ended before the kernel was asked.
    if getppid() != parent { _exit(ExitCode.interrupted.rawValue) }
    unsetenv(parentVariable)
  }
}
