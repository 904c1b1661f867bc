import Wire

/// The batches that a restarted learner may need again.
///
/// A learner that dies comes back from its last checkpoint, some steps behind. The farm does not go back with it:
/// workers never step back to an older version. The learner gets the very groups again that it trained before, and as
/// training is exact, it arrives at the same weights.
///
/// The journal keeps the groups of every step that is not checkpointed. Two batches at most are in memory: the newest,
/// and the one that was read back last. As the newest checkpoint may turn out to be damaged, a step counts as
/// checkpointed only when the one before the newest has it.
package struct BatchArchive: Sendable {
  /// The closed steps that can be trained again; its end is the next step to close.
  private(set) package var kept: Range<UInt32> = 0..<0
  private var cursors: [UInt32: UInt64] = [:]
  private var newest: TrainBatch?
  private var readBack: TrainBatch?
  private var recalling: UInt32?
  private var newestSaved: UInt32 = 0

  package init() {}

  /// The first step that will be closed.
  package mutating func begin(at step: UInt32) {
    kept = step..<step
    newestSaved = step
  }

  /// Takes what an earlier process has closed: steps that follow each other, and the cursors after them.
  package mutating func recover(_ steps: [(step: UInt32, cursorAfter: UInt64)], next: UInt32, checkpointed: UInt32) {
    kept = (steps.first?.step ?? next)..<next
    for (step, cursorAfter) in steps { cursors[step] = cursorAfter }
    newestSaved = max(checkpointed, kept.lowerBound)
  }

  /// A step is closed.
  package mutating func keep(_ batch: TrainBatch) {
    precondition(batch.step == kept.upperBound, "step \(batch.step) is out of order, \(kept.upperBound) is next")
    kept = kept.lowerBound..<batch.step + 1
    cursors[batch.step] = batch.cursor
    newest = batch
  }

  /// A batch, if it is in memory.
  package subscript(step: UInt32) -> TrainBatch? {
    if newest?.step == step { return newest }
    return readBack?.step == step ? readBack : nil
  }

  /// Whether a kept batch has to be read back; true once, until it has come.
  package mutating func recalls(_ step: UInt32) -> Bool {
    guard kept.contains(step), recalling != step else { return false }
    recalling = step
    return true
  }

  package mutating func recalled(_ batch: TrainBatch) {
    recalling = nil
    readBack = batch
  }

  package func cursorAfter(_ step: UInt32) -> UInt64? { cursors[step] }

  /// A learner has made a checkpoint behind `step` steps.
  /// - Returns: the first step that is still kept, when that has changed.
  package mutating func saved(_ step: UInt32) -> UInt32? {
    guard step > newestSaved else { return nil }
    let first = min(newestSaved, kept.upperBound)
    newestSaved = step
    guard first > kept.lowerBound else { return nil }
    for step in kept.lowerBound..<first { cursors[step] = nil }
    kept = first..<kept.upperBound
    return first
  }

  /// A learner resumes from a checkpoint behind `step` steps: a newer one is not to be relied on.
  package mutating func learnerReturns(at step: UInt32) { newestSaved = min(newestSaved, step) }
}
