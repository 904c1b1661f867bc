import Foundation
import Imaging
import Support
import Testing

/// What Pillow and transformers made, Tests/Fixtures/imaging, and the photographs of FOVEA_DATA.
enum ImagingFixtures {
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Fixtures/imaging")

  static func bytes(_ name: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: folder.appendingPathComponent(name)))
  }

  static func json(_ name: String) throws -> JSON { try JSON.parse(bytes(name), place: name) }

  /// Every encoded file of decode/.
  static let encodedFiles: [String] = {
    let names =
      (try? FileManager.default.contentsOfDirectory(atPath: folder.appendingPathComponent("decode").path)) ?? []
    return names.filter { $0.hasSuffix(".jpg") || $0.hasSuffix(".png") }.sorted()
  }()

  /// Pillow's pixels of a file of decode/.
  static func pixels(_ name: String) throws -> Image {
    let bytes = try bytes("decode/\(name).rgb")
    func word(_ at: Int) -> Int { (0..<4).reduce(0) { $0 | Int(bytes[at + $1]) << (8 * $1) } }
    return Image(width: word(0), height: word(4), pixels: Array(bytes.dropFirst(8)))
  }

  static let data = ProcessInfo.processInfo.environment["FOVEA_DATA"]
}

extension JSON {
  func int(_ key: String) throws -> Int { try #require(self[key]?.int) }
  func text(_ key: String) throws -> String { try #require(self[key]?.string) }
  func bytes(_ key: String) throws -> [UInt8] { try #require(Base64.decode(text(key))) }
  func image(_ pixels: String, _ width: String, _ height: String) throws -> Image {
    Image(width: try int(width), height: try int(height), pixels: try bytes(pixels))
  }
}
