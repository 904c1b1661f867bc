import Foundation
import Runs
import Testing
import Wire

/// The settings that change how samples are made and trained, each in a farm of real processes.
@Suite("Options of rollouts and of training", .serialized)
struct RolloutOptionTests {
  /// Rewards of a random model are all 0: the KL term and the decay make the weights depend on what was sampled.
  static let learning = [
    "algorithm.loss.kl_coefficient=1", "optimizer.weight_decay=0.1", "optimizer.learning_rate=0.01",
  ]

  /// Runs a farm to its end.
  private func run(_ settings: [String], steps: Int) async throws -> Farm {
    let farm = try Farm()
    let result = await (try farm.train(Self.learning + ["run.steps=\(steps)"] + settings)).wait(seconds: 90)
    #expect(result.exitCode == 0, "\(result)\n\(farm.diagnosis)")
    try farm.expectEachSampleOnce(steps: steps)
    return farm
  }

  @Test("Samples are stale, but never beyond the bound", .timeLimit(.minutes(2)), arguments: [1, 2])
  func staleness(max: Int) async throws {
    let farm = try await run(["rollout.max_staleness=\(max)"], steps: 16)
    let rows = try farm.steps
    let largest = try rows.map { try #require($0.values["staleness_max"]) }
    let means = try rows.map { try #require($0.values["staleness"]) }
    #expect(largest.allSatisfy { (0...Double(max)).contains($0) }, "\(largest)")
    #expect(zip(means, largest).allSatisfy { $0 <= $1 }, "\(means) \(largest)")
    // Workers sample ahead while the learner trains: some step is trained on what an older version sampled.
    #expect(largest.contains { $0 > 0 }, "no sample was stale: \(largest)")
  }

  @Test("Without staleness every sample is of the version that is trained", .timeLimit(.minutes(2)))
  func onPolicy() async throws {
    let farm = try await run([], steps: 6)
    #expect(try farm.steps.map { $0.values["staleness_max"] } == Array(repeating: 0, count: 6))
    #expect(try farm.steps.map { $0.values["logprob_mismatch_max"] } == Array(repeating: 0, count: 6))
    #expect(try farm.steps.allSatisfy { $0.values["importance"] == nil })
  }

  @Test("int8 rollouts are inexact, corrected by importance weights, and evaluated", .timeLimit(.minutes(2)))
  func int8() async throws {
    let farm = try await run(["rollout.precision=int8", "evaluation.every=2"], steps: 4)
    for row in try farm.steps {
      let mismatch = try #require(row.values["logprob_mismatch"])
      #expect(mismatch > 0, "step \(row.step)")
      #expect(mismatch < 1, "step \(row.step)")
      let largest = try #require(row.values["logprob_mismatch_max"])
      #expect(largest >= mismatch, "step \(row.step)")
      #expect(largest.isFinite, "step \(row.step)")
      // The default cap of inexact rollouts is 2.
      let weight = try #require(row.values["importance"])
      #expect((0.5...2).contains(weight), "step \(row.step)")
      #expect(row.values["loss"]?.isFinite == true, "step \(row.step)")
    }
    let evaluations = try farm.metrics.filter { $0.kind == .evaluation }
    #expect(evaluations.map(\.step) == [0, 2, 4])
    #expect(evaluations.allSatisfy { $0.values["heldout_prompts"] == 4 })
  }

  @Test("Gradient checkpointing gives the same weights, byte for byte", .timeLimit(.minutes(2)))
  func gradientCheckpointing() async throws {
    let plain = try await run(["optimizer.gradient_checkpointing=false"], steps: 6)
    let checkpointed = try await run(["optimizer.gradient_checkpointing=true"], steps: 6)
    #expect(try checkpointed.checksum(step: 6) == plain.checksum(step: 6))
    // The weights moved, so equal bytes say something.
    #expect(try plain.checksum(step: 6) != plain.checksum(step: 4))
  }
}
