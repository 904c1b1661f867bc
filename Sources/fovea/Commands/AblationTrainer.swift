import Console
import Evaluation
import Experiments
import Foundation
import Glibc
import Layers
import Settings

/// Trains and evaluates the runs of an ablation, for a person at a terminal.
struct AblationTrainer: AblationHost {
  let config: String
  /// The model that all runs start from, when `--from` named one.
  let start: String?
  /// What all runs share.
  let settings: RunSettings
  let evaluationSet: EvaluationSet
  let host: ProcessHost

  func train(_ run: AblationFolder.Run, isBegun: Bool) async throws -> Int32 {
    let words =
      isBegun
      ? ["--resume", run.path]
      : ["--config", config, "--run-directory", run.path] + (start.map { ["--from", $0] } ?? []) + run.plan.overrides
    let plan = try TrainPlan(ParsedArguments(words, for: TrainCommand.specification))
    let code = try await TrainRun(plan: plan, host: host).run()
    // What it printed comes before what the ablation shows.
    fflush(nil)
    return code.rawValue
  }

  func evaluate(_ model: String, name: String) throws -> [Figure] {
    let line = ProgressLine()
    defer { line.clear() }
    let evaluated = try LocalModel(
      path: model, precision: settings.model.precision,
      pool: ThreadPool(threads: ProcessInfo.processInfo.activeProcessorCount), slots: settings.rollout.slots)
    return try evaluated.answers(evaluationSet) { line.show("\(name): \($0)/\(evaluationSet.count) prompts") }.figures
  }

  var isInterrupted: Bool { host.isInterrupted }

  func show(_ lines: [String]) { TerminalOutput().write(lines.joined(separator: "\n") + "\n") }

  func complain(_ line: String) { Program.complain(line) }
}
