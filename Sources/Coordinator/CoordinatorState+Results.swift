import Prompts
import Settings
import Wire

/// How the results of workers end leases.
extension CoordinatorState {
  /// A finished group. It is acknowledged even when it is not used, so that the worker forgets it.
  mutating func onGroupResult(_ result: GroupResult, from peer: PeerAddress) {
    guard let index = knownWorker(at: peer) else { return }
    send(.resultAcknowledged(result.lease), to: peer)
    guard let work = leases.work(result.lease) else {
      if result.group.step < steps.nextToOpen { counters.late += 1 } else { counters.foreign += 1 }
      return
    }
    guard leases.isOpen(work.id) else {
      counters.duplicates += 1
      return
    }
    let worker = registry[index].incarnation
    registry[index].idleHeartbeats = 0
    if let fault = fault(in: result.group, for: work) {
      counters.malformed += 1
      release(work.id, by: worker, isFailure: true, cause: fault)
      return noteViolation(by: index, reason: "\(work.id): \(fault)")
    }
    let version = result.group.policyVersion
    switch judge(version, for: work) {
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

  /// Whether a group is not what its lease asked for: complete, or as large as the straggler policy allows.
  /// - Returns: nil when it answers the lease, else what is wrong with it.
  package func fault(in group: RolloutGroup, for work: LeaseWork) -> String? {
    let least = work.purpose == .train ? partialGroupMin : 1
    return work.fault(in: group, sizeMin: least, maxNewTokens: settings.rollout.sampling.maxNewTokens)
  }

  private mutating func admit(_ group: RolloutGroup, for work: LeaseWork, by worker: UInt64) {
    if let grantedAt = leases.grantedAt(work.id, by: worker) {
      stragglerWatch.note(clock.now - grantedAt, work.purpose)
    }
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
      if openSteps[open].admit(group, for: work, staleness: staleness, now: clock.now) {
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
    case .quarantined: quarantine(work, cause: cause)
    }
  }

  private mutating func quarantine(_ work: LeaseWork, cause: String) {
    counters.quarantined += 1
    let prompt = QuarantinedPrompt(purpose: work.purpose, prompt: work.drawn.prompt.id, step: work.step, cause: cause)
    quarantined.append(prompt)
    if work.purpose == .train { prompts.quarantined.insert(prompt.prompt) }
    journal(.quarantined(work.id, prompt))
    log(
      "\(prompt.name) of \(prompt.occasion) is quarantined after \(settings.farm.attemptsMax) failed attempts, "
        + "the last: \(cause)")
    switch work.purpose {
    case .evaluate: evaluation.quarantine(work)
    case .train: replaceQuarantined(work, cause: cause)
    }
  }

  private mutating func replaceQuarantined(_ work: LeaseWork, cause: String) {
    guard let open = openStepIndex(work.step) else { preconditionFailure("step \(work.step) is not open") }
    openSteps[open].quarantine(work)
    let most = max(8, limits.quarantinedPerPrompt * settings.rollout.promptsPerStep)
    guard openSteps[open].quarantinedCount <= most else {
      return close(
        .failed(
          "step \(work.step + 1): \(openSteps[open].quarantinedCount) prompts failed \(settings.farm.attemptsMax) "
            + "attempts each, the last: \(cause)"))
    }
    replace(inOpenStep: open)
  }

  /// Ends the evaluation when its last prompt is answered.
  mutating func endEvaluation() {
    guard let open = evaluation.open, open.isComplete else { return }
    leases.close(.evaluate, step: open.step)
    var row = evaluation.finish(now: clock.now)
    row.values["seconds_elapsed"] = clock.secondsElapsed
    record(row)
    let evaluated = Evaluated(
      version: row.version, step: row.step, accuracy: Float(row.values["heldout_accuracy"] ?? 0))
    measurements.note(evaluated)
    journal(.evaluated(evaluated))
    if let learner = learnerSlot.live { send(.evaluated(evaluated), to: learner.address) }
  }

  mutating func record(_ row: MetricsRow) {
    measurements.note(row)
    journal(.row(row))
    outbox.append(.record(row))
  }
}
