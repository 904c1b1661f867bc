import Support
import Wire

/// How a run drains, closes and finishes (`RunLifecycle`).
extension CoordinatorState {
  mutating func onDrain() {
    guard lifecycle == .running else { return }
    lifecycle = .draining(since: clock.now)
    log("asked to stop: no new leases; the open step ends if all of it is given out")
  }

  /// Whether nothing is left that draining should wait for.
  func drainIsOver(since: Milliseconds) -> Bool {
    if clock.now - since >= limits.drainMax || learnerSlot.live == nil { return true }
    if learnerSlot.outstanding != nil { return false }
    guard let open = openSteps.first else { return true }
    if open.isComplete { return false }
    let counts = leases.openCounts(.train, step: open.step)
    return counts.queued > 0 || counts.granted == 0
  }

  /// Ends the run by way of the learner's last checkpoint.
  mutating func close(_ outcome: CoordinatorOutcome) {
    guard lifecycle.isWorking else { return }
    lifecycle = .closing(outcome, since: clock.now)
    sayGoodbyeToLearner()
  }

  /// Once when the run closes, and again to a learner that has not left: a new process, or one that did not hear.
  mutating func sayGoodbyeToLearner() {
    guard case .closing(let outcome, _) = lifecycle, let learner = learnerSlot.live else { return }
    send(.goodbye(Goodbye(reason: outcome.reason)), to: learner.address)
  }

  /// Finishes once the learner has left, is lost, or takes too long.
  mutating func finishIfClosed() {
    guard case .closing(let outcome, let since) = lifecycle else { return }
    guard learnerSlot.live == nil || clock.now - since >= limits.closingMax else { return }
    if learnerSlot.live != nil {
      log("the learner has not left within \(seconds(limits.closingMax)) s: the run ends without it")
    }
    for worker in registry.live { send(.goodbye(Goodbye(reason: outcome.reason)), to: worker.address) }
    lifecycle = .finished(outcome)
    outbox.append(.finish(outcome))
  }
}

extension CoordinatorOutcome {
  /// One line for peers and people.
  public var reason: String {
    switch self {
    case .completed: "the run is complete"
    case .drained: "the run was asked to stop"
    case .failed(let reason): reason
    }
  }
}
