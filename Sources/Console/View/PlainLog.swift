import Foundation
import Runs
import Wire

/// The output without a terminal: one line per step, one per evaluation.
public struct PlainLog: Sendable {
  public var stepCount: UInt32
  private var history = MetricsHistory()

  public init(stepCount: UInt32) { self.stepCount = stepCount }

  /// The line of a row; the log remembers rows for the time left and for the accuracy at the start.
  public mutating func line(_ row: MetricsRow) -> String {
    history.append(row)
    let total = "\(stepCount)"
    let step = String(repeating: " ", count: max(0, total.count - "\(row.step)".count)) + "\(row.step)"
    var parts = ["step \(step)/\(total)"]
    switch row.kind {
    case .step:
      for name in ["reward", "accuracy", "entropy", "tau", "loss"] {
        if let value = row.values[name] { parts.append("\(name) \(Formatting.metric(value))") }
      }
      if let rate = row.values["tokens_per_second"] { parts.append("\(Formatting.count(rate)) tokens/s") }
      if let seconds = row.values["step_seconds"] { parts.append(String(format: "%.1f s", seconds)) }
      if let seconds = history.secondsPerStep(), row.step < stepCount {
        parts.append("\(Formatting.duration(seconds * Double(stepCount - row.step))) left")
      }
    case .evaluation:
      var text = ["accuracy", "loss"].compactMap { heldOut($0, row) }.joined(separator: ", ")
      if let prompts = row.values["heldout_prompts"] { text += " on \(Formatting.count(prompts)) prompts" }
      parts.append(text)
    }
    return parts.joined(separator: "  ")
  }

  private func heldOut(_ label: String, _ row: MetricsRow) -> String? {
    guard let now = row.values["heldout_\(label)"] else { return nil }
    var text = "held-out \(label) \(Formatting.metric(now))"
    if let start = history.firstEvaluation, start.step < row.step, let before = start.values["heldout_\(label)"] {
      text += " (\(Formatting.difference(now - before)) since step \(start.step))"
    }
    return text
  }
}
