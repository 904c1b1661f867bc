import Core

/// Where prompts come from. A prompt is a pure function of the run seed and a cursor, so that a resumed run draws the
/// same data, and no state travels with it.
public protocol PromptDataset: Sendable {
  /// The training prompt at a cursor. Defined for every cursor: a finite file starts over, shuffled anew each epoch.
  func trainingPrompt(at cursor: UInt64) -> Prompt
  /// Number of held-out prompts.
  var heldOutCount: Int { get }
  /// The held-out prompt at `index`, 0 ..< `heldOutCount`; always the same.
  func heldOutPrompt(at index: Int) -> Prompt
}
