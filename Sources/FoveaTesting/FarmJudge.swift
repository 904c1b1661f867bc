import Coordinator
import Learner
import Prompts
import Settings
import Support
import Wire

/// The verdict on a simulated run.
public struct FarmVerdict: Sendable, CustomStringConvertible {
  public var seed: UInt64
  public var outcome: CoordinatorOutcome?
  /// The invariants that did not hold; empty for a sound run.
  public var violations: [String]
  /// The batches that the final weights were trained on, by step.
  public var batches: [TrainBatch]
  /// Rows of metrics, of all coordinators.
  public var rows: [MetricsRow]
  /// Over all coordinators, as journaled.
  public var counters: FarmCounters
  public var duration: Milliseconds
  public var eventCount: Int
  /// How often the coordinator was started.
  public var coordinatorLives: Int

  public var description: String {
    "seed \(seed): \(outcome.map { "\($0)" } ?? "unfinished") after \(duration) ms; \(violations); \(counters)"
  }
}

/// Watches a simulated farm and says what does not hold:
///
/// - the coordinator's own invariants, after every event: no lease is lost, held twice, or given out after its end;
///   open steps and open leases agree; a lost worker holds nothing;
/// - a lease is finished once in the life of the run, and no prompt is drawn after it was quarantined;
/// - each trained batch has exactly `promptsPerStep` complete groups, of distinct prompts, sorted, of its step, sampled
///   from a version that the step allows, and unaltered;
/// - over the life of the run each step is trained on one batch, however often, and no prompt in two steps;
/// - versions grow, at the coordinator over all its lives, and at each worker;
/// - each step has one row of metrics, and they come in order, whichever process was killed.
struct FarmJudge {
  private let settings: RunSettings
  private let dataset: SimulatedDataset
  private let zeroVarianceShare: Float
  private(set) var violations: [String] = []
  private var batches: [UInt32: TrainBatch] = [:]
  private var finished: Set<LeaseID> = []
  private var quarantined: Set<UInt64> = []
  private var newest: PolicyVersion?
  private var newestRows: [MetricsRow.Kind: UInt32] = [:]
  private var rows: [MetricsRow] = []
  private var counters = FarmCounters()
  private(set) var coordinatorLives = 0
  private var eventCount = 0

  init(_ plan: SimulatedFarm.Plan) {
    settings = plan.settings
    dataset = plan.dataset
    zeroVarianceShare = plan.workerTraits.zeroVarianceShare
  }

  mutating func fail(_ violation: String) { violations.append(violation) }

  /// A coordinator has read its journal; as the file of metrics does, rows that were lost on the way are added.
  mutating func coordinatorStarts(from contents: JournalContents) {
    coordinatorLives += 1
    for row in contents.rows where newestRows[row.kind].map({ row.step > $0 }) ?? true { recorded(row) }
  }

  /// These entries are in the journal.
  mutating func journaled(_ entries: [JournalEntry]) {
    for entry in entries {
      switch entry {
      case .finished(let id, _):
        if !finished.insert(id).inserted { fail("\(id) is finished twice") }
      case .quarantined(_, let prompt) where prompt.purpose == .train: quarantined.insert(prompt.prompt)
      case .drew(_, .train, let step, let cursor):
        let prompt = dataset.trainingPrompt(at: cursor).id
        if quarantined.contains(prompt) { fail("step \(step) draws prompt \(prompt), which is quarantined") }
      default: break
      }
    }
  }

  /// The coordinator has handled an event.
  mutating func coordinator(_ state: CoordinatorState) {
    eventCount += 1
    counters = state.tally
    violations += state.brokenInvariants
    if let newest, state.newestVersion.map({ $0 < newest }) ?? true { fail("the version went back from \(newest)") }
    newest = state.newestVersion
  }

  mutating func recorded(_ row: MetricsRow) {
    rows.append(row)
    if row.kind == .step, row.step != newestRows[.step].map({ $0 + 1 }) ?? 1 {
      fail("the row of step \(row.step) follows that of \(newestRows[.step] ?? 0)")
    }
    if row.kind == .step, row.values["loss"] != 1 {
      fail("the row of step \(row.step) lacks what the learner measured")
    }
    newestRows[row.kind] = row.step
  }

  mutating func held(before: PolicyVersion?, now: PolicyVersion?) {
    if let before, now.map({ $0 < before }) ?? true { fail("a worker went back from \(before)") }
  }

  /// The learner has trained a batch.
  mutating func trained(_ batch: TrainBatch, after state: TrainerState) {
    if batch.step + 1 != state.nextStep { fail("step \(batch.step) was trained as \(state.nextStep - 1)") }
    check(batch)
    if let before = batches[batch.step], before != batch { fail("step \(batch.step) was trained on two batches") }
    batches[batch.step] = batch
  }

  private mutating func check(_ batch: TrainBatch) {
    let place = "step \(batch.step)"
    if batch.groups.count != settings.rollout.promptsPerStep { fail("\(place) has \(batch.groups.count) groups") }
    let prompts = batch.groups.map(\.prompt)
    if Set(prompts).count != prompts.count { fail("\(place) has a prompt twice: \(prompts)") }
    if prompts != prompts.sorted() { fail("\(place) is not sorted: \(prompts)") }
    for group in batch.groups {
      let staleness = Int64(batch.step) - Int64(group.policyVersion.value)
      if !(0...Int64(settings.rollout.maxStaleness)).contains(staleness) {
        fail("\(place) has a group \(staleness) behind")
      }
      let right = SimulatedPolicy.group(
        step: batch.step, prompt: group.prompt, seed: settings.run.seed, groupSize: settings.rollout.groupSize,
        maxNewTokens: settings.rollout.sampling.maxNewTokens, version: group.policyVersion,
        zeroVarianceShare: zeroVarianceShare)
      var whole = group
      if settings.farm.stragglers == .partial, group.rollouts.count >= settings.farm.partialGroupMin,
        isSubsequence(group.rollouts, of: right.rollouts)
      {
        whole.rollouts = right.rollouts
      }
      if whole != right { fail("\(place) has a group of prompt \(group.prompt) that no worker made") }
    }
  }

  private func isSubsequence(_ some: [Rollout], of all: [Rollout]) -> Bool {
    var rest = all[...]
    return some.allSatisfy { one in
      guard let place = rest.firstIndex(of: one) else { return false }
      rest = rest[(place + 1)...]
      return true
    }
  }

  func verdict(seed: UInt64, outcome: CoordinatorOutcome?, duration: Milliseconds) -> FarmVerdict {
    var violations = violations
    let ordered = batches.values.sorted { $0.step < $1.step }
    if outcome == .completed {
      let steps = ordered.map(\.step)
      if steps != Array(0..<UInt32(settings.run.steps)) { violations.append("trained steps are \(steps)") }
      let prompts = ordered.flatMap { $0.groups.map(\.prompt) }
      if dataset.period == nil && Set(prompts).count != prompts.count {
        violations.append("a prompt was trained in two steps")
      }
      let evaluated = Set(rows.filter { $0.kind == .evaluation }.map(\.step))
      let recorded = rows.filter { $0.kind == .step }.map(\.step)
      if recorded != Array(1...UInt32(settings.run.steps)) { violations.append("rows are of steps \(recorded)") }
      if !evaluated.contains(UInt32(settings.run.steps)) { violations.append("the last version was not evaluated") }
    }
    return FarmVerdict(
      seed: seed, outcome: outcome, violations: violations, batches: ordered, rows: rows, counters: counters,
      duration: duration, eventCount: eventCount, coordinatorLives: coordinatorLives)
  }
}
