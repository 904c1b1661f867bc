import Coordinator
import Support
import Wire

/// A mechanism of the coordinator that is broken on purpose: the simulator has to notice each of them, or it proves
/// nothing.
///
/// The coordinator knows nothing of it. `handle` stands between the simulation and the state, and does to the state's
/// parts what the broken mechanism would have done, before or after the state handles an event.
package enum Sabotage: String, CaseIterable, Sendable {
  /// A second result of a lease counts too.
  case admitsDuplicates
  /// A group counts whatever version sampled it.
  case admitsAnyVersion
  /// A group counts whatever it holds.
  case admitsAnyGroup
  /// The version of a learner that comes back from a checkpoint becomes the newest.
  case takesOlderVersions
  /// A lost worker's leases stay with it.
  case losesLeases
  /// A batch is sent once.
  case neverResends
  /// The newest checkpoint is relied on.
  case reliesOnNewestCheckpoint
  /// A quarantined prompt is drawn again.
  case drawsQuarantined
  /// The run is over before a checkpoint has its last step.
  case endsUnsaved

  /// Has the state handle an event with this mechanism broken.
  package func handle(
    _ event: CoordinatorEvent, by state: inout CoordinatorState, now: Milliseconds
  ) -> [CoordinatorEffect] {
    let before = state
    prepare(&state, for: event, now: now)
    var effects = state.on(event, now: now)
    switch self {
    case .takesOlderVersions: goBack(&state, after: event, from: before)
    case .losesLeases: keepLeases(of: before, in: &state, now: now)
    case .drawsQuarantined: state.prompts.quarantined = []
    case .neverResends:
      guard let sent = before.learnerSlot.outstanding, sent.since == state.learnerSlot.outstanding?.since else { break }
      effects.removeAll { if case .send(.trainBatch(let batch), to: _) = $0 { batch.step == sent.step } else { false } }
    case .admitsDuplicates, .admitsAnyVersion, .admitsAnyGroup, .reliesOnNewestCheckpoint, .endsUnsaved: break
    }
    return effects
  }

  // MARK: Before the event

  private func prepare(_ state: inout CoordinatorState, for event: CoordinatorEvent, now: Milliseconds) {
    switch (self, event) {
    case (.endsUnsaved, _):
      if state.steps.isComplete { state.learnerSlot.savedStep = state.steps.completed }
    case (.reliesOnNewestCheckpoint, .received(.heartbeat(let heartbeat), from: _)):
      guard heartbeat.incarnation == state.learnerSlot.learner?.incarnation else { return }
      rely(on: heartbeat.savedStep, in: &state)
    case (_, .received(.groupResult(let result), from: let peer)):
      guard let work = state.leases.work(result.lease), let index = state.registry.index(at: peer),
        counts(result.group, for: work, in: state)
      else { return }
      admit(result.group, for: work, by: state.registry[index].incarnation, to: &state, now: now)
    default: break
    }
  }

  /// Whether a group counts that the state would not admit.
  private func counts(_ group: RolloutGroup, for work: LeaseWork, in state: CoordinatorState) -> Bool {
    let isOpen = state.leases.isOpen(work.id)
    let isSound = state.fault(in: group, for: work) == nil
    switch self {
    case .admitsDuplicates: return !isOpen && work.purpose == .train && state.openStepIndex(work.step) != nil
    case .admitsAnyGroup: return isOpen && !isSound && work.purpose == .train
    case .admitsAnyVersion: return isOpen && isSound && state.judge(group.policyVersion, for: work) != .usable
    case .takesOlderVersions, .losesLeases, .neverResends, .reliesOnNewestCheckpoint, .drawsQuarantined, .endsUnsaved:
      return false
    }
  }

  /// Admits a group around every check; the state then takes its result for a repeated one.
  private func admit(
    _ group: RolloutGroup, for work: LeaseWork, by worker: UInt64, to state: inout CoordinatorState, now: Milliseconds
  ) {
    let isRepeated = state.leases.finish(work.id, by: worker) == .duplicate
    switch work.purpose {
    case .evaluate: state.evaluation.admit(group, for: work)
    case .train:
      guard let open = state.openStepIndex(work.step) else { return }
      if isRepeated { state.openSteps[open].add(work.drawn) }
      _ = state.openSteps[open].admit(group, for: work, staleness: 0, now: now)
    }
    if !isRepeated { state.outbox.journal(.finished(work.id, group)) }
  }

  /// Takes all steps before a checkpoint for checkpointed as soon as it is made.
  private func rely(on step: UInt32, in state: inout CoordinatorState) {
    guard step <= state.steps.completed else { return }
    // An archive relies on the checkpoint before the newest one: another one makes it rely on this.
    for saved in [step, step + 1] {
      if let first = state.archive.saved(saved) { state.outbox.journal(.checkpointed(step: first)) }
    }
  }

  // MARK: After the event

  /// The newest version is that of a learner that has just been registered, however old.
  private func goBack(_ state: inout CoordinatorState, after event: CoordinatorEvent, from before: CoordinatorState) {
    guard case .received(.hello(let hello), from: _) = event, let version = hello.policyVersion,
      state.learnerSlot.learner?.incarnation == hello.incarnation,
      before.learnerSlot.learner?.incarnation != hello.incarnation, hello.nextStep < state.steps.completed
    else { return }
    state.gate = StalenessGate(maxStaleness: state.gate.maxStaleness)
    state.gate.begin(at: hello.nextStep, version: version)
  }

  /// Grants the leases of workers that have just been lost to them again.
  private func keepLeases(of before: CoordinatorState, in state: inout CoordinatorState, now: Milliseconds) {
    for worker in state.registry.records where worker.lostAt != nil {
      guard let index = before.registry.index(of: worker.incarnation), before.registry[index].lostAt == nil else {
        continue
      }
      for (work, holder) in before.leases.held(by: worker.incarnation) where state.leases.isOpen(work.id) {
        _ = state.leases.grant(work.id, to: worker.incarnation, version: holder.version, now: now)
      }
    }
  }
}
