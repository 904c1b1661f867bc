import Console
import Coordinator
import Core
import Foundation
import Learner
import Wire

/// What a person wants to know when a run has ended: what came of it, where it is, and what to try next.
struct RunSummary {
  let lines: [String]

  init(directory: RunDirectory, history: MetricsHistory, status: FarmStatus?, outcome: CoordinatorOutcome) {
    var lines = [""]
    let steps = history.lastStep?.step ?? 0
    let samples = history.newest("samples_total").map { ", \(Int($0)) samples" } ?? ""
    let time = status.map { ", \(Formatting.duration($0.secondsElapsed))" } ?? ""
    lines.append("\(outcome == .completed ? "finished" : "stopped"): \(steps) steps\(samples)\(time)")
    if let first = history.firstEvaluation?.values["heldout_accuracy"],
      let last = history.lastEvaluation?.values["heldout_accuracy"]
    {
      lines.append(
        "held-out accuracy: \(Formatting.metric(first)) at the start, \(Formatting.metric(last)) at the end "
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
      lines.append(
        outcome == .completed
          ? "next: fovea generate --model \(store.path(step: step)) --prompt \"...\""
          : "next: fovea train --resume \(directory.path)")
    }
    self.lines = lines
  }
}
