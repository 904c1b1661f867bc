import Foundation

/// The program as peers and people see it.
enum Program {
  /// Shown by `fovea --version` and kept in a run's folder.
  static let version = "0.1.0"

  /// Prints a line to standard error.
  static func complain(_ text: String) { FileHandle.standardError.write(Data("fovea: \(text)\n".utf8)) }
}
