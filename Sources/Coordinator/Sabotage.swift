import Wire

/// A mechanism of the coordinator that is broken on purpose: the simulator has to notice each of them, or it proves nothing.
/// Nothing but tests sets one (`CoordinatorLimits.sabotage`).
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
  case coversTooMuch
  /// A quarantined prompt is drawn again.
  case drawsQuarantined
  /// The run is over before a checkpoint has its last step.
  case endsUnsaved
}

extension CoordinatorState {
  /// A group joins its step once more.
  mutating func admitAgain(_ group: RolloutGroup, for work: LeaseWork) {
    guard work.purpose == .train, let open = openStepIndex(work.step) else { return }
    openSteps[open].admitAgain(group, for: work)
  }
}
