import Support
import Wire

/// Whether a journal's parts can be those of one run, before a coordinator resumes from them.
///
/// A disk can damage any value and leave the file a sound database. What is found here, or contradicts itself later
/// when the state is built, is an `InputError`; what is not found leads no coordinator astray: no trap, no memory
/// without bound, no step that never ends.
extension JournalContents {
  /// Counts that no run reaches, and that can still be counted on.
  private static let countMax: UInt64 = 1 << 62

  /// - Throws: `InputError` that names what cannot be.
  func check(place: String) throws {
    for (step, version) in versions {
      try expect(step < UInt32.max - 1, "steps of a run", "\(step) steps trained", place)
      try expect(version.value < Self.countMax, "versions of a run", "\(version)", place)
    }
    for (_, path) in FarmCounters.named {
      try expect(counters[keyPath: path] < Self.countMax, "counts of a run", "\(counters[keyPath: path])", place)
    }
    for step in steps.keys { try expect(step < UInt32.max - 1, "steps of a run", "step number \(step)", place) }
    for cursor in [cursor] + steps.values.flatMap({ [$0.cursor, $0.cursorAfter] }) {
      try expect(cursor <= PromptSource.cursorMax, "cursors up to \(PromptSource.cursorMax)", "\(cursor)", place)
    }
    for lease in leases { try expect(lease.attempt < 1 << 30, "attempts of a lease", "\(lease.attempt)", place) }
  }

  /// The leases of open steps, which were sampled under the present settings.
  /// - Throws: `InputError` that names what contradicts what.
  func checkOpenSteps(promptsPerStep: Int, place: String) throws {
    for (step, record) in steps where record.measured == nil {
      let leases = leases.filter { $0.purpose == .train && $0.step == step }
      let drawn = leases.count { $0.cursor < PromptSource.cursorMax }
      try expect(drawn == promptsPerStep, "\(promptsPerStep) prompts in step \(step + 1)", "\(drawn)", place)
      for lease in leases {
        let isOwn = PromptSource.mayDraw(lease.cursor, in: step) && lease.id.value == lease.cursor << 1
        try expect(isOwn, "a lease of step \(step + 1)", "\(lease.id) at cursor \(lease.cursor)", place)
      }
    }
  }

  private func expect(
    _ holds: Bool, _ expected: @autoclosure () -> String, _ found: @autoclosure () -> String, _ place: String
  ) throws {
    if !holds { throw InputError("resume from the journal", at: place, expected: expected(), found: found()) }
  }
}
