import Foundation
import Glibc
import Synchronization

/// The real binary as a process: started with a time-out, its output in files, killed by its id.
///
/// Whatever a test does, the process is gone when this object is: and with it its children, which die with their
/// parent.
final class FoveaProcess: Sendable {
  struct Result: CustomStringConvertible {
    var exitCode: Int32?
    var signal: Int32?
    var output: String
    var errors: String
    var description: String {
      let (code, signal) = (exitCode.map(String.init) ?? "none", signal.map(String.init) ?? "none")
      return "exit code \(code), signal \(signal)\n\(output)\n\(errors)"
    }
  }

  /// fovea lies beside the test bundle.
  static let binary: String = {
    let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    let candidates = [
      (tests as NSString).deletingLastPathComponent + "/fovea",
      URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path + "/.build/release/fovea",
    ]
    guard let found = candidates.first(where: { FileManager.default.isExecutableFile(atPath: $0) }) else {
      fatalError("no fovea in \(candidates)")
    }
    return found
  }()

  let processID: pid_t
  private let outputPath: String
  private let errorPath: String
  private let ended = Mutex<Int32?>(nil)

  /// Starts `fovea` with arguments in a folder, which also takes its output.
  /// - Parameters:
  ///   - prefix: a command that becomes fovea, in a namespace for example: the same process id.
  ///   - onTerminal: gives it a pseudo-terminal of 80 by 24; then the process is `script`, and fovea its child.
  init(
    _ arguments: [String], in folder: TemporaryFolder, environment: [String: String] = [:], prefix: [String] = [],
    onTerminal: Bool = false
  ) throws {
    let name = "\(arguments.first ?? "fovea")-\(UUID().uuidString.prefix(8))"
    (outputPath, errorPath) = (folder.path + "/\(name).out", folder.path + "/\(name).err")
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, outputPath, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    posix_spawn_file_actions_addopen(&actions, 2, errorPath, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP))
    let variables = ProcessInfo.processInfo.environment.merging(environment) { $1 }.map { "\($0)=\($1)" }
    // env changes the folder and becomes fovea: the same process id.
    var words = prefix + [Self.binary] + arguments
    if onTerminal { words = ["script", "-qec", words.map { "'\($0)'" }.joined(separator: " "), "/dev/null"] }
    let argv = (["env", "-C", folder.path] + words).map { strdup($0) } + [nil]
    let envp = variables.map { strdup($0) } + [nil]
    defer { for pointer in argv + envp { free(pointer) } }
    var child: pid_t = 0
    let code = posix_spawn(&child, "/usr/bin/env", &actions, &attributes, argv, envp)
    guard code == 0 else { throw POSIXError(POSIXErrorCode(rawValue: code) ?? .EINVAL) }
    processID = child
  }

  deinit {
    if poll() == nil {
      kill(processID, SIGKILL)
      var status: Int32 = 0
      waitpid(processID, &status, 0)
    }
  }

  /// Sends a signal, if the process still runs.
  func send(_ signal: Int32) { if poll() == nil { kill(processID, signal) } }

  var isRunning: Bool { poll() == nil }
  var output: String { (try? String(contentsOfFile: outputPath, encoding: .utf8)) ?? "" }
  var errors: String { (try? String(contentsOfFile: errorPath, encoding: .utf8)) ?? "" }

  /// Waits for the end; a process that takes longer is killed and has neither exit code nor signal.
  func wait(seconds: Double) async -> Result {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while poll() == nil, ContinuousClock.now < deadline { try? await Task.sleep(for: .milliseconds(20)) }
    guard let status = poll() else {
      kill(processID, SIGKILL)
      return Result(exitCode: nil, signal: nil, output: output, errors: errors)
    }
    let signal = status & 0x7F
    return Result(
      exitCode: signal == 0 ? (status >> 8) & 0xFF : nil, signal: signal == 0 ? nil : signal, output: output,
      errors: errors)
  }

  private func poll() -> Int32? {
    ended.withLock { ended in
      if ended == nil {
        var status: Int32 = 0
        if waitpid(processID, &status, WNOHANG) == processID { ended = status }
      }
      return ended
    }
  }

  /// Runs `fovea` to its end.
  static func run(
    _ arguments: [String], in folder: TemporaryFolder, seconds: Double = 30, environment: [String: String] = [:]
  ) async throws -> Result {
    try await FoveaProcess(arguments, in: folder, environment: environment).wait(seconds: seconds)
  }
}

/// A folder that goes away with the test.
final class TemporaryFolder: Sendable {
  let path = NSTemporaryDirectory() + "fovea-e2e-\(UUID().uuidString)"
  init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
  deinit {
    if ProcessInfo.processInfo.environment["FOVEA_KEEP"] == nil { try? FileManager.default.removeItem(atPath: path) }
  }

  func write(_ text: String, to name: String) throws {
    try text.write(toFile: "\(path)/\(name)", atomically: true, encoding: .utf8)
  }
}

/// Waits until a condition holds; false when it does not within the time.
func holds(within seconds: Double, _ condition: () throws -> Bool) async rethrows -> Bool {
  let deadline = ContinuousClock.now + .seconds(seconds)
  while ContinuousClock.now < deadline {
    if try condition() { return true }
    try? await Task.sleep(for: .milliseconds(30))
  }
  return try condition()
}

/// Whether a process of this id runs; a zombie does not.
func isAlive(_ process: pid_t) -> Bool {
  guard let stat = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
    let state = stat.split(separator: ")").last?.dropFirst().first
  else { return false }
  return state != "Z" && state != "X"
}

/// The command lines of all processes.
func commandLines() -> [String] {
  let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
  return names.filter { Int($0) != nil }.compactMap {
    try? String(contentsOfFile: "/proc/\($0)/cmdline", encoding: .utf8)
  }
}
