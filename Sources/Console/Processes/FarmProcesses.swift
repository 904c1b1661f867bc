import Foundation
import Glibc

/// The processes that `fovea train` starts on this machine: the coordinator, one learner and its workers.
///
/// `Supervision` decides, `ProcessHost` performs; this actor connects them and reports what happened. No restart is
/// silent.
public actor FarmProcesses {
  /// Events that the owner of the farm handles.
  public enum Event: Sendable {
    /// A note to show and log.
    case note(String, StyledLine.Style)
    /// The process ids changed.
    case changed([String: pid_t])
    /// A process left on purpose, with exit code 0.
    case left(String)
    /// The farm cannot continue. The exit code is the coordinator's, if the coordinator ended it.
    case failed(reason: String, ExitCode)
  }

  /// A moment, so that one that keeps dying does not spin, and one that left because the run ends is not replaced. The
  /// coordinator is missed by all others and comes back sooner.
  private static func restartDelay(_ kind: Supervision.Kind) -> Duration {
    kind == .coordinator ? .milliseconds(100) : .seconds(1)
  }

  private let host: ProcessHost
  private let report: @Sendable (Event) -> Void
  private var supervision = Supervision()
  private var running: [String: pid_t] = [:]
  /// Ends that were heard of before their start.
  private var earlyEnds: [String: ProcessEnd] = [:]
  /// Asked to drain, now or when they are started again.
  private var asked: Set<String> = []
  private var whenEmpty: [CheckedContinuation<Void, Never>] = []

  public init(host: ProcessHost, report: @escaping @Sendable (Event) -> Void) {
    self.host = host
    self.report = report
  }

  /// Starts a process and keeps it running, as `Supervision` says.
  public func start(_ specification: ProcessSpecification, _ kind: Supervision.Kind) async throws {
    let name = specification.name
    let child = try await host.start(specification) { end in
      Task { await self.ended(specification, kind, end) }
    }
    supervision.onStart(name, kind)
    running[name] = child
    report(.changed(running))
    if supervision.isDraining || asked.contains(name) { host.send(SIGTERM, to: child) }
    if let end = earlyEnds.removeValue(forKey: name) { await ended(specification, kind, end) }
  }

  /// Waits this long until every process has ended; then asks with SIGTERM, and at last ends them with SIGKILL.
  public func end(graceSeconds: Double, termSeconds: Double = 10) async {
    supervision.onDrain()
    for (signal, seconds) in [(SIGTERM, graceSeconds), (SIGKILL, termSeconds)] {
      if await areAllGone(within: seconds) { return }
      for (name, child) in running.sorted(by: { $0.key < $1.key }) {
        if signal == SIGKILL { report(.note("\(name) does not end; it is killed", .warning)) }
        host.send(signal, to: child)
      }
    }
    _ = await areAllGone(within: .infinity)
  }

  /// Asks one process to drain; it is still replaced if it dies before it has.
  public func askToDrain(_ name: String) {
    asked.insert(name)
    if let child = running[name] { host.send(SIGTERM, to: child) }
  }

  /// The run is ending: processes leave by themselves, and none is replaced.
  public func expectEnds() { supervision.onDrain() }

  private func areAllGone(within seconds: Double) async -> Bool {
    if running.isEmpty { return true }
    let alarm = Task {
      if seconds.isFinite, (try? await Task.sleep(for: .seconds(seconds))) != nil { wake() }
    }
    await withCheckedContinuation { whenEmpty.append($0) }
    alarm.cancel()
    return running.isEmpty
  }

  private func wake() {
    for continuation in whenEmpty { continuation.resume() }
    whenEmpty = []
  }

  private func ended(_ specification: ProcessSpecification, _ kind: Supervision.Kind, _ end: ProcessEnd) async {
    let name = specification.name
    guard running.removeValue(forKey: name) != nil else {
      earlyEnds[name] = end
      return
    }
    report(.changed(running))
    let lastLine = Self.lastLine(of: specification.logPath)
    let lastWords = lastLine.map { ": \($0)" } ?? ""
    if !supervision.isDraining { try? await Task.sleep(for: Self.restartDelay(kind)) }
    switch supervision.onEnd(name, end) {
    case .accept:
      report(.left(name))
      if !supervision.isDraining, kind == .worker { report(.note("\(name) has left", .faint)) }
    case .lose: report(.note("\(name) \(end); the farm continues without it\(lastWords)", .bad))
    case .fail(let reason):
      if kind == .coordinator, case .exited(let code) = end, let lastLine {
        report(.failed(reason: Self.complaint(lastLine), ExitCode(rawValue: code) ?? .farmFailed))
      } else {
        report(.failed(reason: "\(reason)\(lastWords)", .farmFailed))
      }
    case .replace(let left):
      report(.note("\(name) \(end); it is started again (\(left) restarts left)", .warning))
      do {
        try await start(specification, kind)
      } catch {
        report(.failed(reason: "\(error)", .farmFailed))
      }
    }
    if running.isEmpty { wake() }
  }

  /// The error that a process reported, without its prefix.
  private static func complaint(_ line: String) -> String {
    var line = line[...]
    for prefix in ["fovea: ", "the farm failed: "] where line.hasPrefix(prefix) { line = line.dropFirst(prefix.count) }
    return String(line)
  }

  /// The complaint that ends a log, else its last line; from its last 4 KiB.
  private static func lastLine(of path: String) -> String? {
    guard let file = FileHandle(forReadingAtPath: path), let size = try? file.seekToEnd() else { return nil }
    try? file.seek(toOffset: size > 4096 ? size - 4096 : 0)
    guard let data = try? file.readToEnd() else { return nil }
    let lines = String(decoding: data, as: UTF8.self).split(separator: "\n")
    return (lines.suffix(3).last { $0.hasPrefix("fovea: ") } ?? lines.last).map(String.init)
  }
}
