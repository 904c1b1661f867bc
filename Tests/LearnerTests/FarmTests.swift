import Coordinator
import Foundation
import Learner
import Reinforcement
import Runs
import Settings
import Tensor
import Testing
import Wire

/// Master weights and both moments after `step` steps.
private func trained(_ directory: String, step: Int) -> [Data?] {
  ["master_weights", "adamw_first_moments", "adamw_second_moments"].map {
    FileManager.default.contents(atPath: "\(directory)/checkpoints/step-00000\(step)/\($0).safetensors")
  }
}

@Suite("A farm in one process", .serialized)
struct FarmTests {
  private let folder = TemporaryFolder()

  @Test("trains to its end; workers and learner agree on every log-probability to the bit")
  func runs() async throws {
    let farm = try TinyFarm(folder: folder)
    let outcome = try await farm.run(in: "\(folder.path)/run", workers: 1)
    #expect(outcome.coordinator == .completed)
    let steps = outcome.rows.filter { $0.kind == .step }
    #expect(steps.map(\.step) == [1, 2, 3, 4])
    #expect(steps.map(\.version.value) == [1, 2, 3, 4])
    #expect(steps.allSatisfy { $0.values["logprob_mismatch_max"] == 0 }, "\(steps.map { $0.values })")
    #expect(steps.last?.values["kl"] ?? 0 > 0)
    #expect(steps.last?.values["gradient_norm"] ?? 0 > 0)
    #expect(outcome.rows.filter { $0.kind == .evaluation }.map(\.step) == [0, 2, 4])
    try CheckpointFolder.verify("\(folder.path)/run/checkpoints/step-000004")
  }

  @Test("trains on int8 samples with importance weights, and gives the same bytes with one worker and with three")
  func inexact() async throws {
    var farm = try TinyFarm(folder: folder)
    farm.settings.rollout.precision = .int8
    farm.settings.algorithm.loss.importanceCap = 2
    let (one, three) = ("\(folder.path)/one", "\(folder.path)/three")
    let outcome = try await farm.run(in: one, workers: 1)
    for row in outcome.rows where row.kind == .step {
      let values = row.values
      let largest = try #require(values["logprob_mismatch_max"])
      #expect(largest > 0, "\(largest)")
      #expect(largest < 0.1, "\(largest)")
      let divergence = try #require(values["logprob_mismatch_kl"])
      #expect(divergence > 0)
      #expect(divergence < largest)
      // pi_old is the learner's own, not the worker's: then every weight would be 1
      let weight = try #require(values["importance"])
      #expect(weight != 1)
      #expect(abs(weight - 1) < 0.05)
    }
    _ = try await farm.run(in: three, workers: 3)
    #expect(trained(one, step: 4).allSatisfy { $0 != nil })
    #expect(trained(one, step: 4) == trained(three, step: 4))
  }

  @Test("gives the same bytes with one worker and with three, unbroken and resumed")
  func reproducible() async throws {
    let farm = try TinyFarm(folder: folder)
    let (one, three, broken) = ("\(folder.path)/one", "\(folder.path)/three", "\(folder.path)/broken")
    _ = try await farm.run(in: one, workers: 1)
    let expected = trained(one, step: 4)
    #expect(expected.allSatisfy { $0 != nil })

    _ = try await farm.run(in: three, workers: 3)
    #expect(trained(three, step: 4) == expected)

    let first = try await farm.run(in: broken, workers: 2, drainAfter: 1)
    #expect(first.coordinator == .drained)
    #expect(trained(broken, step: 4)[0] == nil)
    let second = try await farm.run(in: broken, workers: 1)
    #expect(second.coordinator == .completed)
    #expect(second.rows.first { $0.kind == .step }?.step ?? 0 > 1, "it goes on, not back")
    #expect(trained(broken, step: 4) == expected)
  }
}
