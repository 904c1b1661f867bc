import Prompts
import Support
import Wire

/// The evaluations of a run: held-out prompts at the start, every N steps, and at the end.
///
/// Whether a version is evaluated depends on its step alone, so that a resumed run evaluates where an unbroken one
/// would. Each prompt is answered once, greedily. One that failed all its attempts counts as wrong, and is not asked
/// again.
package struct EvaluationPlan: Sendable {
  /// An evaluation under way.
  package struct Open: Sendable {
    package let step: UInt32
    package let version: PolicyVersion
    package let startedAt: Milliseconds
    /// The answers by held-out index; nil while there is none.
    fileprivate var answers: [Rollout?]
    fileprivate var openCount: Int
    fileprivate var failedCount = 0

    package var wanted: Int { answers.count }
    package var doneCount: Int { answers.count - openCount }
    package var isComplete: Bool { openCount == 0 }
  }

  private let every: Int
  private let stepCount: UInt32
  private let prompts: [DrawnPrompt]
  /// The last step that was evaluated.
  private var evaluatedStep: UInt32?
  private(set) package var open: Open?

  /// - Parameter every: steps between evaluations; 0 leaves only the start and the end.
  package init(every: Int, stepCount: UInt32, prompts: [DrawnPrompt]) {
    self.every = every
    self.stepCount = stepCount
    self.prompts = prompts
  }

  /// Whether the version behind `step` steps has still to be evaluated.
  package func isDue(after step: UInt32) -> Bool {
    guard !prompts.isEmpty, evaluatedStep.map({ $0 < step }) ?? true else { return false }
    return step == 0 || step == stepCount || (every > 0 && step % UInt32(clamping: every) == 0)
  }

  /// Takes the evaluation of an earlier process as done.
  package mutating func recover(evaluatedStep: UInt32) { self.evaluatedStep = evaluatedStep }

  /// Begins an evaluation.
  /// - Parameter failed: ids of prompts that are not to be asked.
  /// - Returns: the work to lease, a prompt each.
  package mutating func begin(
    step: UInt32, version: PolicyVersion, failed: Set<UInt64> = [], now: Milliseconds
  ) -> [LeaseWork] {
    precondition(open == nil && isDue(after: step), "no evaluation is due at step \(step)")
    let asked = prompts.filter { !failed.contains($0.prompt.id) }
    open = Open(
      step: step, version: version, startedAt: now, answers: Array(repeating: nil, count: prompts.count),
      openCount: asked.count, failedCount: prompts.count - asked.count)
    return asked.map { .evaluate(step: step, drawn: $0) }
  }

  /// Takes the answer to one prompt.
  package mutating func admit(_ group: RolloutGroup, for work: LeaseWork) {
    precondition(open?.step == work.step && group.rollouts.count == 1, "\(work.id) is not of the open evaluation")
    open?.answers[Int(work.drawn.cursor)] = group.rollouts[0]
    open?.openCount -= 1
  }

  /// One prompt has failed all its attempts.
  package mutating func quarantine(_ work: LeaseWork) {
    precondition(open?.step == work.step, "\(work.id) is not of the open evaluation")
    open?.openCount -= 1
    open?.failedCount += 1
  }

  /// Ends the open evaluation, which is complete.
  package mutating func finish(now: Milliseconds) -> MetricsRow {
    guard let done = open, done.isComplete else { preconditionFailure("no evaluation is complete") }
    open = nil
    evaluatedStep = done.step
    let count = Double(done.wanted)
    let answers = done.answers.compactMap { $0 }
    func share(_ value: (Rollout) -> Double) -> Double { answers.reduce(0) { $0 + value($1) } / count }
    var values: [String: Double] = [
      "heldout_prompts": count,
      "heldout_failed": Double(done.failedCount),
      "heldout_completion_tokens": share { Double($0.tokens.count) },
      "heldout_truncated": share { $0.finish == .length ? 1 : 0 },
      "heldout_seconds": Double(now - done.startedAt) / 1000,
    ]
    for (name, mean) in answers.scoreMeans(missing: done.failedCount) { values["heldout_" + name] = mean }
    return MetricsRow(kind: .evaluation, step: done.step, version: done.version, values: values)
  }
}
