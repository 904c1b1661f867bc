import Foundation
import Glibc
import Runs
import Support
import Testing
import Wire

/// `farm.stragglers` with real processes: one of two workers is made slow by signals.
@Suite("Stragglers in a farm of processes", .serialized)
struct StragglerFarmTests {
  private static let slow = "worker-1"
  /// Samples end at different moments: a worker decodes two of a group's samples at a time.
  private static let settings =
    RolloutOptionTests.learning + [
      "rollout.slots=2", "rollout.sampling.max_new_tokens=32", "farm.straggler_after=3",
    ]

  @Test("A group of a hung worker is hedged, and the weights are those of an undisturbed run", .timeLimit(.minutes(3)))
  func hedge() async throws {
    let settings = Self.settings + ["run.steps=30"]
    let farm = try Farm()
    // The hung worker is not to be lost: then its lease would be given out again, and nothing hedged.
    let train = try farm.train(settings + ["farm.stragglers=hedge", "farm.heartbeats_missed_max=1000"])
    #expect(try await holds(within: 60) { try farm.steps.count >= 2 }, "\(farm.diagnosis)")
    let worker = try #require(farm.processes[Self.slow])
    while train.isRunning, try farm.last("hedged") == 0 {
      let done = try farm.steps.count
      kill(worker, SIGSTOP)
      // Without a lease the worker delays nobody; with one the next step is there when the group is hedged.
      _ = try await holds(within: 20) { try farm.steps.count >= done + 2 }
      kill(worker, SIGCONT)
      try await Task.sleep(for: .milliseconds(100))
    }
    let result = await train.wait(seconds: 90)
    #expect(result.exitCode == 0, "\(result)\n\(farm.diagnosis)")
    #expect(try farm.last("hedged") >= 1, "\(farm.diagnosis)")
    #expect(try farm.last("workers_lost") == 0, "\(farm.diagnosis)")
    try farm.expectEachSampleOnce(steps: 30)

    let undisturbed = try Farm()
    let whole = await (try undisturbed.train(settings)).wait(seconds: 90)
    #expect(whole.exitCode == 0, "\(whole)\n\(undisturbed.diagnosis)")
    #expect(try undisturbed.last("hedged") == 0)
    #expect(try farm.checksum(step: 30) == undisturbed.checksum(step: 30))
  }

  /// Whether a worker is asked before it has finished depends on the machine's speed, so `make faults` runs it.
  @Test(
    "A partial group of a slow worker is trained",
    .enabled(if: ProcessInfo.processInfo.environment["FOVEA_FAULTS"] == "all", "make faults"), .timeLimit(.minutes(3)))
  func partialGroup() async throws {
    let (steps, groupSize, sizeMin) = (100, 8, 3)
    let farm = try Farm()
    let train = try farm.train(
      Self.settings + [
        "run.steps=\(steps)", "rollout.group_size=\(groupSize)", "farm.stragglers=partial",
        "farm.partial_group_min=\(sizeMin)",
      ])
    #expect(try await holds(within: 60) { try farm.steps.count >= 2 }, "\(farm.diagnosis)")
    let worker = try #require(farm.processes[Self.slow])
    let whole = Double(Farm.promptsPerStep * groupSize)
    // A fiftieth of its speed, and still heard from within the 600 ms after which it would be lost.
    while train.isRunning, try farm.steps.allSatisfy({ $0.values["samples"] == whole }) {
      kill(worker, SIGSTOP)
      try await Task.sleep(for: .milliseconds(400))
      kill(worker, SIGCONT)
      try await Task.sleep(for: .milliseconds(8))
    }
    let result = await train.wait(seconds: 120)
    #expect(result.exitCode == 0, "\(result)\n\(farm.diagnosis)")
    #expect(try farm.last("partial_groups") >= 1, "\(farm.diagnosis)")

    let rows = try farm.steps
    #expect(rows.map(\.step) == (1...UInt32(steps)).map { $0 })
    let samples = try rows.map { try #require($0.values["samples"]) }
    // A slow worker may still finish its last samples before it is asked: which ones it has depends on timing.
    withKnownIssue("every partial group was whole", isIntermittent: true) {
      #expect(samples.contains { $0 < whole }, "\(samples)")
    }
    let least = Double(Farm.promptsPerStep * sizeMin)
    #expect(samples.allSatisfy { (least...whole).contains($0) }, "\(samples)")
    #expect(rows.allSatisfy { $0.values["groups"] == Double(Farm.promptsPerStep) })
    #expect(rows.allSatisfy { $0.values["loss"]?.isFinite == true })
    #expect(try farm.last("samples_total") == samples.reduce(0, +))
  }
}

extension Farm {
  /// A value of the newest step's row.
  fileprivate func last(_ name: String) throws -> Double { try #require(steps.last?.values[name], "no \(name)") }
}
