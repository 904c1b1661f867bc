import Foundation
import Support
import Tensor
import Testing

/// What the tests of model files share: fixtures, folders to write in, checksums.
enum ModelFiles {
  static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Fixtures/modelfiles").path
  static let tinyModels = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Fixtures/model/tiny").path

  /// The fp32 numbers of a file.
  static func floats(_ name: String) throws -> [Float] {
    let bytes = try MappedFile.contents(of: "\(fixtures)/\(name)", byteCountMax: 1 << 20)
    return bytes.withUnsafeBytes { raw in
      (0..<raw.count / 4).map { raw.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
    }
  }

  /// The checksums that make.py writes: one a tensor.
  static func checksums(_ name: String) throws -> [String: UInt64] {
    let path = "\(fixtures)/\(name)"
    let json = try JSON.parse(try MappedFile.contents(of: path, byteCountMax: 1 << 20), place: path)
    return try #require(json.object).mapValues { try #require($0.string.flatMap(UInt64.init)) }
  }

  /// Depends on every bit of every scalar, and on their order; as in make.py.
  static func checksum(_ scalars: UnsafeMutableBufferPointer<Float>) -> UInt64 {
    var sum: UInt64 = 0
    for i in scalars.indices { sum &+= UInt64(scalars[i].bitPattern) &* UInt64(i + 1) }
    return sum
  }

  static func checksums(_ parameters: ParameterSet) -> [String: UInt64] {
    Dictionary(
      uniqueKeysWithValues: parameters.parameters.indices.map {
        (parameters.parameters[$0].name, checksum(parameters.scalars($0)))
      })
  }

  /// The bits of numbers, every NaN as the same one.
  static func bits(_ values: some Sequence<Float>) -> [UInt32] {
    values.map { $0.isNaN ? Float.nan.bitPattern : $0.bitPattern }
  }

  /// A tiny model of ../model/tiny with the tokenizer of make.py, as a folder of its own.
  static func folder(ofTiny name: String) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    let files = FileManager.default
    for file in ["config.json", "model.safetensors"] {
      try files.copyItem(atPath: "\(tinyModels)/\(name)/\(file)", toPath: "\(folder.path)/\(file)")
    }
    try files.copyItem(atPath: "\(fixtures)/tokenizer.json", toPath: "\(folder.path)/tokenizer.json")
    return folder
  }
}

/// A folder that is removed with its owner.
final class TemporaryFolder: Sendable {
  let path: String

  init() throws {
    path = FileManager.default.temporaryDirectory.appendingPathComponent("fovea-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Writes a file of the folder and returns its path.
  @discardableResult
  func write(_ bytes: [UInt8], _ name: String) throws -> String {
    let path = "\(path)/\(name)"
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    return path
  }

  @discardableResult
  func write(_ json: JSON, _ name: String) throws -> String { try write(json.serialized(), name) }
}
