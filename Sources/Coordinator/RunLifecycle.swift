import Support

/// How far a run is on its way to its end.
///
/// Invariant: it only moves forward, from each case to any later one.
package enum RunLifecycle: Equatable, Sendable {
  case running
  /// Asked to stop: no new leases, and the open step may end.
  case draining(since: Milliseconds)
  /// Nothing is left to do but the learner's last checkpoint.
  case closing(CoordinatorOutcome, since: Milliseconds)
  case finished(CoordinatorOutcome)

  /// How the run ended; nil until it has.
  package var outcome: CoordinatorOutcome? { if case .finished(let outcome) = self { outcome } else { nil } }

  package var isDraining: Bool { if case .draining = self { true } else { false } }

  /// Whether steps, evaluations and leases still go on.
  package var isWorking: Bool {
    switch self {
    case .running, .draining: true
    case .closing, .finished: false
    }
  }
}
