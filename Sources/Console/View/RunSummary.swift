import Runs
import Wire

/// The summary of a run that has ended: its results, its folder, and what to do next.
public struct RunSummary: Sendable {
  public let lines: [String]

  /// - Parameters:
  ///   - quarantined: prompts that failed too often, and why; one line each.
  ///   - isComplete: whether every step was done.
  ///   - next: the command to try next, given the newest checkpoint.
  public init(
    directory: RunDirectory, history: MetricsHistory, progress: RunProgress?, quarantined: [String] = [],
    isComplete: Bool, next: (_ checkpoint: String) -> String
  ) {
    var lines = [""]
    let steps = history.lastStep?.step ?? 0
    let samples = history.newest("samples_total").map { ", \(Int($0)) samples" } ?? ""
    let time = progress.map { ", \(Formatting.duration($0.secondsElapsed))" } ?? ""
    lines.append("\(isComplete ? "finished" : "stopped"): \(steps) steps\(samples)\(time)")
    for name in ["accuracy", "loss"] {
      guard let first = history.firstEvaluation?.values["heldout_\(name)"],
        let last = history.lastEvaluation?.values["heldout_\(name)"]
      else { continue }
      lines.append(
        "held-out \(name): \(Formatting.metric(first)) at the start, \(Formatting.metric(last)) at the end "
          + "(\(Formatting.difference(last - first)))")
    }
    for prompt in quarantined { lines.append("quarantined: \(prompt)") }
    if let largest = history.newest("logprob_mismatch_max"), largest > 0,
      let mean = history.newest("logprob_mismatch"), let divergence = history.newest("logprob_mismatch_kl")
    {
      lines.append(
        "inexact rollouts, last step: log-probabilities \(Formatting.metric(mean)) from the learner's on average, "
          + "\(Formatting.metric(largest)) at most, KL \(Formatting.metric(divergence))")
    }
    lines.append("run directory: \(directory.path)")
    if let step = directory.checkpoints.steps.last {
      let checkpoint = directory.checkpoints.path(step: step)
      lines += ["checkpoint: \(checkpoint)", "next: \(next(checkpoint))"]
    }
    self.lines = lines
  }
}
