import Prompts
import Settings
import Support
import Wire

/// The dialogue with the learner: who it is, what it gets, what it has done.
extension CoordinatorState {
  // MARK: Taking the seat

  mutating func onLearnerHello(_ hello: Hello, from peer: PeerAddress) {
    switch seat.claim(by: hello.incarnation, at: peer, now: clock) {
    case .own:
      counters.repeats += 1
      seat.occupant?.weightsEndpoint = hello.weightsEndpoint
      noteLearnerHeard(at: peer)
      welcome(peer, name: seat.occupant?.name ?? "")
    case .wait: break
    case .taken(let name): refuse(peer, hello, "learner \(name) is here already")
    case .free: seatLearner(hello, at: peer)
    }
  }

  private mutating func seatLearner(_ hello: Hello, at peer: PeerAddress) {
    guard let version = hello.policyVersion, !hello.weightsEndpoint.isEmpty else {
      return refuse(peer, hello, "a learner needs weights and an endpoint that serves them")
    }
    guard hello.nextStep <= stepCount, hello.cursor < PromptSource.cursorMax else {
      return refuse(peer, hello, "step \(hello.nextStep), cursor \(hello.cursor): the run has \(stepCount) steps")
    }
    if gate.newest == nil {
      gate.begin(at: hello.nextStep, version: version)
      completed = hello.nextStep
      nextToOpen = hello.nextStep
      cursor = hello.cursor
      archive.begin(at: hello.nextStep)
      samplesTotal = Double(completed) * Double(settings.rollout.promptsPerStep * settings.rollout.groupSize)
      journal(.began(step: hello.nextStep, version: version, cursor: hello.cursor))
      journal(.sampledUnder(settings: Self.groupSettings(settings)))
    } else if limits.sabotage == .takesOlderVersions && hello.nextStep <= completed {
      gate = StalenessGate(maxStaleness: gate.maxStaleness)
      gate.begin(at: hello.nextStep, version: version)
    } else if let reason = reasonToRefuseReturning(nextStep: hello.nextStep, version: version) {
      return refuse(peer, hello, reason)
    }
    if let before = seat.occupant {
      remember(expelled: before.incarnation, because: "learner \(printable(hello.name)) has taken its place")
    }
    // It may have trained the step that it was given, and the word of it was lost: it says it again.
    let awaited = hello.nextStep > completed ? completed : nil
    seat.sit(
      LearnerSeat.Occupant(
        incarnation: hello.incarnation, address: peer, name: printable(hello.name), host: printable(hello.host),
        weightsEndpoint: hello.weightsEndpoint, heardAt: clock, heldVersion: version),
      nextStep: hello.nextStep, awaited: awaited, now: clock)
    log("learner \(printable(hello.name)) on \(printable(hello.host)) is here with \(version), step \(hello.nextStep)")
    welcome(peer, name: printable(hello.name))
    archive.learnerReturns(at: hello.nextStep)
    if let lastEvaluated { send(.evaluated(lastEvaluated), to: peer) }
    guard awaited == nil else { return }
    announcePolicyToAll()
    checkReplay(from: hello.nextStep)
  }

  /// A learner that comes back is of this run when its version is the one that this run had at its step.
  private func reasonToRefuseReturning(nextStep: UInt32, version: PolicyVersion) -> String? {
    guard let newest = gate.newest else { return nil }
    if nextStep == completed + 1, handedOver != nil, version > newest { return nil }
    if nextStep > completed { return "step \(nextStep) lies ahead of the run, which is at step \(completed)" }
    if let known = gate.version(after: nextStep), known != version {
      return "\(version) after \(nextStep) steps; this run had \(known)"
    }
    return nil
  }

  /// The farm never goes back: it needs the batches that the learner has still to train again.
  private mutating func checkReplay(from step: UInt32) {
    guard step < completed else { return }
    guard archive.kept.contains(step) else {
      return close(
        .failed(
          "the learner came back at step \(step), but batches are kept from step \(archive.kept.lowerBound) on: a newer "
            + "checkpoint was there and is gone"))
    }
    log("the learner trains steps \(step) to \(completed - 1) again, from the groups that are kept")
  }

  mutating func noteLearnerHeard(at peer: PeerAddress) {
    seat.occupant?.address = peer
    if seat.heard(now: clock) { log("learner \(seat.occupant?.name ?? "") is back") }
  }

  // MARK: Batches

  /// Gives the learner the batch of the step that it needs next, when there is one.
  mutating func handOverBatch() {
    guard let learner = seat.live, seat.outstanding == nil else { return }
    let step = seat.nextStep
    if step == archive.kept.upperBound {
      // A version stays the newest while it is evaluated.
      guard evaluation.open == nil, let open = openSteps.first, open.step == step, open.isComplete else { return }
      archive.keep(open.batch())
      let measured = open.metrics()
      handedOver = measured
      journal(.closed(step: step, chosen: open.chosenLeases, measured: measured))
      openSteps.removeFirst()
      for (id, worker) in leases.close(.train, step: step) {
        if let index = registry.index(of: worker) { send(.resultAcknowledged(id), to: registry[index].address) }
      }
    }
    guard let batch = batch(of: step) else { return }
    seat.sent(step: step, now: clock)
    send(.trainBatch(batch), to: learner.address)
  }

  /// A closed step's batch; nil, and asked for, when the journal alone has it.
  private mutating func batch(of step: UInt32) -> TrainBatch? {
    if let batch = archive[step] { return batch }
    if archive.recalls(step) { effects.append(.recall(step: step)) }
    return nil
  }

  mutating func onRecalled(_ step: UInt32, _ groups: [RecalledGroup]) {
    guard let cursorAfter = archive.cursorAfter(step), groups.count == settings.rollout.promptsPerStep else {
      return close(.failed("the journal has \(groups.count) groups of step \(step)"))
    }
    let chosen = groups.map { one in
      var group = one.group
      group.images = prompts.drawn(at: one.cursor).prompt.images
      return (cursor: one.cursor, group: group)
    }.sorted { ($0.group.prompt, $0.cursor) < ($1.group.prompt, $1.cursor) }
    archive.recalled(TrainBatch(step: step, cursor: cursorAfter, groups: chosen.map(\.group)))
  }

  /// The learner says up to where a checkpoint keeps its training.
  mutating func noteSaved(_ step: UInt32) {
    guard step <= completed,
      let covered = archive.saved(step, relyingOnNewest: limits.sabotage == .coversTooMuch)
    else { return }
    journal(.covered(step: covered))
  }

  mutating func resendBatchIfDue() {
    guard limits.sabotage != .neverResends, let step = seat.outstanding?.step, let learner = seat.live,
      let batch = batch(of: step),
      seat.resendIsDue(now: clock)
    else { return }
    counters.resent += 1
    send(.trainBatch(batch), to: learner.address)
  }

  // MARK: Steps

  mutating func onStepCompleted(_ done: StepCompleted, from peer: PeerAddress) {
    guard let learner = seat.occupant, learner.address == peer else {
      counters.foreign += 1
      return askForHello(peer)
    }
    noteLearnerHeard(at: peer)
    guard let outstanding = seat.outstanding, done.step == outstanding.step else {
      if done.step < seat.nextStep { counters.repeats += 1 } else { counters.foreign += 1 }
      return
    }
    let isAgain = done.step < completed
    let isRight =
      isAgain ? gate.version(after: done.step + 1) == done.version : gate.newest.map { done.version > $0 } ?? false
    guard isRight else {
      let known = gate.version(after: done.step + 1) ?? gate.newest
      let reason = "\(done.version) after step \(done.step), but this run has \(known?.description ?? "none") already"
      counters.refused += 1
      send(.refused(Refused(reason: reason)), to: peer)
      remember(expelled: learner.incarnation, because: reason)
      seat.leave(now: clock)
      return log("learner \(learner.name) is sent away: \(reason)")
    }
    seat.completed()
    seat.occupant?.heldVersion = done.version
    if isAgain { return }
    completeStep(
      version: done.version, metrics: done.metrics, trainedSince: outstanding.isSentHere ? outstanding.since : nil)
  }

  /// A step is trained: the version is published and the step's row recorded.
  private mutating func completeStep(version: PolicyVersion, metrics: [String: Double], trainedSince: Milliseconds?) {
    guard gate.publish(version) else { preconditionFailure("\(version) is not newer") }
    completed += 1
    journal(.completed(step: completed, version: version))
    var values: [String: Double] = [:]
    for (name, value) in metrics.sorted(by: { $0.key < $1.key }).prefix(256) { values[printable(name)] = value }
    values.merge(handedOver ?? [:]) { _, own in own }
    handedOver = nil
    if let trainedSince { values["train_seconds"] = Double(clock - trainedSince) / 1000 }
    values["step_seconds"] = Double(clock - completedAt) / 1000
    values["seconds_elapsed"] = Double(clock - startedAt) / 1000
    samplesTotal += values["samples"] ?? 0
    values["samples_total"] = samplesTotal
    values.merge(counters.metrics) { _, own in own }
    completedAt = clock
    record(MetricsRow(kind: .step, step: completed, version: version, values: values))
    announcePolicyToAll()
  }

  // MARK: Ending

  mutating func onDrain() {
    guard drainingSince == nil, closing == nil else { return }
    drainingSince = clock
    log("asked to stop: no new leases; the open step ends if all of it is given out")
  }

  /// Whether nothing is left that draining should wait for.
  func drainIsOver(since: Milliseconds) -> Bool {
    if clock - since >= limits.drainMax || seat.live == nil { return true }
    if seat.outstanding != nil { return false }
    guard let open = openSteps.first else { return true }
    if open.isComplete { return false }
    let counts = leases.openCounts(.train, step: open.step)
    return counts.queued > 0 || counts.granted == 0
  }
}
