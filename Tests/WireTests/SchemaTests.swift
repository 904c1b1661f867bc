import Foundation
import Testing

@Suite struct SchemaTests {
  static let sources = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Sources")
    .standardized
  static let compiler = ["/usr/bin/protoc-c", "/usr/local/bin/protoc-c"].first {
    FileManager.default.isExecutableFile(atPath: $0)
  }

  @Test(
    "the checked-in C is what protoc-c makes of farm.proto",
    .enabled(if: compiler != nil, "protoc-c is not installed (protobuf-c-compiler)"))
  func fresh() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "fovea-schema-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let process = Process()
    process.executableURL = URL(filePath: try #require(Self.compiler))
    process.arguments = ["--c_out=\(folder.path)", "-I", Self.sources.appending(path: "Wire").path, "farm.proto"]
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    for (made, kept) in [("farm.pb-c.c", "CWire/farm.pb-c.c"), ("farm.pb-c.h", "CWire/include/farm.pb-c.h")] {
      let made = try String(contentsOf: folder.appending(path: made), encoding: .utf8)
      let kept = try String(contentsOf: Self.sources.appending(path: kept), encoding: .utf8)
      #expect(withoutVersionCheck(made) == withoutVersionCheck(kept), "make proto writes it anew")
    }
  }

  /// Another release of protoc-c names itself in the header.
  private func withoutVersionCheck(_ text: String) -> [Substring] {
    text.split(separator: "\n").filter {
      !$0.contains("PROTOBUF_C_MIN_COMPILER_VERSION") && !$0.contains("PROTOBUF_C_VERSION_NUMBER")
    }
  }
}
