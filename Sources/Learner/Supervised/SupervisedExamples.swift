import Training

/// Where the examples of supervised training come from: a task's prompts with written completions, as tokens and
/// pixels.
///
/// Which examples a step gets is a pure function of the cursor, so that a resumed stage gets what one without an
/// interruption would have got.
public protocol SupervisedExamples {
  /// The next examples of training, each a group of one completion.
  /// - Parameter cursor: of the data, where to begin; moved behind the last prompt that was looked at.
  /// - Throws: `InputError` for prompts that the model cannot read, and for data without written completions.
  func next(_ count: Int, from cursor: inout UInt64) throws -> [TrainingGroup]

  /// The examples of the held-out prompts of a range; fewer than there are prompts where some have no written
  /// completion.
  func heldOut(_ range: Range<Int>) throws -> [TrainingGroup]
}
