import Coordinator
import Wire

/// A journal in memory that fails as a file does, and the plain twin of `Journal`: what each entry means, without SQL.
///
/// A transaction is whole or not there, as SQLite's is. `write` stands for a commit; with `isSynced` false (which
/// production never is) a failing power takes back what was committed since the last sync.
public struct SimulatedJournal: Equatable, Sendable {
  /// Closed steps' batches, and everything else, as `Journal.contents` gives it.
  public private(set) var contents = JournalContents()
  private var batches: [UInt32: [RecalledGroup]] = [:]

  public init() {}

  /// Takes the entries of one event.
  public mutating func write(_ entries: [JournalEntry]) { for entry in entries { write(entry) } }

  /// The groups of a closed step's batch.
  public func recall(step: UInt32) -> [RecalledGroup] { batches[step] ?? [] }

  private mutating func write(_ entry: JournalEntry) {
    switch entry {
    case .began(let step, let version, let cursor):
      contents.versions[step] = version
      contents.nextToOpen = step
      contents.cursor = cursor
    case .sampledUnder(let settings): contents.groupSettings = settings
    case .opened(let step, let cursor, let cursorAfter):
      contents.steps[step] = JournalContents.Step(cursor: cursor, cursorAfter: cursorAfter)
      contents.nextToOpen = step + 1
      contents.cursor = cursorAfter
    case .drew(let id, let purpose, let step, let cursor):
      let place = contents.leases.firstIndex { id < $0.id } ?? contents.leases.count
      contents.leases.insert(
        JournalContents.LeaseRecord(id: id, purpose: purpose, step: step, cursor: cursor), at: place)
    case .granted(let id, let attempt): change(id) { $0.attempt = attempt }
    case .failed(let id, let failures): change(id) { $0.failures = failures }
    case .finished(let id, let group): change(id) { $0.outcome = .finished(group) }
    case .quarantined(let id, let prompt):
      change(id) { $0.outcome = .quarantined }
      contents.quarantined.append(prompt)
    case .closed(let step, let chosen, let measured):
      batches[step] = chosen.compactMap { id in
        guard let lease = contents.leases.first(where: { $0.id == id }), case .finished(let group) = lease.outcome
        else { return nil }
        return RecalledGroup(cursor: lease.cursor, group: group)
      }.sorted { $0.cursor < $1.cursor }
      contents.leases.removeAll { $0.purpose == .train && $0.step == step }
      contents.steps[step]?.measured = measured
    case .discardedSteps(let step, let cursor):
      contents.leases.removeAll { $0.purpose == .train && $0.step >= step }
      contents.steps = contents.steps.filter { $0.key < step }
      contents.nextToOpen = step
      contents.cursor = cursor
    case .discardedEvaluation: contents.leases.removeAll { $0.purpose == .evaluate }
    case .completed(let step, let version): contents.versions[step] = version
    case .evaluated(let evaluated):
      contents.leases.removeAll { $0.purpose == .evaluate }
      contents.evaluated = evaluated
    case .row(let row): contents.rows.append(row)
    case .checkpointed(let step):
      contents.checkpointedStep = step
      contents.steps = contents.steps.filter { $0.key >= step || $0.value.measured == nil }
      batches = batches.filter { $0.key >= step }
      let first = contents.rows.firstIndex { $0.kind == .evaluation }
      contents.rows = contents.rows.enumerated().filter { $0.offset == first || $0.element.step >= step }.map(\.element)
    case .counted(let counters): contents.counters = counters
    }
  }

  private mutating func change(_ id: LeaseID, _ body: (inout JournalContents.LeaseRecord) -> Void) {
    guard let index = contents.leases.firstIndex(where: { $0.id == id }) else { return }
    body(&contents.leases[index])
  }
}
