import Wire

/// The consequences of the event being handled: journal entries, and the effects that wait until the journal has them.
///
/// Invariant: the entries of an event are one transaction, which comes before its effects and takes along the counters
/// when they have changed since the last one. Nothing stays behind from one event to the next.
package struct CoordinatorOutbox: Sendable {
  private var entries: [JournalEntry] = []
  private var effects: [CoordinatorEffect] = []
  /// The counters as the journal has them.
  private var journaledCounters: FarmCounters

  package init(journaled counters: FarmCounters = FarmCounters()) { journaledCounters = counters }

  package mutating func journal(_ entry: JournalEntry) { entries.append(entry) }
  package mutating func append(_ effect: CoordinatorEffect) { effects.append(effect) }

  /// Empties it at the end of an event.
  package mutating func take(_ counters: FarmCounters) -> [CoordinatorEffect] {
    defer { (entries, effects) = ([], []) }
    if entries.isEmpty { return effects }
    if counters != journaledCounters {
      entries.append(.counted(counters))
      journaledCounters = counters
    }
    return [.journal(entries)] + effects
  }
}
