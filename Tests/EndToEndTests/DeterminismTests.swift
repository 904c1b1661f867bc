import Foundation
import Glibc
import Testing
import Wire

/// The determinism contract: equal settings and seed give equal weights, as bytes, however many workers there are, and
/// whoever is killed.
///
/// `make test` runs a few cells; `make determinism` the whole matrix (FOVEA_DETERMINISM=all), for the tiny model and,
/// with few steps, for the default one.
@Suite(.serialized) struct DeterminismTests {
  enum Fault: String, CaseIterable, Sendable {
    case none
    case worker
    case learner
    case coordinator
    /// Every process at once, and the run resumed.
    case all
  }

  struct Cell: CustomStringConvertible, Sendable {
    var workers: Int
    var fault: Fault
    var description: String { "\(workers) workers, killed: \(fault.rawValue)" }
  }

  private static let isWhole = ProcessInfo.processInfo.environment["FOVEA_DETERMINISM"] == "all"

  static let tinyCells: [Cell] =
    isWhole
    ? [1, 2, 4].flatMap { workers in Fault.allCases.map { Cell(workers: workers, fault: $0) } }
    : [
      Cell(workers: 1, fault: .none), Cell(workers: 2, fault: .coordinator), Cell(workers: 2, fault: .learner),
      Cell(workers: 4, fault: .all),
    ]

  @Test("The tiny model's weights are the same bytes in every cell", .timeLimit(.minutes(15)))
  func tiny() async throws {
    // Rewards of a random model are all 0; decay and the KL term make every gradient depend on what was sampled.
    let settings = [
      "run.steps=30", "checkpoint.every=4", "algorithm.loss.kl_coefficient=1", "optimizer.weight_decay=0.1",
      "optimizer.learning_rate=0.01",
    ]
    let weights = try await self.weights(Self.tinyCells, settings, steps: 30)
    #expect(Set(weights.values).count == 1, "\(weights.sorted { $0.key < $1.key })")
    // It is the samples that are compared: another seed gives other weights.
    let other = try await self.weights([Cell(workers: 2, fault: .none)], settings + ["run.seed=2"], steps: 30)
    #expect(weights.values.first != other.values.first)
  }

  @Test("The default model's weights, too", .enabled(if: isWhole), .timeLimit(.minutes(60)))
  func small() async throws {
    let path =
      URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().path + "/models/SmolLM2-135M-Instruct.Q4_1.gguf"
    let settings = [
      "run.steps=4", "checkpoint.every=1", "model.path=\(path)", "rollout.sampling.max_new_tokens=24",
      "evaluation.prompts=2", "algorithm.loss.kl_coefficient=0.1", "optimizer.weight_decay=0.01",
      "optimizer.learning_rate=1e-4",
    ]
    let cells = [Cell(workers: 1, fault: .none)] + Fault.allCases.map { Cell(workers: 2, fault: $0) }
    let weights = try await self.weights(cells, settings, steps: 4)
    #expect(Set(weights.values).count == 1, "\(weights.sorted { $0.key < $1.key })")
  }

  /// Runs a farm for each cell.
  /// - Returns: the checksum of each one's final weights.
  private func weights(_ cells: [Cell], _ settings: [String], steps: Int) async throws -> [String: String] {
    var weights: [String: String] = [:]
    for (index, cell) in cells.enumerated() {
      let farm = try Farm()
      let train = try farm.train(settings + ["farm.workers=\(cell.workers)"])
      // At another step in each cell.
      let moment = 1 + index % max(1, steps / 3)
      let result = try await end(train, of: farm, cell.fault, after: moment)
      #expect(result.exitCode == 0, "\(cell): \(result)\n\(farm.diagnosis)")
      #expect(try farm.steps.map(\.step) == Array(1...UInt32(steps)), "\(cell)")
      weights["\(cell)"] = try farm.checksum(step: steps)
      if Self.isWhole { print("\(cell): sha256 \(weights["\(cell)"] ?? "")") }
    }
    return weights
  }

  private func end(
    _ train: FoveaProcess, of farm: Farm, _ fault: Fault, after moment: Int
  ) async throws -> FoveaProcess.Result {
    guard fault != .none else { return await train.wait(seconds: 600) }
    #expect(try await holds(within: 300) { try farm.steps.count >= moment }, "\(farm.diagnosis)")
    if fault == .all {
      let processes = farm.processes
      train.send(SIGKILL)
      #expect(await holds(within: 10) { !processes.values.contains(where: isAlive) })
      return await (try farm.resume()).wait(seconds: 600)
    }
    let name = fault == .worker ? "worker-0" : fault.rawValue
    kill(try #require(farm.processes[name]), SIGKILL)
    let result = await train.wait(seconds: 600)
    #expect(result.output.contains("\(name) was killed (signal 9); it is started again"), "\(result)")
    return result
  }
}
