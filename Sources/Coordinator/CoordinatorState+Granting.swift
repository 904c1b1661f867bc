import Settings
import Wire

/// How work is created and granted to workers.
extension CoordinatorState {
  /// Opens the steps that may be sampled from a version that exists.
  mutating func openStepsThatMay() {
    while steps.nextToOpen < steps.stepCount, gate.oldestAllowed(for: steps.nextToOpen) != nil {
      let step = steps.nextToOpen
      let (drawn, next) = prompts.prompts(from: steps.nextPrompt, count: settings.rollout.promptsPerStep)
      openSteps.append(assembler(step: step, drawn: drawn, cursorAfter: next))
      journal(.opened(step: step, cursor: steps.nextPrompt, cursorAfter: next))
      for one in drawn { add(.train(step: step, drawn: one, groupSize: settings.rollout.groupSize)) }
      steps.open(nextPrompt: next)
    }
  }

  func assembler(step: UInt32, drawn: [DrawnPrompt], cursorAfter: UInt64) -> GroupAssembler {
    GroupAssembler(step: step, drawn: drawn, cursorAfter: cursorAfter, settings: settings, limits: limits)
  }

  private mutating func add(_ work: LeaseWork) {
    leases.add(work)
    journal(.drew(work.id, work.purpose, step: work.step, cursor: work.drawn.cursor))
  }

  /// Draws one prompt more for an open step.
  mutating func replace(inOpenStep index: Int) {
    let step = openSteps[index].step
    let drawn = prompts.replacement(
      step: step, position: &openSteps[index].replacementPosition, taken: openSteps[index].taken)
    openSteps[index].add(drawn)
    add(.train(step: step, drawn: drawn, groupSize: settings.rollout.groupSize))
  }

  package func openStepIndex(_ step: UInt32) -> Int? { openSteps.firstIndex { $0.step == step } }

  mutating func beginEvaluation() {
    guard evaluation.open == nil, evaluation.isDue(after: steps.completed), let version = gate.newest else { return }
    let works = evaluation.begin(
      step: steps.completed, version: version, failed: failedEvaluationPrompts, now: clock.now)
    for work in works { add(work) }
  }

  /// Held-out prompts that failed all their attempts and are not asked again.
  var failedEvaluationPrompts: Set<UInt64> { Set(quarantined.filter { $0.purpose == .evaluate }.map(\.prompt)) }

  /// Grants queued leases, in order, each to the least busy worker that holds a version it may use and has room. An
  /// isolated retry waits for a worker that has nothing else; the least busy one is kept for it.
  mutating func grantLeases() {
    guard leases.hasQueued else { return }
    var candidates = registry.records.indices.filter {
      registry[$0].lostAt == nil && registry[$0].freeSlots > 0 && registry[$0].heldVersion != nil
    }
    let isolated = leases.isolatedWorkers
    candidates.removeAll { isolated.contains(registry[$0].incarnation) }
    var isOneKept = false
    for id in leases.queued {
      if candidates.isEmpty { return }
      guard let work = leases.work(id) else { continue }
      let isAlone = leases.isIsolatedRetry(id)
      if let index = bestWorker(for: work, alone: isAlone, among: candidates) {
        grant(work, to: index)
        if isAlone || registry[index].freeSlots == 0 { candidates.removeAll { $0 == index } }
      } else if isAlone && !isOneKept {
        isOneKept = true
        let kept = candidates.min { registry[$0].busySlots < registry[$1].busySlots }
        candidates.removeAll { $0 == kept }
      }
    }
  }

  private func bestWorker(for work: LeaseWork, alone: Bool, among candidates: [Int]) -> Int? {
    var best: (index: Int, rank: (Int, Int))?
    for index in candidates {
      let worker = registry[index]
      guard let version = worker.heldVersion, judge(version, for: work) == .usable else { continue }
      // A group larger than all of a worker's slots goes to one that does nothing else.
      let isIdle = leases.load(of: worker.incarnation).leases == 0
      guard isIdle || (worker.freeSlots >= work.groupSize && !alone) else { continue }
      // A worker that let this lease expire gets it again only if there is nobody else.
      let rank = (leases.attempt(work.id, by: worker.incarnation) == nil ? 0 : 1, worker.busySlots)
      if best.map({ rank < $0.rank }) ?? true { best = (index, rank) }
    }
    return best?.index
  }

  mutating func grant(_ work: LeaseWork, to index: Int) {
    guard let version = registry[index].heldVersion else { preconditionFailure("a worker without weights") }
    let attempt = leases.grant(work.id, to: registry[index].incarnation, version: version, now: clock.now)
    journal(.granted(work.id, attempt: attempt))
    registry[index].grant(samples: work.groupSize, now: clock.now)
    clock.queueMoves()
    if work.purpose == .train, let open = openStepIndex(work.step), openSteps[open].startedAt == nil {
      openSteps[open].startedAt = clock.now
    }
    send(.lease(lease(for: work, attempt: attempt, version: version)), to: registry[index].address)
  }

  /// Sends a worker's leases again: it seems not to have got them.
  mutating func resendLeases(to index: Int) {
    let worker = registry[index]
    registry[index].idleHeartbeats = 0
    for (work, holder) in leases.held(by: worker.incarnation)
    where holder.deadline != nil && clock.now - holder.sentAt >= registry.silenceMax {
      counters.resent += 1
      leases.sentAgain(work.id, to: worker.incarnation, now: clock.now)
      send(.lease(lease(for: work, attempt: holder.attempt, version: holder.version)), to: worker.address)
    }
  }

  func lease(for work: LeaseWork, attempt: UInt32, version: PolicyVersion) -> Lease {
    Lease(work, attempt: attempt, version: version, settings: settings)
  }

  /// Whether work may be, or may have been, done with a version.
  package enum VersionUse: Equatable {
    case usable
    case stale
    case unknown
  }

  package func judge(_ version: PolicyVersion, for work: LeaseWork) -> VersionUse {
    switch work.purpose {
    case .train:
      switch gate.judge(version, for: work.step) {
      case .admitted: return .usable
      case .stale: return .stale
      case .unknown: return .unknown
      }
    case .evaluate:
      guard let wanted = evaluation.open?.version else { return .unknown }
      return version == wanted ? .usable : version < wanted ? .stale : .unknown
    }
  }
}
