import Console
import Foundation
import Runs
import Support
import Testing
import Wire

@Suite("The summary of a run")
struct RunSummaryTests {
  private func row(_ kind: MetricsRow.Kind, _ step: UInt32, _ values: [String: Double]) -> MetricsRow {
    MetricsRow(kind: kind, step: step, version: PolicyVersion(UInt64(step)), values: values)
  }

  @Test("says what came of it, where it is, and what to do next")
  func lines() throws {
    let path = NSTemporaryDirectory() + "fovea-summary-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: path) }
    let directory = RunDirectory.at(path)
    var history = MetricsHistory()
    history.append(row(.evaluation, 0, ["heldout_accuracy": 0.25]))
    history.append(row(.step, 1, ["samples_total": 8]))
    history.append(row(.evaluation, 1, ["heldout_accuracy": 0.5]))
    let progress = RunProgress(runID: "r", phase: "stopped", step: 1, stepCount: 2, secondsElapsed: 61, hasEnded: true)
    func lines() -> [String] {
      RunSummary(
        directory: directory, history: history, progress: progress, quarantined: ["prompt 3"], isComplete: false,
        next: { "next to \($0)" }
      ).lines
    }
    let expected = [
      "", "stopped: 1 steps, 8 samples, 1:01", "held-out accuracy: 0.250 at the start, 0.500 at the end (+0.250)",
      "quarantined: prompt 3", "run directory: \(path)",
    ]
    #expect(lines() == expected)
    try Files.makeFolder(directory.checkpoints.path(step: 1))
    let checkpoint = "\(path)/checkpoints/step-000001"
    #expect(lines() == expected + ["checkpoint: \(checkpoint)", "next: next to \(checkpoint)"])
  }
}
