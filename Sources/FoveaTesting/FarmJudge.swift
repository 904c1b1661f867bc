import Coordinator
import Core
import Learner
import Settings
import Wire

/// What a simulated run came to.
public struct FarmVerdict: Sendable, CustomStringConvertible {
  public var seed: UInt64
  public var outcome: CoordinatorOutcome?
  /// What did not hold; empty for a sound run.
  public var violations: [String]
  /// What the weights at the end were trained on, by step.
  public var batches: [TrainBatch]
  /// Rows of metrics, of all coordinators.
  public var rows: [MetricsRow]
  /// Of the last coordinator.
  public var counters: FarmCounters
  public var duration: Milliseconds
  public var eventCount: Int

  public var description: String {
    "seed \(seed): \(outcome.map { "\($0)" } ?? "unfinished") after \(duration) ms; \(violations); \(counters)"
  }
}

/// Watches a simulated farm and says what does not hold:
///
/// - the coordinator's own invariants, after every event: no lease is lost, held twice, or given out after its end; open
///   steps and open leases agree; a lost worker holds nothing;
/// - each trained batch has exactly `promptsPerStep` complete groups, of distinct prompts, sorted, of its step, sampled from
///   a version that the step allows, and unaltered;
/// - over the life of the weights each step is trained once, and no prompt twice;
/// - a step that is trained again after a learner's death is trained on the same batch;
/// - versions grow, at the coordinator and at each worker;
/// - one row of metrics a step from each coordinator, in order.
struct FarmJudge {
  private let settings: RunSettings
  private let zeroVarianceShare: Float
  private(set) var violations: [String] = []
  private(set) var coordinatorCrashCount = 0
  /// The newest batch of each step, and the life of the coordinator that made it.
  private var batches: [UInt32: (batch: TrainBatch, life: Int)] = [:]
  private var life = 0
  private var newest: PolicyVersion?
  private var rowStep: UInt32?
  private var rows: [MetricsRow] = []
  private var counters = FarmCounters()
  private var eventCount = 0

  init(settings: RunSettings, zeroVarianceShare: Float) {
    self.settings = settings
    self.zeroVarianceShare = zeroVarianceShare
  }

  mutating func fail(_ violation: String) { violations.append(violation) }

  mutating func coordinatorStarts() {
    life += 1
    newest = nil
    rowStep = nil
  }

  mutating func coordinatorCrashes() { coordinatorCrashCount += 1 }

  mutating func coordinator(_ state: CoordinatorState, did effects: [CoordinatorEffect]) {
    eventCount += 1
    counters = state.tally
    violations += state.brokenInvariants
    if let newest, state.newestVersion.map({ $0 < newest }) ?? true { fail("the version went back from \(newest)") }
    newest = state.newestVersion
    for case .record(let row) in effects {
      rows.append(row)
      guard row.kind == .step else { continue }
      if let rowStep, row.step != rowStep + 1 { fail("the row of step \(row.step) follows that of \(rowStep)") }
      rowStep = row.step
    }
  }

  mutating func held(before: PolicyVersion?, now: PolicyVersion?) {
    if let before, now.map({ $0 < before }) ?? true { fail("a worker went back from \(before)") }
  }

  /// The learner has trained a batch.
  mutating func trained(_ batch: TrainBatch, after state: TrainerState) {
    if batch.step + 1 != state.nextStep { fail("step \(batch.step) was trained as \(state.nextStep - 1)") }
    check(batch)
    if let (before, itsLife) = batches[batch.step], before != batch {
      let isExact = settings.rollout.maxStaleness == 0 && counters.quarantined == 0
      if itsLife == life || isExact { fail("step \(batch.step) was trained on two different batches") }
    }
    batches[batch.step] = (batch, life)
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
      if group != right { fail("\(place) has a group of prompt \(group.prompt) that no worker made") }
    }
  }

  func verdict(seed: UInt64, outcome: CoordinatorOutcome?, duration: Milliseconds) -> FarmVerdict {
    var violations = violations
    let ordered = batches.values.map(\.batch).sorted { $0.step < $1.step }
    if outcome == .completed {
      let steps = ordered.map(\.step)
      if steps != Array(0..<UInt32(settings.run.steps)) { violations.append("trained steps are \(steps)") }
      let prompts = ordered.flatMap { $0.groups.map(\.prompt) }
      if Set(prompts).count != prompts.count { violations.append("a prompt was trained in two steps") }
      let evaluated = Set(rows.filter { $0.kind == .evaluation }.map(\.step))
      if !evaluated.contains(UInt32(settings.run.steps)) { violations.append("the last version was not evaluated") }
    }
    return FarmVerdict(
      seed: seed, outcome: outcome, violations: violations, batches: ordered, rows: rows, counters: counters,
      duration: duration, eventCount: eventCount)
  }
}
