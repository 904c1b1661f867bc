import Prompts
import Settings
import Wire

/// What workers hand in, and what becomes of a lease.
extension CoordinatorState {
  /// A finished group. Whatever becomes of it, it is acknowledged, so that the worker forgets it.
  mutating func onGroupResult(_ result: GroupResult, from peer: PeerAddress) {
    guard let index = knownWorker(at: peer) else { return }
    send(.resultAcknowledged(result.lease), to: peer)
    guard let work = leases.work(result.lease) else {
      if result.group.step < nextToOpen { counters.late += 1 } else { counters.foreign += 1 }
      return
    }
    guard leases.isOpen(work.id) else {
      counters.duplicates += 1
      if limits.sabotage == .admitsDuplicates { admitAgain(result.group, for: work) }
      return
    }
    let worker = registry[index].incarnation
    registry[index].idleHeartbeats = 0
    if limits.sabotage != .admitsAnyGroup || work.purpose == .evaluate,
      let fault = ResultCheck.fault(
        in: result.group, for: work, sizeMin: work.purpose == .train ? survivorsMin : 1,
        maxNewTokens: settings.rollout.sampling.maxNewTokens)
    {
      counters.malformed += 1
      release(work.id, by: worker, isFailure: true, cause: fault)
      return strike(index, reason: "\(work.id): \(fault)")
    }
    let version = result.group.policyVersion
    switch limits.sabotage == .admitsAnyVersion ? .usable : judge(version, for: work) {
    case .stale:
      counters.stale += 1
      registry[index].heldVersion = version
      release(work.id, by: worker, isFailure: false, cause: "sampled from \(version), too old")
    case .unknown:
      counters.unknownVersion += 1
      registry[index].heldVersion = nil
      release(work.id, by: worker, isFailure: false, cause: "sampled from \(version), which is not known")
    case .usable:
      admit(result.group, for: work, by: worker)
    }
  }

  private mutating func admit(_ group: RolloutGroup, for work: LeaseWork, by worker: UInt64) {
    if let grantedAt = leases.grantedAt(work.id, by: worker) { stragglerWatch.note(clock - grantedAt, work.purpose) }
    guard case .first(let others) = leases.finish(work.id, by: worker) else {
      preconditionFailure("\(work.id) is open")
    }
    for other in others {
      if let index = registry.index(of: other) { send(.resultAcknowledged(work.id), to: registry[index].address) }
    }
    journal(.finished(work.id, group))
    switch work.purpose {
    case .evaluate: evaluation.admit(group, for: work)
    case .train:
      guard let open = openStepIndex(work.step) else { preconditionFailure("step \(work.step) is not open") }
      let staleness =
        if case .admitted(let staleness) = gate.judge(group.policyVersion, for: work.step) { staleness } else { 0 }
      if openSteps[open].admit(group, for: work, staleness: staleness, now: clock) {
        counters.replaced += 1
        replace(inOpenStep: open)
      }
    }
  }

  mutating func onLeaseReturned(_ returned: LeaseReturned, from peer: PeerAddress) {
    guard let index = knownWorker(at: peer) else { return }
    let worker = registry[index].incarnation
    guard let work = leases.work(returned.lease), leases.attempt(work.id, by: worker) == returned.attempt else {
      counters.late += 1
      return
    }
    registry[index].giveBack(samples: work.groupSize)
    switch returned.cause {
    case .draining: registry[index].takesNothing()
    case .versionNotHeld: registry[index].heldVersion = nil
    case .impossible: break
    }
    release(
      returned.lease, by: worker, isFailure: returned.cause == .impossible,
      cause: printable(returned.reason, countMax: 200))
  }

  private mutating func release(_ id: LeaseID, by worker: UInt64, isFailure: Bool, cause: String) {
    if let release = leases.release(id, by: worker, isFailure: isFailure) { onRelease(release, cause: cause) }
  }

  /// A lease has lost a holder.
  mutating func onRelease(_ release: LeaseTable.Release, cause: String) {
    let work = release.work
    if release.failures > 0 { journal(.failed(work.id, failures: release.failures)) }
    switch release.outcome {
    case .stillHeld: break
    case .requeued: counters.requeued += 1
    case .quarantined:
      counters.quarantined += 1
      let prompt = QuarantinedPrompt(
        purpose: work.purpose, prompt: work.drawn.prompt.id, step: work.step, cause: cause)
      quarantined.append(prompt)
      if work.purpose == .train && limits.sabotage != .drawsQuarantined { prompts.quarantined.insert(prompt.prompt) }
      journal(.quarantined(work.id, prompt))
      log(
        "prompt \(work.drawn.prompt.id) of step \(work.step) is quarantined after \(settings.farm.attemptsMax) failed "
          + "attempts, the last: \(cause)")
      switch work.purpose {
      case .evaluate: evaluation.quarantine(work)
      case .train: quarantine(work, cause: cause)
      }
    }
  }

  private mutating func quarantine(_ work: LeaseWork, cause: String) {
    guard let open = openStepIndex(work.step) else { preconditionFailure("step \(work.step) is not open") }
    openSteps[open].quarantine(work)
    let most = max(8, limits.quarantinedPerPrompt * settings.rollout.promptsPerStep)
    guard openSteps[open].quarantinedCount <= most else {
      return close(
        .failed(
          "step \(work.step): \(openSteps[open].quarantinedCount) prompts failed \(settings.farm.attemptsMax) attempts "
            + "each, the last: \(cause)"))
    }
    replace(inOpenStep: open)
  }

  /// Ends the evaluation when its last prompt is answered.
  mutating func endEvaluation() {
    guard let open = evaluation.open, open.isComplete else { return }
    leases.close(.evaluate, step: open.step)
    var row = evaluation.finish(now: clock)
    row.values["seconds_elapsed"] = Double(clock - startedAt) / 1000
    record(row)
    let evaluated = Evaluated(
      version: row.version, step: row.step, accuracy: Float(row.values["heldout_accuracy"] ?? 0))
    lastEvaluated = evaluated
    journal(.evaluated(evaluated))
    if let learner = seat.live { send(.evaluated(evaluated), to: learner.address) }
  }

  mutating func record(_ row: MetricsRow) {
    note(row)
    journal(.row(row))
    effects.append(.record(row))
  }

  mutating func note(_ row: MetricsRow) {
    newestMetrics.merge(row.values) { _, new in new }
    if let accuracy = row.values["heldout_accuracy"], newestMetrics["heldout_accuracy_start"] == nil {
      newestMetrics["heldout_accuracy_start"] = accuracy
    }
  }
}
