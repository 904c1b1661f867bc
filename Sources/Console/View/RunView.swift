import Foundation
import Runs
import Wire

/// The live view of any run: a pure function from its progress and its curves to lines.
///
/// A farm adds its peers below (`FarmView`); a stage of supervised training has none.
public struct RunView: Sendable {
  /// Columns of the terminal.
  public var width: Int

  public init(width: Int) { self.width = max(20, width) }

  /// Title, progress bar, metrics and held-out measurements.
  /// - Parameter newest: the newest value of each metric, for what the history does not have.
  public func lines(
    _ progress: RunProgress, _ history: MetricsHistory, newest: [String: Double] = [:]
  ) -> [StyledLine] {
    var lines = [title(progress), bar(progress, history)]
    lines += metrics(newest, history)
    if let line = mismatch(newest, history) { lines.append(line) }
    for (name, isBetterBelow) in [("accuracy", false), ("loss", true)] {
      if let line = heldOut(name, isBetterBelow: isBetterBelow, newest, history) { lines.append(line) }
    }
    return lines
  }

  private func title(_ progress: RunProgress) -> StyledLine {
    var line = StyledLine(progress.runID, .title)
    line.add(" · step \(progress.step)/\(progress.stepCount)")
    if let version = progress.version { line.add(" · policy \(version)") }
    line.add(" · ")
    line.add(progress.phase, progress.phase == "finished" ? .good : .accent)
    if let count = progress.count { line.add(" \(count.done)/\(count.wanted) \(count.unit.rawValue)") }
    return line
  }

  private func bar(_ progress: RunProgress, _ history: MetricsHistory) -> StyledLine {
    let stepsLeft = Double(max(1, progress.stepCount)) - progress.stepsDone
    let percent = String(format: "%3.0f%%", (progress.share * 100).rounded(.down))
    var tail = " \(percent)  \(Formatting.duration(progress.secondsElapsed)) elapsed"
    if !progress.hasEnded {
      let left = history.secondsPerStep().map { ($0 * stepsLeft).rounded() }
      tail += ", \(Formatting.duration(left)) left"
    }
    let bar = min(40, width - tail.columns)
    var line = StyledLine()
    if bar >= 8 {
      let filled = Int((progress.share * Double(bar)).rounded(.down))
      line.add(String(repeating: "█", count: filled), .good)
      line.add(String(repeating: "░", count: bar - filled), .faint)
    }
    line.add(tail)
    return line
  }

  private static let shown = [
    ("reward", "reward"), ("accuracy", "accuracy"), ("entropy", "entropy"), ("tau", "tau"), ("loss", "loss"),
    ("tokens/s", "tokens_per_second"),
  ]

  private func metrics(_ newest: [String: Double], _ history: MetricsHistory) -> [StyledLine] {
    let cells: [StyledLine] = Self.shown.compactMap { label, name in
      guard let value = history.newest(name) ?? newest[name] else { return nil }
      var cell = StyledLine()
      cell.add(label, .faint, width: 9)
      cell.add(name == "tokens_per_second" ? Formatting.count(value) : Formatting.metric(value), width: 8, right: true)
      cell.add("  ")
      cell.add(Sparkline.text(history.series(name), width: 16), .accent, width: 16)
      return cell
    }
    let cellWidth = 9 + 8 + 2 + 16 + 3
    let columns = width >= 2 * cellWidth ? 2 : 1
    return stride(from: 0, to: cells.count, by: columns).map { first in
      var line = StyledLine()
      for index in first..<min(first + columns, cells.count) {
        if index > first { line.add("   ") }
        line.add(cells[index])
      }
      return line
    }
  }

  /// Only where rollouts are inexact: how far the workers' log-probabilities were from the learner's.
  private func mismatch(_ newest: [String: Double], _ history: MetricsHistory) -> StyledLine? {
    func value(_ name: String) -> Double? { history.newest(name) ?? newest[name] }
    guard let largest = value("logprob_mismatch_max"), largest > 0, let mean = value("logprob_mismatch") else {
      return nil
    }
    var line = StyledLine("log-probability mismatch  ", .faint)
    line.add("\(Formatting.metric(mean)) mean, \(Formatting.metric(largest)) largest")
    if let divergence = value("logprob_mismatch_kl") { line.add(", KL \(Formatting.metric(divergence))") }
    if let weight = value("importance") { line.add(", importance \(Formatting.metric(weight))") }
    return line
  }

  private func heldOut(
    _ label: String, isBetterBelow: Bool, _ newest: [String: Double], _ history: MetricsHistory
  ) -> StyledLine? {
    let name = "heldout_\(label)"
    guard let now = history.lastEvaluation?.values[name] ?? newest[name] else { return nil }
    let start = history.firstEvaluation?.values[name] ?? newest[name + "_start"] ?? now
    let isBetter = isBetterBelow ? now < start : now > start
    var line = StyledLine("held-out \(label)  ", .faint)
    line.add("\(Formatting.metric(start)) at start, \(Formatting.metric(now)) now  ")
    line.add(Formatting.difference(now - start), now == start ? .plain : isBetter ? .good : .bad)
    return line
  }
}
