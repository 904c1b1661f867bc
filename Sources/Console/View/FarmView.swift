import Foundation
import Wire

/// The live picture of a farm: a pure function from its status to lines, so that tests compare it as text.
public struct FarmView: Sendable {
  /// Columns of the terminal.
  public var width: Int

  public init(width: Int) { self.width = max(20, width) }

  /// The frame: title, progress, metrics, peers, and who waits for whom.
  public func lines(_ status: FarmStatus, _ history: MetricsHistory) -> [StyledLine] {
    var lines = [title(status), progress(status, history)]
    lines += metrics(status, history)
    if let line = mismatch(status, history) { lines.append(line) }
    for (name, isBetterBelow) in [("accuracy", false), ("loss", true)] {
      if let line = heldOut(name, isBetterBelow: isBetterBelow, status, history) { lines.append(line) }
    }
    if !status.peers.isEmpty { lines += [StyledLine()] + peers(status) }
    if !status.waits.isEmpty { lines += [StyledLine()] + waits(status) }
    if let last = status.quarantined.last {
      lines += [StyledLine("\(status.quarantined.count) quarantined, the last: \(last)", .warning)]
    }
    return lines
  }

  private func title(_ status: FarmStatus) -> StyledLine {
    var line = StyledLine(status.runID, .title)
    line.add(" · step \(status.step)/\(status.stepCount)")
    if let version = status.version { line.add(" · policy \(version)") }
    line.add(" · ")
    line.add(status.phase, status.phase == "finished" ? .good : .accent)
    if status.groupsWanted > 0 {
      line.add(" \(status.groupsDone)/\(status.groupsWanted) \(status.phase == "evaluating" ? "prompts" : "groups")")
    }
    return line
  }

  private func progress(_ status: FarmStatus, _ history: MetricsHistory) -> StyledLine {
    let total = Double(max(1, status.stepCount))
    let isCounted = status.groupsWanted > 0 && status.phase != "evaluating"
    let open = isCounted ? Double(status.groupsDone) / Double(status.groupsWanted) : 0
    let finished = status.phase == "finished"
    let done = finished ? Double(status.step) : Double(max(1, status.step) - 1) + min(1, open) * 0.9
    let share = min(1, max(0, done / total))
    let left = finished ? nil : history.secondsPerStep().map { ($0 * (total - done)).rounded() }
    let percent = String(format: "%3.0f%%", (share * 100).rounded(.down))
    var tail = " \(percent)  \(Formatting.duration(status.secondsElapsed)) elapsed"
    if !finished { tail += ", \(Formatting.duration(left)) left" }
    let bar = min(40, width - tail.columns)
    var line = StyledLine()
    if bar >= 8 {
      let filled = Int((share * Double(bar)).rounded(.down))
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

  private func metrics(_ status: FarmStatus, _ history: MetricsHistory) -> [StyledLine] {
    let cells: [StyledLine] = Self.shown.compactMap { label, name in
      guard let value = history.newest(name) ?? status.metrics[name] else { return nil }
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
  private func mismatch(_ status: FarmStatus, _ history: MetricsHistory) -> StyledLine? {
    func newest(_ name: String) -> Double? { history.newest(name) ?? status.metrics[name] }
    guard let largest = newest("logprob_mismatch_max"), largest > 0, let mean = newest("logprob_mismatch") else {
      return nil
    }
    var line = StyledLine("log-probability mismatch  ", .faint)
    line.add("\(Formatting.metric(mean)) mean, \(Formatting.metric(largest)) largest")
    if let divergence = newest("logprob_mismatch_kl") { line.add(", KL \(Formatting.metric(divergence))") }
    if let weight = newest("importance") { line.add(", importance \(Formatting.metric(weight))") }
    return line
  }

  private func heldOut(
    _ label: String, isBetterBelow: Bool, _ status: FarmStatus, _ history: MetricsHistory
  ) -> StyledLine? {
    let name = "heldout_\(label)"
    guard let now = history.lastEvaluation?.values[name] ?? status.metrics[name] else { return nil }
    let start = history.firstEvaluation?.values[name] ?? status.metrics[name + "_start"] ?? now
    let isBetter = isBetterBelow ? now < start : now > start
    var line = StyledLine("held-out \(label)  ", .faint)
    line.add("\(Formatting.metric(start)) at start, \(Formatting.metric(now)) now  ")
    line.add(Formatting.difference(now - start), now == start ? .plain : isBetter ? .good : .bad)
    return line
  }

  /// Columns of the figures behind a peer's name and state.
  private static let figuresWidth = 8 + 8 + 8 + 5 + 11

  private func peers(_ status: FarmStatus) -> [StyledLine] {
    let nameWidth = min(20, max(8, status.peers.map(\.name.columns).max() ?? 8)) + 2
    // As wide as the terminal lets it be, whatever the states are now, so that columns stand still.
    let stateWidth = min(30, max(14, width - nameWidth - Self.figuresWidth))
    var head = StyledLine()
    for (text, width, right) in [
      ("peer", nameWidth, false), ("state", stateWidth, false), ("tokens/s", 8, true), ("groups", 8, true),
      ("policy", 8, true), ("lag", 5, true), ("heartbeat", 11, true),
    ] {
      head.add(text, .faint, width: width, right: right)
    }
    return [head]
      + status.peers.map { peer in
        let isWorker = peer.role == .worker
        let lag = zip(status.version, peer.policyVersion).map { $0.value &- min($0.value, $1.value) }
        let late = peer.heartbeatAgeMilliseconds >= 1500
        var line = StyledLine()
        line.add(peer.name, width: nameWidth)
        line.add(peer.state, Self.style(ofState: peer.state), width: stateWidth)
        line.add(isWorker ? Formatting.count(Double(peer.tokensPerSecond)) : "", width: 8, right: true)
        line.add(isWorker ? "\(peer.groupsDone)" : "", width: 8, right: true)
        line.add(peer.policyVersion.map { "\($0)" } ?? "-", width: 8, right: true)
        line.add(isWorker ? lag.map { "\($0)" } ?? "-" : "", (lag ?? 0) > 1 ? .warning : .plain, width: 5, right: true)
        let age = Formatting.age(milliseconds: peer.heartbeatAgeMilliseconds)
        line.add(age, late ? .warning : .plain, width: 11, right: true)
        return line
      }
  }

  private static func style(ofState state: String) -> StyledLine.Style {
    if state.hasPrefix("silent") || state.hasPrefix("lost") { return .bad }
    if state.hasPrefix("joining") || state.hasPrefix("draining") { return .warning }
    return state.hasPrefix("idle") ? .faint : .good
  }

  private func waits(_ status: FarmStatus) -> [StyledLine] {
    let shown = 6
    var lines = status.waits.prefix(shown).map { wait in
      var line = StyledLine("waits  ", .faint)
      line.add(wait)
      return line
    }
    if status.waits.count > shown { lines.append(StyledLine("       and \(status.waits.count - shown) more", .faint)) }
    return lines
  }
}

/// Both values, or nil when one is missing.
private func zip<A, B>(_ a: A?, _ b: B?) -> (A, B)? {
  if let a, let b { (a, b) } else { nil }
}
