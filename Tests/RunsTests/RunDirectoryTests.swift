import Foundation
import Runs
import Support
import Testing
import Wire

/// A folder that goes away with the test.
private final class TemporaryFolder {
  let path = NSTemporaryDirectory() + "fovea-runs-\(UUID().uuidString)"
  init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
  deinit { try? FileManager.default.removeItem(atPath: path) }
}

private func row(_ kind: MetricsRow.Kind, _ step: UInt32, _ values: [String: Double] = [:]) -> MetricsRow {
  MetricsRow(kind: kind, step: step, version: PolicyVersion(UInt64(step)), values: values)
}

private func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

@Suite struct MetricsFileTests {
  @Test("A row is one line of JSON")
  func aRowIsOneLineOfJSON() throws {
    let folder = try TemporaryFolder()
    let file = try MetricsFile(path: folder.path + "/metrics.jsonl")
    try file.append(row(.evaluation, 0, ["heldout_accuracy": 0.25]))
    try file.append(row(.step, 1, ["reward": 0.1, "samples": 64, "loss": -1e-9, "kl": .nan]))
    #expect(
      try text(file.path) == """
        {"kind":"evaluation","step":0,"version":0,"heldout_accuracy":0.25}
        {"kind":"step","step":1,"version":1,"kl":null,"loss":-1e-09,"reward":0.1,"samples":64}

        """)
  }

  @Test("Rows are read back as they were")
  func rowsAreReadBackAsTheyWere() throws {
    let folder = try TemporaryFolder()
    let rows = [row(.evaluation, 0, ["a": 0.1]), row(.step, 1, ["b": 1e300]), row(.step, 2, ["c": -3])]
    let file = try MetricsFile(path: folder.path + "/metrics.jsonl")
    for row in rows { try file.append(row) }
    #expect(try MetricsFile(path: file.path).rows() == rows)
  }

  @Test("A step that is done again cuts what came after it")
  func aStepDoneAgainCutsWhatCameAfter() throws {
    let folder = try TemporaryFolder()
    let file = try MetricsFile(path: folder.path + "/metrics.jsonl")
    try file.append(row(.evaluation, 0))
    for step in 1...4 { try file.append(row(.step, UInt32(step), ["reward": 0])) }
    try file.append(row(.evaluation, 4))
    try file.append(row(.step, 3, ["reward": 1]))
    try file.append(row(.step, 4, ["reward": 1]))
    #expect(
      try file.rows() == [
        row(.evaluation, 0), row(.step, 1, ["reward": 0]), row(.step, 2, ["reward": 0]), row(.step, 3, ["reward": 1]),
        row(.step, 4, ["reward": 1]),
      ])
  }

  @Test("An evaluation that is done again replaces only the one before")
  func anEvaluationDoneAgainReplacesOnlyTheOneBefore() throws {
    let folder = try TemporaryFolder()
    let file = try MetricsFile(path: folder.path + "/metrics.jsonl")
    try file.append(row(.step, 1))
    try file.append(row(.evaluation, 1, ["a": 1]))
    try file.append(row(.evaluation, 1, ["a": 2]))
    #expect(try file.rows() == [row(.step, 1), row(.evaluation, 1, ["a": 2])])
  }

  @Test("A resumed run continues after the step of its checkpoint")
  func aResumedRunContinuesAfterTheStepOfItsCheckpoint() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/metrics.jsonl"
    do {
      let file = try MetricsFile(path: path)
      for step in 1...5 { try file.append(row(.step, UInt32(step))) }
    }
    let file = try MetricsFile(path: path)
    try file.cut(after: 3)
    try file.append(row(.step, 4))
    #expect(try file.rows().map(\.step) == [1, 2, 3, 4])
  }

  @Test("A torn last line is cut")
  func aTornLastLineIsCut() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/metrics.jsonl"
    let whole = #"{"kind":"step","step":1,"version":1}"# + "\n"
    try (whole + #"{"kind":"step","st"#).write(toFile: path, atomically: true, encoding: .utf8)
    let file = try MetricsFile(path: path)
    try file.append(row(.step, 2))
    #expect(try file.rows().map(\.step) == [1, 2])
  }

  @Test("A line that is no row is named")
  func aLineThatIsNoRowIsNamed() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/metrics.jsonl"
    try "{\"kind\":\"step\",\"step\":1,\"version\":1}\n{\"kind\":\"stop\"}\n"
      .write(toFile: path, atomically: true, encoding: .utf8)
    let error = #expect(throws: InputError.self) { try MetricsFile(path: path) }
    #expect(error?.place == "\(path), line 2")
  }
}

@Suite struct RunDirectoryTests {
  private func create(_ folder: TemporaryFolder, at path: String? = nil) throws -> RunDirectory {
    try RunDirectory.create(
      name: "arithmetic-1", under: folder.path + "/runs", at: path, settings: "run:\n  seed: 1\n", version: "1.0",
      command: ["fovea", "train"], started: "2026-01-01T00:00:00Z")
  }

  @Test("A run never writes into another's folder")
  func aRunNeverWritesIntoAnothersFolder() throws {
    let folder = try TemporaryFolder()
    let names = try (0..<3).map { _ in try create(folder).runID }
    #expect(names == ["arithmetic-1", "arithmetic-1-2", "arithmetic-1-3"])
  }

  @Test("A folder that exists is refused")
  func aFolderThatIsThereIsRefused() throws {
    let folder = try TemporaryFolder()
    #expect(throws: InputError.self) { try create(folder, at: folder.path) }
  }

  @Test("A person finds settings and history")
  func aPersonFindsSettingsAndHistory() throws {
    let folder = try TemporaryFolder()
    let directory = try create(folder, at: folder.path + "/deep/er/run/")
    #expect(directory.runID == "run")
    #expect(try text(directory.settingsPath) == "run:\n  seed: 1\n")
    let record = try text(directory.path + "/run.json")
    #expect(record.contains("\"run_id\""))
    #expect(record.contains("2026-01-01T00:00:00Z"))
    #expect(FileManager.default.fileExists(atPath: directory.checkpoints.path))
  }

  @Test("A run that is still active cannot be resumed")
  func aRunThatStillGoesOnCannotBeResumed() throws {
    let folder = try TemporaryFolder()
    let path: String
    do {
      let directory = try create(folder)
      path = directory.path
      let error = #expect(throws: InputError.self) {
        try RunDirectory.resume(path, version: "1.0", command: [], resumed: "")
      }
      #expect(error?.found == "one that is still active")
    }
    let resumed = try RunDirectory.resume(path, version: "1.0", command: [], resumed: "2026-01-02T00:00:00Z")
    let record = try text(resumed.path + "/run.json")
    #expect(record.contains("2026-01-01T00:00:00Z"))
    #expect(record.contains("2026-01-02T00:00:00Z"))
  }

  @Test("A folder that is no run cannot be resumed")
  func aFolderThatIsNoRunCannotBeResumed() throws {
    let folder = try TemporaryFolder()
    for path in [folder.path, folder.path + "/nothing"] {
      #expect(throws: InputError.self) { try RunDirectory.resume(path, version: "1.0", command: [], resumed: "") }
    }
  }
}
