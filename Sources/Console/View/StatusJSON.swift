import Support
import Wire

extension FarmStatus {
  /// The status for programs: `fovea status --json`. NaN and infinity become null.
  public var json: JSON {
    func number(_ value: Double) -> JSON { value.isFinite ? .number(value) : .null }
    func version(_ version: PolicyVersion?) -> JSON { version.map { .integer(Int64(clamping: $0.value)) } ?? .null }
    let peers = peers.map { peer in
      JSON.object([
        "name": .string(peer.name), "role": .string("\(peer.role)"), "host": .string(peer.host),
        "state": .string(peer.state), "policy_version": version(peer.policyVersion),
        "tokens_per_second": number(Double(peer.tokensPerSecond)),
        "groups_done": .integer(Int64(clamping: peer.groupsDone)), "leases": .integer(Int64(peer.leases)),
        "heartbeat_age_seconds": number(Double(peer.heartbeatAgeMilliseconds) / 1000),
      ])
    }
    return .object([
      "run_id": .string(runID), "phase": .string(phase), "step": .integer(Int64(step)),
      "step_count": .integer(Int64(stepCount)), "policy_version": version(self.version),
      "groups_done": .integer(Int64(groupsDone)), "groups_wanted": .integer(Int64(groupsWanted)),
      "seconds_elapsed": number(secondsElapsed), "metrics": .object(metrics.mapValues(number)),
      "peers": .array(peers), "waits": .array(waits.map { .string($0) }),
      "quarantined": .array(quarantined.map { .string($0) }),
    ])
  }
}
