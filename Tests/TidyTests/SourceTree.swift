import Foundation

/// The files of the repository, as the tidiness tests read them.
enum SourceTree {
  /// A text file of the repository.
  struct File: Sendable, CustomStringConvertible {
    /// Relative to the repository's root, with slashes.
    var path: String
    var text: String
    /// Whether it is Swift, C or the wire schema.
    var isCode: Bool {
      [".swift", ".c", ".h", ".proto"].contains(where: path.hasSuffix) && !path.hasPrefix("Sources/CWire/")
    }
    var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }
    /// The module that the file belongs to: the folder under Sources, Sources/Core or Tests.
    var module: String {
      let parts = path.split(separator: "/")
      return String((path.hasPrefix("Sources/Core/") ? parts.dropFirst(2) : parts.dropFirst()).first ?? "")
    }
    var description: String { path }
  }

  static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  /// Folders that hold nothing of ours: builds, models, runs, environments.
  private static let skipped: Set<String> = [".git", ".build", ".swiftpm", ".venv", "models", "runs", "__pycache__"]

  /// Paths and sizes of all files, in order.
  static let paths: [(path: String, byteCount: Int)] = {
    var found: [(String, Int)] = []
    func walk(_ folder: URL, _ prefix: String) {
      let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
      for name in names.sorted() where !skipped.contains(name) {
        let url = folder.appendingPathComponent(name)
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: url.path) else { continue }
        switch attributes[.type] as? FileAttributeType {
        case .typeDirectory?: walk(url, prefix + name + "/")
        case .typeRegular?: found.append((prefix + name, (attributes[.size] as? Int) ?? 0))
        default: break
        }
      }
    }
    walk(root, "")
    return found
  }()

  /// Every file that is UTF-8 text.
  static let texts: [File] = paths.compactMap { path, _ in
    guard let data = FileManager.default.contents(atPath: root.appendingPathComponent(path).path),
      let text = String(data: data, encoding: .utf8)
    else { return nil }
    return File(path: path, text: text)
  }

  static let swiftFiles = texts.filter { $0.path.hasSuffix(".swift") }
  static let sourceFiles = texts.filter { $0.path.hasPrefix("Sources/") }

  static func text(_ path: String) -> String { texts.first { $0.path == path }?.text ?? "" }
}
