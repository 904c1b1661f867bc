import Console
import Foundation
import Runs
import Support

/// What learner and worker share as processes: a log on standard output, which is a file when `fovea train` started
/// them, and the way from a signal to a drain.
enum RoleLog {
  /// Writes a line with the time of day.
  static let write: @Sendable (String) -> Void = { TerminalOutput().write("\(TimeOfDay.now()) \($0)\n") }

  /// Runs a role to its end; the first SIGINT or SIGTERM drains it.
  static func run(
    _ host: ProcessHost, drain: @escaping @Sendable () -> Void, _ body: () async throws -> String
  ) async throws -> ExitCode {
    let interruptions = host.interruptions
    let watcher = Task {
      for await _ in interruptions {
        write("asked to stop")
        drain()
      }
    }
    defer { watcher.cancel() }
    let reason = try await body()
    write("ended: \(reason) (memory: \(ProcessMemory.peakByteCount >> 20) MiB at most)")
    return .success
  }
}
