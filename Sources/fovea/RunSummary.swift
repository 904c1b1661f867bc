import Console
import Coordinator
import Foundation
import Learner
import Wire

/// What a person wants to know when a run has ended: what came of it, where it is, and what to try next.
struct RunSummary {
  let lines: [String]

  /// - Parameter next: the command to try next; nil is a farm's.
  init(
    directory: RunDirectory, history: MetricsHistory, status: FarmStatus?, outcome: CoordinatorOutcome,
    next: String? = nil
  ) {
    var lines = [""]
    let steps = history.lastStep?.step ?? 0
    let samples = history.newest("samples_total").map { ", \(Int($0)) samples" } ?? ""
    let time = status.map { ", \(Formatting.duration($0.secondsElapsed))" } ?? ""
    lines.append("\(outcome == .completed ? "finished" : "stopped"): \(steps) steps\(samples)\(time)")
    for name in ["accuracy", "loss"] {
      guard let first = history.firstEvaluation?.values["heldout_\(name)"],
        let last = history.lastEvaluation?.values["heldout_\(name)"]
      else { continue }
      lines.append(
        "held-out \(name): \(Formatting.metric(first)) at the start, \(Formatting.metric(last)) at the end "
          + "(\(Formatting.difference(last - first)))")
    }
    for prompt in status?.quarantined ?? [] { lines.append("quarantined: \(prompt)") }
    if let largest = history.newest("logprob_mismatch_max"), largest > 0,
      let mean = history.newest("logprob_mismatch"), let divergence = history.newest("logprob_mismatch_kl")
    {
      lines.append(
        "inexact rollouts, last step: log-probabilities \(Formatting.metric(mean)) from the learner's on average, "
          + "\(Formatting.metric(largest)) at most, KL \(Formatting.metric(divergence))")
    }
    let store = CheckpointStore(folder: directory.checkpointsPath, keep: 1)
    lines.append("run directory: \(directory.path)")
    if let step = store.steps.last {
      lines.append("checkpoint: \(store.path(step: step))")
      let farm =
        outcome == .completed
        ? "fovea generate --model \(store.path(step: step)) --prompt \"...\""
        : "fovea train --resume \(directory.path)"
      lines.append("next: \(next ?? farm)")
    }
    self.lines = lines
  }
}
