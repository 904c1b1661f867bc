import CWire

extension FarmStatus.Peer {
  func encoded(in arena: EncodingArena) -> UnsafeMutablePointer<Fovea__FarmStatus__Peer> {
    var m = Fovea__FarmStatus__Peer()
    fovea__farm_status__peer__init(&m)
    m.name = arena.text(name)
    m.role = Fovea__Role(rawValue: role.rawValue)
    m.host = arena.text(host)
    m.state = arena.text(state)
    m.policy_version = arena.version(policyVersion)
    m.tokens_per_second = tokensPerSecond
    m.groups_done = groupsDone
    m.leases = leases
    m.heartbeat_age_milliseconds = heartbeatAgeMilliseconds
    return arena.place(m)
  }

  init(_ m: Fovea__FarmStatus__Peer) throws {
    self.init(
      name: try Field.name(m.name, "status_report.peers.name"),
      role: try Field.known(m.role.rawValue, "status_report.peers.role"),
      host: try Field.name(m.host, "status_report.peers.host"),
      state: try Field.line(m.state, "status_report.peers.state"),
      policyVersion: try Field.version(m.policy_version, "status_report.peers.policy_version"),
      tokensPerSecond: try Field.finite(m.tokens_per_second, "status_report.peers.tokens_per_second"),
      groupsDone: try Field.total(m.groups_done, "status_report.peers.groups_done"),
      leases: try Field.count(m.leases, "status_report.peers.leases"),
      heartbeatAgeMilliseconds: m.heartbeat_age_milliseconds)
  }
}

extension FarmStatus {
  func encoded(in arena: EncodingArena) -> UnsafeMutablePointer<Fovea__FarmStatus> {
    var m = Fovea__FarmStatus()
    fovea__farm_status__init(&m)
    m.run_id = arena.text(runID)
    m.phase = arena.text(phase)
    m.step = step
    m.step_count = stepCount
    m.version = arena.version(version)
    m.groups_done = groupsDone
    m.groups_wanted = groupsWanted
    m.seconds_elapsed = secondsElapsed
    m.n_metrics = metrics.count
    m.metrics = arena.named(metrics)
    m.n_peers = peers.count
    m.peers = arena.pointers(peers.map { $0.encoded(in: arena) })
    m.n_waits = waits.count
    m.waits = arena.array(waits.map { arena.text($0) })
    m.n_quarantined = quarantined.count
    m.quarantined = arena.array(quarantined.map { arena.text($0) })
    return arena.place(m)
  }

  init(_ m: Fovea__FarmStatus) throws {
    self.init(
      runID: try Field.name(m.run_id, "status_report.run_id"),
      phase: try Field.line(m.phase, "status_report.phase"),
      step: try Field.count(m.step, "status_report.step"),
      stepCount: try Field.count(m.step_count, "status_report.step_count"),
      version: try Field.version(m.version, "status_report.version"),
      groupsDone: try Field.count(m.groups_done, "status_report.groups_done"),
      groupsWanted: try Field.count(m.groups_wanted, "status_report.groups_wanted"),
      secondsElapsed: try Field.finite(m.seconds_elapsed, "status_report.seconds_elapsed"),
      metrics: try Field.named(m.n_metrics, m.metrics, "status_report.metrics"),
      peers: try Field.list(
        m.n_peers, m.peers, "status_report.peers", 0...WireLimits.peersMax, FarmStatus.Peer.init),
      waits: try Field.numbers(m.n_waits, m.waits, "status_report.waits", 0...WireLimits.waitsMax)
        .map { try Field.line($0, "status_report.waits") },
      quarantined: try Field.numbers(
        m.n_quarantined, m.quarantined, "status_report.quarantined", 0...WireLimits.waitsMax
      ).map { try Field.line($0, "status_report.quarantined") })
  }
}
