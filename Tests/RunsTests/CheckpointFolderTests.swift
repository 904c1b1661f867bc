import Foundation
import Runs
import Support
import Testing

@Suite("The checkpoints of a folder")
struct CheckpointFolderTests {
  private final class Folder {
    let path = NSTemporaryDirectory() + "fovea-checkpoints-\(UUID().uuidString)"
    deinit { try? FileManager.default.removeItem(atPath: path) }
  }

  private let temporary = Folder()
  private var folder: CheckpointFolder { CheckpointFolder(temporary.path) }

  /// Writes a checkpoint whose files hold their own names.
  private func write(step: UInt32) throws {
    let path = folder.path(step: step)
    try Files.makeFolder(path)
    let names = [CheckpointFolder.FileName.weights] + CheckpointFolder.FileName.training
    for name in names { try Files.write(Array(name.utf8), to: "\(path)/\(name)") }
    let manifest = try CheckpointManifest(folder: path, names: names)
    try Files.write(manifest.json.serialized(), to: "\(path)/MANIFEST.json")
  }

  @Test("are listed by step, whatever else lies there")
  func list() throws {
    #expect(folder.steps.isEmpty)
    for step in [1_000_000, 20, 3] as [UInt32] { try write(step: step) }
    for name in [".writing-step-000004", "step-x", "best.json.new"] {
      try Files.makeFolder("\(folder.path)/\(name)")
    }
    #expect(folder.steps == [3, 20, 1_000_000])
    #expect(folder.path(step: 3) == folder.path + "/step-000003")
    #expect(folder.path(step: 1_000_000) == folder.path + "/step-1000000")
  }

  @Test("are passed over when a byte differs, and the reason names the file")
  func damage() throws {
    try write(step: 1)
    try write(step: 2)
    #expect(folder.newestValid().path == folder.path(step: 2))
    let damaged = folder.path(step: 2) + "/trainer_state.json"
    try Files.write(Array("trainer_state.jsom".utf8), to: damaged)
    let (newest, passedOver) = folder.newestValid()
    #expect(newest == folder.path(step: 1))
    #expect(passedOver.map(\.place) == [damaged])
  }

  @Test("give the best to the next stage, else the newest that is valid")
  func best() throws {
    #expect(folder.bestOrNewestValid == nil)
    try write(step: 1)
    try write(step: 2)
    #expect(folder.best == nil)
    #expect(folder.bestOrNewestValid == folder.path(step: 2))
    try Files.write(Array(#"{"step": 1, "accuracy": 0.5}"#.utf8), to: folder.path + "/best.json")
    #expect(folder.best == CheckpointFolder.Best(step: 1, accuracy: 0.5))
    #expect(folder.bestOrNewestValid == folder.path(step: 1))
    try Files.write([], to: folder.path(step: 1) + "/model.safetensors")
    #expect(folder.bestOrNewestValid == folder.path(step: 2))
    try Files.write(Array(#"{"step": -1}"#.utf8), to: folder.path + "/best.json")
    #expect(folder.best == nil)
  }
}
