import Runs
import Wire

/// The live view of a farm: a pure function from its status to lines, so that tests compare it as text.
public struct FarmView: Sendable {
  /// Columns of the terminal.
  public var width: Int

  public init(width: Int) { self.width = max(20, width) }

  /// The frame: how far the run is, its metrics, the peers, and who waits for whom.
  public func lines(_ status: FarmStatus, _ history: MetricsHistory) -> [StyledLine] {
    var lines = RunView(width: width).lines(status.progress, history, newest: status.metrics)
    if !status.peers.isEmpty { lines += [StyledLine()] + peers(status) }
    if !status.waits.isEmpty { lines += [StyledLine()] + waits(status) }
    if let last = status.quarantined.last {
      lines += [StyledLine("\(status.quarantined.count) quarantined, the last: \(last)", .warning)]
    }
    return lines
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
