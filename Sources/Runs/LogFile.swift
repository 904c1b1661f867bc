import Foundation
import Glibc
import Support

/// A log that is appended to, a line at a time, each with its time of day.
///
/// The clock is only read for people; nothing is decided by it.
public final class LogFile: Sendable {
  private let descriptor: Int32

  public init(path: String) throws {
    descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw Files.failure("open log", at: path) }
  }

  deinit { close(descriptor) }

  /// Appends a line. A full disk is not noticed here: what matters is written elsewhere and checked.
  public func write(_ line: String) { Files.writeAll(Array("\(TimeOfDay.now()) \(line)\n".utf8), to: descriptor) }
}

/// The time of day in UTC, for people: 2026-01-31T12:34:56Z.
public enum TimeOfDay {
  public static func now() -> String {
    var seconds = time(nil)
    var parts = tm()
    gmtime_r(&seconds, &parts)
    return String(
      format: "%04d-%02d-%02dT%02d:%02d:%02dZ", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
      parts.tm_min, parts.tm_sec)
  }
}
