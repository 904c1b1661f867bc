import Settings
import Support
import Wire

/// How processes join, stay and leave.
extension CoordinatorState {
  // MARK: Hello

  mutating func onHello(_ hello: Hello, from peer: PeerAddress) {
    if let reason = reasonToRefuse(hello) { return refuse(peer, hello, reason) }
    switch hello.role {
    case .worker: onWorkerHello(hello, from: peer)
    case .learner: onLearnerHello(hello, from: peer)
    case .observer: welcome(peer, name: printable(hello.name))
    case .coordinator: break
    }
  }

  private func reasonToRefuse(_ hello: Hello) -> String? {
    if hello.protocolVersion != protocolVersion {
      return "the \(hello.role) speaks protocol version \(hello.protocolVersion), the coordinator \(protocolVersion)"
    }
    if !hello.runID.isEmpty && hello.runID != runID {
      return "this is run \(runID), not \(printable(hello.runID))"
    }
    if let reason = strangers.reasonForEviction(of: hello.incarnation) { return reason }
    switch hello.role {
    case .coordinator: return "a run has one coordinator"
    case .worker:
      if hello.slots == 0 { return "a worker needs at least one slot" }
      if registry.index(of: hello.incarnation) == nil && registry.liveCount >= WorkerRegistry.liveCountMax {
        return "the farm has \(WorkerRegistry.liveCountMax) workers, the most it takes"
      }
    case .learner, .observer: break
    }
    return nil
  }

  mutating func refuse(_ peer: PeerAddress, _ hello: Hello, _ reason: String) {
    counters.refused += 1
    send(.refused(Refused(reason: reason)), to: peer)
    guard strangers.logsRefusal(of: hello.incarnation) else { return }
    log("refused \(hello.role) \(printable(hello.name)) on \(printable(hello.host)): \(reason)")
  }

  private mutating func onWorkerHello(_ hello: Hello, from peer: PeerAddress) {
    if let known = registry.index(of: hello.incarnation) {
      switch registry.claim(known, at: peer, now: clock.now) {
      case .own:
        counters.repeats += 1
        return welcomeAgain(known, at: peer)
      case .wait: return
      case .replayed:
        return refuse(peer, hello, "worker \(registry[known].name) is here already: this hello is a repeated one")
      }
    }
    // Another process at this address: the one before it is gone.
    if let before = registry.index(at: peer) { replaceWorker(before) }
    let index = registry.join(hello, at: peer, now: clock.now)
    let worker = registry[index]
    log("worker \(worker.name) on \(worker.host) joined, \(worker.slots) slots")
    welcome(peer, name: worker.name)
    announcePolicy(to: index)
  }

  /// A known worker says hello: the welcome was lost, or it connected again.
  private mutating func welcomeAgain(_ index: Int, at peer: PeerAddress) {
    noteHeard(index, at: peer)
    welcome(peer, name: registry[index].name)
    announcePolicy(to: index)
  }

  mutating func welcome(_ peer: PeerAddress, name: String) {
    send(
      .welcome(
        Welcome(
          runID: runID, name: name, heartbeatMilliseconds: UInt32(clamping: settings.farm.heartbeatMilliseconds),
          incarnation: incarnation)),
      to: peer)
  }

  /// Asks a process that is not known, a peer of an earlier coordinator for example, to say hello: by a welcome without
  /// a name.
  mutating func askForHello(_ peer: PeerAddress) {
    let interval = Milliseconds(settings.farm.heartbeatMilliseconds)
    if strangers.asks(peer, every: interval, now: clock.now) { welcome(peer, name: "") }
  }

  // MARK: Heartbeat

  mutating func onHeartbeat(_ heartbeat: Heartbeat, from peer: PeerAddress) {
    if let index = registry.index(of: heartbeat.incarnation), registry[index].address.owner == peer.owner {
      noteHeard(index, at: peer)
      return update(index, by: heartbeat)
    }
    if let learner = learnerSlot.learner, learner.incarnation == heartbeat.incarnation,
      learner.address.owner == peer.owner
    {
      return onLearnerHeartbeat(heartbeat, from: peer)
    }
    counters.foreign += 1
    if let reason = strangers.reasonForEviction(of: heartbeat.incarnation) {
      return send(.refused(Refused(reason: reason)), to: peer)
    }
    askForHello(peer)
  }

  private mutating func update(_ index: Int, by heartbeat: Heartbeat) {
    var worker = registry[index]
    worker.heldVersion = heartbeat.policyVersion
    worker.activity = printable(heartbeat.activity)
    worker.tokensPerSecond = heartbeat.tokensPerSecond.isFinite ? max(0, heartbeat.tokensPerSecond) : 0
    worker.groupsDone = heartbeat.groupsDone
    worker.report(takesWork: heartbeat.credit > 0, activeSamples: heartbeat.activeSamples, now: clock.now)
    let isIdle = heartbeat.activeSamples == 0 && leases.load(of: worker.incarnation).leases > 0
    worker.idleHeartbeats = isIdle ? worker.idleHeartbeats + 1 : 0
    registry[index] = worker
    guard let newest = gate.newest else { return }
    let held = worker.heldVersion
    if held.map({ $0 < newest }) ?? true, clock.now - worker.announcedAt >= registry.silenceMax {
      announcePolicy(to: index)
    }
    // While a batch is out, the learner may have published its version before saying so. Otherwise the run has been set
    // back under a worker that never steps back.
    if let held, held > newest, measurements.handedOver == nil {
      return evict(index, because: "it holds \(held), the run is at \(newest): start it again", isFailure: false)
    }
    if worker.idleHeartbeats >= limits.idleHeartbeatsMax { resendLeases(to: index) }
  }

  /// Finds the worker that any other message is from, by its address.
  /// - Returns: its index; nil, counted, for a process that is not known, which is asked for a hello.
  mutating func knownWorker(at peer: PeerAddress) -> Int? {
    guard let index = registry.index(at: peer) else {
      counters.foreign += 1
      askForHello(peer)
      return nil
    }
    noteHeard(index, at: peer)
    return index
  }

  private mutating func noteHeard(_ index: Int, at peer: PeerAddress) {
    if let other = registry.index(at: peer), other != index {
      let incarnation = registry[index].incarnation
      replaceWorker(other)
      guard let moved = registry.index(of: incarnation) else { return }
      return noteHeard(moved, at: peer)
    }
    registry.rebind(index, to: peer)
    if registry.heard(index, now: clock.now) { log("worker \(registry[index].name) is back") }
  }

  /// The worker's address has passed to another process, so it is gone.
  private mutating func replaceWorker(_ index: Int) {
    let gone = registry.remove(index)
    strangers.evict(gone.incarnation, because: "another process has its address")
    if gone.lostAt == nil { onWorkerLost(gone) }
  }

  // MARK: Leaving

  mutating func onGoodbye(_ goodbye: Goodbye, from peer: PeerAddress) {
    if let index = registry.index(at: peer) {
      let worker = registry.remove(index)
      strangers.evict(worker.incarnation, because: "it said goodbye")
      log("worker \(worker.name) left: \(printable(goodbye.reason, countMax: 200))")
      for release in leases.releaseAll(of: worker.incarnation, isFailure: false) {
        onRelease(release, cause: "its worker left")
      }
    } else if let learner = learnerSlot.learner, learner.address == peer {
      strangers.evict(learner.incarnation, because: "it said goodbye")
      learnerSlot.clear(now: clock.now)
      log("learner \(learner.name) left: \(printable(goodbye.reason, countMax: 200))")
    }
  }

  mutating func onWorkerLost(_ worker: WorkerRecord) {
    counters.workersLost += 1
    let releases = leases.releaseAll(of: worker.incarnation, isFailure: true)
    log(
      "worker \(worker.name) is lost: silent for \(seconds(clock.now - worker.heardAt)) s; "
        + "\(releases.count) leases go back to the queue")
    for release in releases { onRelease(release, cause: "its worker was lost") }
  }

  // MARK: Violations

  mutating func onMalformed(from peer: PeerAddress, reason: String) {
    counters.malformed += 1
    guard let index = registry.index(at: peer) else { return }
    noteViolation(by: index, reason: reason)
  }

  /// A worker sent something malformed. One that keeps doing so is evicted.
  mutating func noteViolation(by index: Int, reason: String) {
    registry[index].violations += 1
    let worker = registry[index]
    log("worker \(worker.name) sent something malformed: \(printable(reason, countMax: 200))")
    guard worker.violations >= WorkerRegistry.violationsMax else { return }
    evict(index, because: "\(worker.violations) malformed messages, the last: \(reason)", isFailure: true)
  }

  private mutating func evict(_ index: Int, because reason: String, isFailure: Bool) {
    let worker = registry.remove(index)
    counters.refused += 1
    strangers.evict(worker.incarnation, because: reason)
    send(.refused(Refused(reason: reason)), to: worker.address)
    log("worker \(worker.name) is evicted: \(printable(reason, countMax: 200))")
    for release in leases.releaseAll(of: worker.incarnation, isFailure: isFailure) {
      onRelease(release, cause: "its worker was evicted")
    }
  }

  // MARK: Policy

  /// Announces to a worker which version there is and where. Nothing before the first learner.
  mutating func announcePolicy(to index: Int) {
    guard let version = gate.newest, let endpoint = learnerSlot.learner?.weightsEndpoint else { return }
    registry[index].announcedAt = clock.now
    send(.policyAnnounced(PolicyAnnounced(version: version, weightsEndpoint: endpoint)), to: registry[index].address)
  }

  mutating func announcePolicyToAll() {
    for index in registry.records.indices where registry[index].lostAt == nil { announcePolicy(to: index) }
  }
}
