import Foundation
import Glibc
import Support

/// Standard output as it is: a terminal with a size, or a file or pipe. The only place of the view that asks the
/// system.
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

  /// Writes all of the text. A reader that is gone is not an error: the run continues.
  public func write(_ text: String) { Files.writeAll(Array(text.utf8), to: STDOUT_FILENO) }
}
