import Prompts
import Settings
import Support
import Tasks
import Wire

/// A coordinator that starts again resumes from its journal.
extension CoordinatorState {
  /// Builds the state that an earlier process left. Leases that were granted are queued: a result of a worker that
  /// still decodes one counts, and other workers may get it.
  ///
  /// Groups of an open step that were sampled under other settings are forgotten, and the step is sampled again.
  mutating func recover(from contents: JournalContents) throws {
    try contents.check(place: runID)
    counters = contents.counters
    outbox = CoordinatorOutbox(journaled: counters)
    quarantined = contents.quarantined
    prompts.quarantined = Set(quarantined.filter { $0.purpose == .train }.map(\.prompt))
    guard let trained = contents.completed else { return }
    try recoverVersions(contents.versions)
    guard contents.nextToOpen >= trained else {
      throw contradiction("no open step below \(trained + 1)", "\(contents.nextToOpen + 1)")
    }
    steps.begin(completed: trained, nextToOpen: contents.nextToOpen, nextPrompt: contents.cursor)
    if let evaluated = contents.evaluated { evaluation.recover(evaluatedStep: evaluated.step) }
    let handedOver = try recoverClosedSteps(contents)
    recoverMeasurements(contents, handedOver: handedOver)
    let current = Self.groupSettings(settings)
    let isSame = contents.groupSettings == current
    if !isSame { journal(.sampledUnder(settings: current)) }
    if isSame { try recoverOpenSteps(contents) } else { try discardOpenSteps(contents) }
    try recoverEvaluation(contents, isSame: isSame)
    log("resumes from the journal: \(trained) steps are trained, \(doneInOpenSteps) groups of open steps are kept")
  }

  /// The settings that decide what a group holds, as text.
  static func groupSettings(_ settings: RunSettings) -> String {
    let parts = [
      "run.seed", "model.", "task.", "rollout.prompts_per_step", "rollout.group_size", "rollout.sampling",
      "rollout.stop",
      "algorithm.dynamic_sampling",
    ]
    return settings.values.filter { value in parts.contains { value.path.hasPrefix($0) } }
      .map { "\($0.path): \($0.text)" }.joined(separator: "\n")
  }

  private var doneInOpenSteps: Int { openSteps.reduce(0) { $0 + $1.doneCount } }

  private mutating func recoverVersions(_ versions: [UInt32: PolicyVersion]) throws {
    for (step, version) in versions.sorted(by: { $0.key < $1.key }) {
      if gate.newest == nil {
        gate.begin(at: step, version: version)
      } else if gate.version(after: step - 1) == nil || !gate.publish(version) {
        throw contradiction("versions that grow with every step", "\(version) after \(step) steps")
      }
    }
  }

  private mutating func recoverMeasurements(_ contents: JournalContents, handedOver: [String: Double]?) {
    measurements.recover(rows: contents.rows, handedOver: handedOver, lastEvaluated: contents.evaluated)
    let elapsed = contents.rows.compactMap { $0.values["seconds_elapsed"] }.max() ?? 0
    if (0...1e9).contains(elapsed) { clock.resume(after: elapsed) }
  }

  /// - Returns: what the coordinator measured of the step whose batch was handed over and is not trained yet.
  private mutating func recoverClosedSteps(_ contents: JournalContents) throws -> [String: Double]? {
    let closed = contents.steps.filter { $0.value.measured != nil }.sorted { $0.key < $1.key }
    let next = closed.last.map { $0.key + 1 } ?? steps.completed
    guard zip(closed, closed.dropFirst()).allSatisfy({ $0.key + 1 == $1.key }),
      next == steps.completed || next == steps.completed + 1
    else { throw contradiction("closed steps up to \(steps.completed)", "\(closed.map { $0.key + 1 })") }
    archive.recover(
      closed.map { ($0.key, $0.value.cursorAfter) }, next: next, checkpointed: contents.checkpointedStep)
    return next > steps.completed ? closed.last?.value.measured : nil
  }

  private mutating func recoverOpenSteps(_ contents: JournalContents) throws {
    try contents.checkOpenSteps(promptsPerStep: settings.rollout.promptsPerStep, place: runID)
    for (step, record) in contents.steps.sorted(by: { $0.key < $1.key }) where record.measured == nil {
      let records = contents.leases.filter { $0.purpose == .train && $0.step == step }
      var open = assembler(
        step: step, drawn: records.filter { $0.cursor < PromptSource.cursorMax }.map { prompts.drawn(at: $0.cursor) },
        cursorAfter: record.cursorAfter)
      open.startedAt = clock.now
      open.replacementPosition = PromptSource.replacementPosition(step: step, behind: records.map(\.cursor))
      for record in records where record.cursor >= PromptSource.cursorMax { open.add(prompts.drawn(at: record.cursor)) }
      for record in records { try recover(record, into: &open) }
      guard open.openCount > 0 || open.isComplete else {
        throw contradiction("a replacement for each group of step \(step + 1) that is set aside", "fewer")
      }
      openSteps.append(open)
    }
    let first = archive.kept.upperBound
    guard openSteps.enumerated().allSatisfy({ $1.step == UInt64(first) + UInt64($0) }),
      UInt64(steps.nextToOpen) == UInt64(first) + UInt64(openSteps.count)
    else {
      throw contradiction(
        "open steps from \(first + 1) to \(steps.nextToOpen)", "\(openSteps.map { $0.step + 1 })")
    }
  }

  private mutating func recover(_ record: JournalContents.LeaseRecord, into open: inout GroupAssembler) throws {
    let work = LeaseWork.train(
      step: record.step, drawn: prompts.drawn(at: record.cursor), groupSize: settings.rollout.groupSize)
    leases.recover(work, attempt: record.attempt, failures: record.failures, outcome: record.outcome.kind)
    switch record.outcome {
    case .open: break
    case .quarantined: open.quarantine(work)
    case .finished(let group):
      guard recoveredFault(in: group, for: work, sizeMin: min(2, work.groupSize)) == nil,
        case .admitted(let staleness) = gate.judge(group.policyVersion, for: record.step)
      else { throw contradiction("a group of step \(record.step + 1)", "one that does not answer \(record.id)") }
      _ = open.admit(group, for: work, staleness: staleness, now: clock.now)
    }
  }

  private mutating func discardOpenSteps(_ contents: JournalContents) throws {
    let first = contents.steps.filter { $0.value.measured == nil }.min { $0.key < $1.key }
    if let (step, record) = first {
      steps.reopen(from: step, nextPrompt: record.cursor)
      journal(.discardedSteps(from: step, cursor: record.cursor))
      log("other settings: the groups of step \(step + 1) are sampled again")
    }
    guard steps.nextToOpen == archive.kept.upperBound else {
      throw contradiction("step \(archive.kept.upperBound + 1) to be the next", "\(steps.nextToOpen + 1)")
    }
  }

  private mutating func recoverEvaluation(_ contents: JournalContents, isSame: Bool) throws {
    let records = contents.leases.filter { $0.purpose == .evaluate }
    guard let version = gate.newest, !records.isEmpty else { return }
    let asked = Set(records.map(\.id))
    var plan = evaluation
    guard isSame, records.allSatisfy({ $0.step == steps.completed }), plan.isDue(after: steps.completed) else {
      return journal(.discardedEvaluation)
    }
    let all = plan.begin(step: steps.completed, version: version, now: clock.now)
    let rest = all.filter { !asked.contains($0.id) }.map(\.drawn.prompt.id)
    guard asked.isSubset(of: all.map(\.id)), failedEvaluationPrompts.isSuperset(of: rest) else {
      return journal(.discardedEvaluation)
    }
    let works = evaluation.begin(step: steps.completed, version: version, failed: Set(rest), now: clock.now)
    let byID = Dictionary(uniqueKeysWithValues: records.map { ($0.id, $0) })
    for work in works {
      guard let record = byID[work.id] else { continue }
      leases.recover(work, attempt: record.attempt, failures: record.failures, outcome: record.outcome.kind)
      switch record.outcome {
      case .open: break
      case .quarantined: evaluation.quarantine(work)
      case .finished(let group):
        guard recoveredFault(in: group, for: work, sizeMin: 1) == nil else {
          throw contradiction("an answer to \(record.id)", "another group")
        }
        evaluation.admit(group, for: work)
      }
    }
  }

  private func recoveredFault(in group: RolloutGroup, for work: LeaseWork, sizeMin: Int) -> String? {
    work.fault(in: group, sizeMin: sizeMin, maxNewTokens: settings.rollout.sampling.maxNewTokens)
  }

  private func contradiction(_ expected: String, _ found: String) -> InputError {
    InputError("resume from the journal", at: runID, expected: expected, found: found)
  }
}

extension JournalContents.LeaseRecord.Outcome {
  fileprivate var kind: LeaseTable.RecoveredOutcome {
    switch self {
    case .open: .open
    case .finished: .finished
    case .quarantined: .quarantined
    }
  }
}
