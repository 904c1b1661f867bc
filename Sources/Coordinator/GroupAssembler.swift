import Prompts
import Settings
import Support
import Wire

/// Collects the groups of one step until the batch is whole.
///
/// With dynamic sampling a group whose rewards are all equal is set aside and a replacement is drawn, `replacementsMax`
/// times a step at most; what is still missing then is filled up with the groups set aside, those drawn first. A step
/// draws one prompt more only when a drawn one turned out useless, so the drawn ones are the shortest prefix of its
/// sequence with enough useful groups: the batch depends on what the groups hold, never on the order in which they
/// came. Invariants: every group is of this step and complete; the batch has exactly `wanted` groups, sorted by prompt.
package struct GroupAssembler: Sendable {
  private struct Admitted: Sendable {
    let lease: LeaseID
    let cursor: UInt64
    let group: RolloutGroup
    let staleness: Int
  }

  package let step: UInt32
  /// The start of the next step's prompts.
  package let cursorAfter: UInt64
  package let wanted: Int
  /// When the step's first lease was granted; nil before.
  package var startedAt: Milliseconds?
  /// When the newest group was admitted.
  private(set) package var lastAdmittedAt: Milliseconds?
  private(set) package var replacementCount = 0
  private(set) package var quarantinedCount = 0
  /// The next position of the step's replacement sequence.
  package var replacementPosition: UInt64 = 0
  private(set) package var taken: Set<UInt64> = []

  private let replacementsMax: Int
  private var open: Set<UInt64> = []
  private var useful: [Admitted] = []
  private var setAside: [Admitted] = []
  private var zeroVarianceCount = 0

  /// - Parameters:
  ///   - drawn: the step's prompts; as many groups are wanted.
  ///   - replacementsMax: how many groups without variance may be replaced; 0 takes them as they are.
  package init(step: UInt32, drawn: [DrawnPrompt], cursorAfter: UInt64, replacementsMax: Int) {
    self.step = step
    self.cursorAfter = cursorAfter
    self.replacementsMax = replacementsMax
    wanted = drawn.count
    for one in drawn { add(one) }
  }

  /// A step of a run.
  package init(
    step: UInt32, drawn: [DrawnPrompt], cursorAfter: UInt64, settings: RunSettings,
    limits: CoordinatorLimits = CoordinatorLimits()
  ) {
    self.init(
      step: step, drawn: drawn, cursorAfter: cursorAfter,
      replacementsMax: settings.algorithm.dynamicSampling
        ? limits.replacementsPerPrompt * settings.rollout.promptsPerStep : 0)
  }

  /// Groups that the batch has already.
  package var doneCount: Int { min(wanted, wanted - open.count) }

  /// Drawn prompts that are not answered.
  package var openCount: Int { open.count }

  /// Whether every drawn prompt is answered and nothing is to be replaced.
  package var isComplete: Bool { open.isEmpty && useful.count + setAside.count >= wanted }

  /// A prompt of this step is drawn, at the start or as a replacement.
  package mutating func add(_ drawn: DrawnPrompt) {
    precondition(open.insert(drawn.cursor).inserted, "cursor \(drawn.cursor) is drawn twice")
    taken.insert(drawn.prompt.id)
  }

  /// Takes a valid group.
  /// - Returns: true when it is set aside and a replacement has to be drawn.
  package mutating func admit(_ group: RolloutGroup, for work: LeaseWork, staleness: Int, now: Milliseconds) -> Bool {
    precondition(work.step == step && open.remove(work.drawn.cursor) != nil, "\(work.id) is not open in step \(step)")
    lastAdmittedAt = now
    var group = group
    group.images = work.drawn.prompt.images
    let admitted = Admitted(lease: work.id, cursor: work.drawn.cursor, group: group, staleness: staleness)
    guard Self.hasNoVariance(group) else {
      useful.append(admitted)
      return false
    }
    zeroVarianceCount += 1
    guard replacementsMax > 0 else {
      useful.append(admitted)
      return false
    }
    setAside.append(admitted)
    guard replacementCount < replacementsMax else { return false }
    replacementCount += 1
    return true
  }

  /// A prompt has failed all its attempts; a replacement has to be drawn.
  package mutating func quarantine(_ work: LeaseWork) {
    precondition(work.step == step && open.remove(work.drawn.cursor) != nil, "\(work.id) is not open in step \(step)")
    quarantinedCount += 1
  }

  /// Leases of the batch's groups.
  package var chosenLeases: [LeaseID] { chosen().map(\.lease).sorted() }

  /// The whole step's batch.
  package func batch() -> TrainBatch {
    TrainBatch(step: step, cursor: cursorAfter, groups: chosen().map(\.group))
  }

  /// The measurements of the step that the coordinator makes; docs/METRICS.md lists them.
  package func metrics() -> [String: Double] {
    let chosen = chosen()
    let rollouts = chosen.flatMap(\.group.rollouts)
    let rewards = rollouts.map { Double($0.reward) }
    let tokens = Double(rollouts.reduce(0) { $0 + $1.tokens.count })
    let reward = mean(rewards)
    let sampled = useful.count + setAside.count
    var values: [String: Double] = [
      "reward": reward,
      "reward_std": mean(rewards.map { ($0 - reward) * ($0 - reward) }).squareRoot(),
      "completion_tokens": tokens / Double(max(1, rollouts.count)),
      "truncated": mean(rollouts.map { $0.finish == .length ? 1 : 0 }),
      "zero_variance": Double(zeroVarianceCount) / Double(max(1, sampled)),
      "groups": Double(chosen.count),
      "samples": Double(rollouts.count),
      "tokens": tokens,
      "staleness": mean(chosen.map { Double($0.staleness) }),
      "staleness_max": Double(chosen.map(\.staleness).max() ?? 0),
      "groups_replaced": Double(replacementCount),
      "prompts_quarantined": Double(quarantinedCount),
    ]
    if let startedAt, let lastAdmittedAt, lastAdmittedAt >= startedAt {
      let seconds = Double(lastAdmittedAt - startedAt) / 1000
      values["rollout_seconds"] = seconds
      if seconds > 0 { values["tokens_per_second"] = tokens / seconds }
    }
    return values.merging(rollouts.scoreMeans()) { own, _ in own }
  }

  /// The groups of the batch: the useful ones, filled up with those set aside that were drawn first.
  private func chosen() -> [Admitted] {
    precondition(isComplete, "step \(step) has \(useful.count) useful groups of \(wanted)")
    let filling = setAside.sorted { $0.cursor < $1.cursor }.prefix(max(0, wanted - useful.count))
    return (useful + filling).sorted { ($0.group.prompt, $0.cursor) < ($1.group.prompt, $1.cursor) }
  }

  private static func hasNoVariance(_ group: RolloutGroup) -> Bool {
    group.rollouts.allSatisfy { $0.reward == group.rollouts.first?.reward }
  }
}

func mean(_ values: [Double]) -> Double {
  values.isEmpty ? 0 : values.reduce(0, +) / Double(values.count)
}
