import Foundation

/// A file that is removed at the end.
final class TemporaryDataFile: Sendable {
  let path: String

  init(_ bytes: [UInt8], _ pathExtension: String) throws {
    path =
      FileManager.default.temporaryDirectory.appendingPathComponent("fovea-\(UUID().uuidString).\(pathExtension)").path
    try Data(bytes).write(to: URL(fileURLWithPath: path))
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// A folder that is removed at the end, with everything in it.
final class TemporaryDataFolder: Sendable {
  let path = FileManager.default.temporaryDirectory.appendingPathComponent("fovea-\(UUID().uuidString)").path

  init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  @discardableResult
  func write(_ bytes: [UInt8], to name: String) throws -> String {
    let file = URL(fileURLWithPath: path).appendingPathComponent(name)
    try FileManager.default.createDirectory(
      at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: file)
    return file.path
  }
}
