import Prompts
import Settings
import Support
import Wire

/// The dialogue with the learner: which process it is, which batches it gets, what it has trained.
extension CoordinatorState {
  // MARK: Joining

  mutating func onLearnerHello(_ hello: Hello, from peer: PeerAddress) {
    switch learnerSlot.claim(by: hello.incarnation, at: peer, now: clock.now) {
    case .own:
      counters.repeats += 1
      learnerSlot.learner?.weightsEndpoint = hello.weightsEndpoint
      noteLearnerHeard(at: peer)
      welcome(peer, name: learnerSlot.learner?.name ?? "")
    case .wait: break
    case .taken(let name): refuse(peer, hello, "learner \(name) is here already")
    case .free: registerLearner(hello, at: peer)
    }
  }

  private mutating func registerLearner(_ hello: Hello, at peer: PeerAddress) {
    guard let version = hello.policyVersion, !hello.weightsEndpoint.isEmpty else {
      return refuse(peer, hello, "a learner needs weights and an endpoint that serves them")
    }
    guard hello.nextStep <= steps.stepCount, hello.cursor < PromptSource.cursorMax else {
      return refuse(
        peer, hello, "\(hello.nextStep) steps trained, cursor \(hello.cursor): the run has \(steps.stepCount) steps")
    }
    if gate.newest == nil {
      begin(step: hello.nextStep, version: version, cursor: hello.cursor)
    } else if let reason = reasonToRefuseReturning(nextStep: hello.nextStep, version: version) {
      return refuse(peer, hello, reason)
    }
    if let before = learnerSlot.learner {
      strangers.evict(before.incarnation, because: "learner \(printable(hello.name)) has taken its place")
    }
    // It may have trained the step that it was given and its report was lost: it reports it again.
    let awaited = hello.nextStep > steps.completed ? steps.completed : nil
    let learner = LearnerSlot.Learner(hello, at: peer, now: clock.now)
    learnerSlot.register(learner, nextStep: hello.nextStep, awaited: awaited, now: clock.now)
    log("learner \(learner.name) on \(learner.host) joined with \(version), \(hello.nextStep) steps trained")
    welcome(peer, name: learner.name)
    archive.learnerReturns(at: hello.nextStep)
    if let evaluated = measurements.lastEvaluated { send(.evaluated(evaluated), to: peer) }
    guard awaited == nil else { return }
    announcePolicyToAll()
    checkReplay(from: hello.nextStep)
  }

  /// The run begins where its first learner is.
  private mutating func begin(step: UInt32, version: PolicyVersion, cursor: UInt64) {
    gate.begin(at: step, version: version)
    steps.begin(completed: step, nextToOpen: step, nextPrompt: cursor)
    archive.begin(at: step)
    measurements.begin(
      samplesTotal: Double(step) * Double(settings.rollout.promptsPerStep * settings.rollout.groupSize))
    journal(.began(step: step, version: version, cursor: cursor))
    journal(.sampledUnder(settings: Self.groupSettings(settings)))
  }

  /// A learner that comes back is of this run when its version is the one that this run had at its step.
  private func reasonToRefuseReturning(nextStep: UInt32, version: PolicyVersion) -> String? {
    guard let newest = gate.newest else { return nil }
    if nextStep == steps.completed + 1, measurements.handedOver != nil, version > newest { return nil }
    if nextStep > steps.completed {
      return "it has trained \(nextStep) steps, the run \(steps.completed): it is ahead of the run"
    }
    if let known = gate.version(after: nextStep), known != version {
      return "\(version) after \(nextStep) steps; this run had \(known)"
    }
    return nil
  }

  /// The farm never goes back: it needs the batches that the learner has still to train again.
  private mutating func checkReplay(from step: UInt32) {
    guard step < steps.completed else { return }
    guard archive.kept.contains(step) else {
      return close(
        .failed(
          "the learner came back at step \(step + 1), but batches are kept from step \(archive.kept.lowerBound + 1) "
            + "on: a newer checkpoint was there and is gone"))
    }
    log("the learner trains steps \(step + 1) to \(steps.completed) again, from the groups that are kept")
  }

  mutating func onLearnerHeartbeat(_ heartbeat: Heartbeat, from peer: PeerAddress) {
    noteLearnerHeard(at: peer)
    learnerSlot.learner?.activity = printable(heartbeat.activity)
    learnerSlot.learner?.heldVersion = heartbeat.policyVersion
    learnerSlot.savedStep = heartbeat.savedStep
    noteSaved(heartbeat.savedStep)
    sayGoodbyeToLearner()
  }

  private mutating func noteLearnerHeard(at peer: PeerAddress) {
    learnerSlot.learner?.address = peer
    if learnerSlot.heard(now: clock.now) { log("learner \(learnerSlot.learner?.name ?? "") is back") }
  }

  // MARK: Batches

  /// Gives the learner the batch of the step that it needs next, when there is one.
  mutating func handOverBatch() {
    guard let learner = learnerSlot.live, learnerSlot.outstanding == nil else { return }
    let step = learnerSlot.nextStep
    if step == archive.kept.upperBound {
      // A version stays the newest while it is evaluated.
      guard evaluation.open == nil, let open = openSteps.first, open.step == step, open.isComplete else { return }
      closeFirstStep(open)
    }
    guard let batch = batch(of: step) else { return }
    learnerSlot.sent(step: step, now: clock.now)
    send(.trainBatch(batch), to: learner.address)
  }

  /// The oldest open step has all its groups: its batch is made.
  private mutating func closeFirstStep(_ open: GroupAssembler) {
    archive.keep(open.batch())
    let measured = open.metrics()
    measurements.handOver(measured)
    journal(.closed(step: open.step, chosen: open.chosenLeases, measured: measured))
    openSteps.removeFirst()
    for (id, worker) in leases.close(.train, step: open.step) {
      if let index = registry.index(of: worker) { send(.resultAcknowledged(id), to: registry[index].address) }
    }
  }

  /// A closed step's batch; nil, and asked for, when the journal alone has it.
  private mutating func batch(of step: UInt32) -> TrainBatch? {
    if let batch = archive[step] { return batch }
    if archive.recalls(step) { outbox.append(.recall(step: step)) }
    return nil
  }

  mutating func onRecalled(_ step: UInt32, _ groups: [RecalledGroup]) {
    guard let cursorAfter = archive.cursorAfter(step), groups.count == settings.rollout.promptsPerStep else {
      return close(.failed("the journal has \(groups.count) groups of step \(step + 1)"))
    }
    let chosen = groups.map { one in
      var group = one.group
      group.images = prompts.drawn(at: one.cursor).prompt.images
      return (cursor: one.cursor, group: group)
    }.sorted { ($0.group.prompt, $0.cursor) < ($1.group.prompt, $1.cursor) }
    archive.recalled(TrainBatch(step: step, cursor: cursorAfter, groups: chosen.map(\.group)))
  }

  /// The learner reports up to which step a checkpoint keeps its training.
  private mutating func noteSaved(_ step: UInt32) {
    guard step <= steps.completed, let first = archive.saved(step) else { return }
    journal(.checkpointed(step: first))
  }

  mutating func resendBatchIfDue() {
    guard let step = learnerSlot.outstanding?.step, let learner = learnerSlot.live, let batch = batch(of: step),
      learnerSlot.resendIsDue(now: clock.now)
    else { return }
    counters.resent += 1
    send(.trainBatch(batch), to: learner.address)
  }

  // MARK: Steps

  mutating func onStepCompleted(_ done: StepCompleted, from peer: PeerAddress) {
    guard let learner = learnerSlot.learner, learner.address == peer else {
      counters.foreign += 1
      return askForHello(peer)
    }
    noteLearnerHeard(at: peer)
    guard let outstanding = learnerSlot.outstanding, done.step == outstanding.step else {
      if done.step < learnerSlot.nextStep { counters.repeats += 1 } else { counters.foreign += 1 }
      return
    }
    let isAgain = done.step < steps.completed
    let isRight =
      isAgain ? gate.version(after: done.step + 1) == done.version : gate.newest.map { done.version > $0 } ?? false
    guard isRight else { return evictLearner(learner, for: done, at: peer) }
    learnerSlot.completed()
    learnerSlot.learner?.heldVersion = done.version
    if isAgain { return }
    completeStep(
      version: done.version, metrics: done.metrics, trainedSince: outstanding.isSentHere ? outstanding.since : nil)
  }

  /// Evicts a learner whose weights are not those of this run.
  private mutating func evictLearner(_ learner: LearnerSlot.Learner, for done: StepCompleted, at peer: PeerAddress) {
    let known = gate.version(after: done.step + 1) ?? gate.newest
    let reason = "\(done.version) after step \(done.step + 1), but this run has \(known?.description ?? "none") already"
    counters.refused += 1
    send(.refused(Refused(reason: reason)), to: peer)
    strangers.evict(learner.incarnation, because: reason)
    learnerSlot.clear(now: clock.now)
    log("learner \(learner.name) is evicted: \(reason)")
  }

  /// A step is trained: the version is published and the step's row recorded.
  private mutating func completeStep(version: PolicyVersion, metrics: [String: Double], trainedSince: Milliseconds?) {
    guard gate.publish(version) else { preconditionFailure("\(version) is not newer") }
    steps.complete()
    journal(.completed(step: steps.completed, version: version))
    var values = measurements.completeStep(learner: metrics)
    if let trainedSince { values["train_seconds"] = Double(clock.now - trainedSince) / 1000 }
    values["step_seconds"] = clock.completeStep()
    values["seconds_elapsed"] = clock.secondsElapsed
    values.merge(counters.metrics) { _, own in own }
    record(MetricsRow(kind: .step, step: steps.completed, version: version, values: values))
    announcePolicyToAll()
  }
}
