import Glibc

/// A program to run as a child of this process.
public struct ProcessSpecification: Equatable, Sendable {
  /// The process's name in logs, and the name of its log file: "worker-0".
  public var name: String
  /// Path of the program.
  public var executable: String
  /// The arguments, without the program's name.
  public var arguments: [String]
  /// Standard output and standard error are appended to this file.
  public var logPath: String

  public init(name: String, executable: String, arguments: [String], logPath: String) {
    self.name = name
    self.executable = executable
    self.arguments = arguments
    self.logPath = logPath
  }
}

/// How a process ended.
public enum ProcessEnd: Equatable, Sendable, CustomStringConvertible {
  case exited(code: Int32)
  case killed(signal: Int32)

  /// From `waitpid`'s status word.
  init(status: Int32) {
    let signal = status & 0x7F
    self = signal == 0 ? .exited(code: (status >> 8) & 0xFF) : .killed(signal: signal)
  }

  public var description: String {
    switch self {
    case .exited(let code): "ended with exit code \(code)"
    case .killed(SIGKILL): "was killed (signal 9)"
    case .killed(SIGSEGV), .killed(SIGILL), .killed(SIGTRAP), .killed(SIGABRT), .killed(SIGBUS), .killed(SIGFPE):
      "crashed (\(signalText))"
    case .killed: "was ended by \(signalText)"
    }
  }

  private var signalText: String {
    guard case .killed(let signal) = self else { return "" }
    return "signal \(signal)" + (strsignal(signal).map { ", \(String(cString: $0).lowercased())" } ?? "")
  }
}
