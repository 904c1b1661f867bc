import Foundation
import Glibc
import Testing

/// A disk that is full: a small one of its own (tmpfs) under the run's folder.
@Suite(
  .serialized, .enabled(if: FaultTests.isWhole, FaultTests.isLeftOut),
  .enabled(if: SmallDisk.isAvailable, "needs root, to mount a small disk"))
struct DiskFaultTests {
  /// At whatever moment the last block is taken: the run ends with one line that names the place and what is wrong with
  /// it; with room again it goes on, and nothing is lost.
  @Test("A full disk ends the run with a line and loses nothing", .timeLimit(.minutes(4)), arguments: [3, 8, 21, 34])
  func aFullDiskEndsTheRunWithALineAndLosesNothing(step: Int) async throws {
    let folder = try Farm().folder
    let disk = try SmallDisk(at: folder.path + "/disk", mebibytes: 64)
    let run = Farm(folder: folder, runPath: disk.path + "/run")
    let train = try run.train(ScatteredFarm.settings)
    #expect(try await holds(within: 60) { try run.steps.count >= step }, "\(run.diagnosis)")
    try disk.fill()
    let result = await train.wait(seconds: 60)
    #expect(result.exitCode == 1, "\(result)\n\(run.diagnosis)")
    let complaint = result.errors.split(separator: "\n").last.map(String.init) ?? ""
    #expect(complaint.contains(disk.path), "\(result)")
    #expect(["full", "space"].contains { complaint.contains($0) }, "\(result)")
    #expect(try run.steps.count < ScatteredFarm.steps)

    // Still full: the same, at once, however often; each time the record of the run's resumes is to grow.
    for _ in 0..<20 {
      try disk.fill()
      let refused = await (try run.resume()).wait(seconds: 60)
      #expect(refused.exitCode == 1, "\(refused)")
      #expect(refused.errors.contains(disk.path), "\(refused)")
    }
    try await expectWhole(run, with: disk)
  }

  /// Room for the journal, and none for a checkpoint: the steps are trained, and the run is not finished.
  @Test("A run whose last checkpoint has no room is not finished", .timeLimit(.minutes(4)))
  func aRunWhoseLastCheckpointHasNoRoomIsNotFinished() async throws {
    let folder = try Farm().folder
    let disk = try SmallDisk(at: folder.path + "/disk", mebibytes: 64)
    try disk.fill(mebibytes: 54)
    let run = Farm(folder: folder, runPath: disk.path + "/run")
    let result = await (try run.train(ScatteredFarm.settings)).wait(seconds: 120)
    #expect(result.exitCode == 3, "\(result)\n\(run.diagnosis)")
    #expect(!result.output.contains("finished"), "\(result)\n\(run.diagnosis)")
    #expect(result.errors.contains("cannot save checkpoint at \(run.runPath)/checkpoints"), "\(result)")
    #expect(try run.steps.count == ScatteredFarm.steps)
    try await expectWhole(run, with: disk)
  }

  /// With room again the run goes on to its end, and nothing is lost.
  private func expectWhole(_ run: Farm, with disk: SmallDisk) async throws {
    try disk.free()
    let resumed = await (try run.resume()).wait(seconds: 120)
    #expect(resumed.exitCode == 0, "\(resumed)\n\(run.diagnosis)")
    try run.expectEachSampleOnce(steps: ScatteredFarm.steps)
    let undisturbed = try await UndisturbedRun.shared.weights()
    #expect(try run.checksum(step: ScatteredFarm.steps) == undisturbed)
  }
}

/// A disk of a few mebibytes, which goes with this object.
final class SmallDisk {
  let path: String

  static let isAvailable: Bool = {
    guard getuid() == 0, let folder = try? TemporaryFolder() else { return false }
    return (try? SmallDisk(at: folder.path + "/disk", mebibytes: 1)) != nil
  }()

  init(at path: String, mebibytes: Int) throws {
    self.path = path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    try command("mount", "-t", "tmpfs", "-o", "size=\(mebibytes)m", "tmpfs", path)
  }

  deinit { _ = try? command("umount", "--lazy", path) }

  /// Takes every byte that is left, or so many mebibytes.
  func fill(mebibytes: Int? = nil) throws {
    let file = Glibc.open(path + "/filler", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    try #require(file >= 0)
    defer { close(file) }
    let zeros = [UInt8](repeating: 0, count: 1 << 20)
    if let mebibytes {
      for _ in 0..<mebibytes { try #require(write(file, zeros, zeros.count) == zeros.count) }
    } else {
      for byteCount in [1 << 20, 1 << 12, 1] { while write(file, zeros, byteCount) > 0 {} }
    }
  }

  func free() throws { try FileManager.default.removeItem(atPath: path + "/filler") }
}
