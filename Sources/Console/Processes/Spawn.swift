import CLinux
import Foundation
import Glibc
import Support

// posix_spawn, not fork: nothing of this process, which has threads and sockets, runs in the child before its program.

extension ProcessHost {
  /// Starts a program with no inherited descriptors but its log, no blocked signals, in a process group of its own.
  static func spawn(_ specification: ProcessSpecification, parent: pid_t) throws -> pid_t {
    func check(_ result: Int32, _ place: String) throws {
      if result == 0 { return }
      throw InputError(
        "start \(specification.name)", at: place, expected: "a program that runs and a log file that can be written",
        found: String(cString: strerror(result)))
    }
    var actions = posix_spawn_file_actions_t()
    try check(posix_spawn_file_actions_init(&actions), specification.executable)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(
      &actions, STDOUT_FILENO, specification.logPath, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO)

    var attributes = posix_spawnattr_t()
    try check(posix_spawnattr_init(&attributes), specification.executable)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    var ignored = sigset_t()
    sigemptyset(&ignored)
    sigaddset(&ignored, SIGPIPE)
    posix_spawnattr_setsigdefault(&attributes, &ignored)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))

    var environment = ProcessInfo.processInfo.environment
    environment["FOVEA_PARENT"] = "\(parent)"
    let child = try withCStrings([specification.executable] + specification.arguments) { arguments in
      try withCStrings(environment.map { "\($0.key)=\($0.value)" }) { environment in
        var child: pid_t = 0
        let result = posix_spawn(&child, specification.executable, &actions, &attributes, arguments, environment)
        try check(
          result, result == ENOENT ? "\(specification.executable), \(specification.logPath)" : specification.executable)
        return child
      }
    }
    return child
  }

  /// A null-terminated array of C strings for the duration of `body`.
  private static func withCStrings<R>(
    _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) throws -> R
  ) throws -> R {
    let copies = strings.map { strdup($0) }
    defer { for copy in copies { free(copy) } }
    return try body(copies + [nil])
  }
}
