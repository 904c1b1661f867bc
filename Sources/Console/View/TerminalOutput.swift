import Foundation
import Glibc

/// Standard output as it is: a terminal with a size, or a file or pipe. The only place of the view that asks the system.
public struct TerminalOutput: Sendable {
  /// Whether frames may be drawn.
  public let isTerminal: Bool
  /// Whether colour may be used: on a terminal, unless NO_COLOR is set (no-color.org).
  public let colour: Bool

  public init(environment: [String: String] = ProcessInfo.processInfo.environment) {
    isTerminal = isatty(STDOUT_FILENO) == 1 && environment["TERM"] != "dumb"
    colour = isTerminal && (environment["NO_COLOR"] ?? "").isEmpty
  }

  /// Columns and rows now; 80 by 24 when the terminal does not say.
  public var size: (columns: Int, rows: Int) {
    var window = winsize()
    guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &window) == 0, window.ws_col > 0, window.ws_row > 0 else {
      return (80, 24)
    }
    return (Int(window.ws_col), Int(window.ws_row))
  }

  /// Writes all of the text. A reader that has gone away is not an error: the run goes on.
  public func write(_ text: String) { writeAll(Array(text.utf8), to: STDOUT_FILENO) }
}

/// Writes all bytes to a file descriptor; false on an error.
@discardableResult
func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
  bytes.withUnsafeBytes { buffer in
    var sent = 0
    while sent < buffer.count {
      let count = Glibc.write(descriptor, buffer.baseAddress! + sent, buffer.count - sent)
      if count < 0 && errno == EINTR { continue }
      if count < 0 && errno == EAGAIN {
        var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        if Glibc.poll(&poll, 1, 1000) > 0 { continue }
      }
      if count <= 0 { return false }
      sent += count
    }
    return true
  }
}
