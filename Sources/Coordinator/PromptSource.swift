import Prompts
import Tasks

/// A prompt and the cursor that it was drawn at. The cursor identifies the work for the whole life of the run.
package struct DrawnPrompt: Equatable, Sendable {
  package var cursor: UInt64
  package var prompt: Prompt

  package init(cursor: UInt64, prompt: Prompt) {
    self.cursor = cursor
    self.prompt = prompt
  }
}

/// Draws prompts. What a step draws depends on the data set, on the cursor at the step's start and on the prompts that
/// were quarantined before, and on nothing else that happens in the farm: not on workers, not on timing, not on faults.
///
/// Two sequences keep it so. The prompts of a step come from the main sequence, in order; the cursor after them is the
/// next step's start. Replacements (of groups without variance, of quarantined prompts) come from a sequence of the
/// step's own in a far region of the cursors, so that replacing moves no other step's data, also when steps overlap.
package struct PromptSource: Sendable {
  /// Cursors of the main sequence lie below this.
  package static let cursorMax: UInt64 = 1 << 40
  private static let replacementRegion = cursorMax
  private static let replacementsPerStep: UInt64 = 1 << 24
  /// A prompt that is already in the step, or is quarantined, is passed over, so that no two groups share their random
  /// keys. A data set smaller than a step has no other prompts: then the duplicate is taken.
  private static let passedOverMax = 1024

  private let dataset: any PromptDataset
  /// Ids of prompts that are not drawn.
  package var quarantined: Set<UInt64> = []

  package init(dataset: any PromptDataset) { self.dataset = dataset }

  /// The training prompt at a cursor, drawn before.
  package func drawn(at cursor: UInt64) -> DrawnPrompt {
    DrawnPrompt(cursor: cursor, prompt: dataset.trainingPrompt(at: cursor))
  }

  /// The position of a step's next replacement, after those that were drawn.
  package static func replacementPosition(step: UInt32, behind cursors: some Sequence<UInt64>) -> UInt64 {
    cursors.filter { $0 >= replacementRegion }.max().map { $0 &+ 1 &- replacementStart(step) } ?? 0
  }

  /// Whether a step may have drawn at a cursor: in the main sequence, or in its own region.
  static func mayDraw(_ cursor: UInt64, in step: UInt32) -> Bool {
    cursor < cursorMax || cursor >= replacementStart(step) && cursor - replacementStart(step) < replacementsPerStep
  }

  private static func replacementStart(_ step: UInt32) -> UInt64 {
    replacementRegion &+ UInt64(step) &* replacementsPerStep
  }

  /// The prompts of a step, and the cursor after them.
  package func prompts(from cursor: UInt64, count: Int) -> (drawn: [DrawnPrompt], next: UInt64) {
    var drawn: [DrawnPrompt] = []
    var taken: Set<UInt64> = []
    var next = cursor
    for _ in 0..<count {
      let one = firstFresh(from: next, taken: taken)
      taken.insert(one.prompt.id)
      drawn.append(one)
      next = one.cursor &+ 1
    }
    return (drawn, next)
  }

  /// The next replacement of a step.
  /// - Parameters:
  ///   - step: the step that needs it.
  ///   - position: the next position of the step's replacement sequence; moved past the prompt drawn.
  ///   - taken: prompts that the step has drawn already.
  package func replacement(step: UInt32, position: inout UInt64, taken: Set<UInt64>) -> DrawnPrompt {
    let start = Self.replacementStart(step)
    let one = firstFresh(from: start &+ position, taken: taken)
    position = one.cursor &+ 1 &- start
    return one
  }

  /// Held-out prompts, at most `count` of them; the cursor is the index.
  package func heldOut(count: Int) -> [DrawnPrompt] {
    (0..<max(0, min(count, dataset.heldOutCount))).map {
      DrawnPrompt(cursor: UInt64($0), prompt: dataset.heldOutPrompt(at: $0))
    }
  }

  private func firstFresh(from cursor: UInt64, taken: Set<UInt64>) -> DrawnPrompt {
    for offset in 0..<UInt64(Self.passedOverMax) {
      let prompt = dataset.trainingPrompt(at: cursor &+ offset)
      if !taken.contains(prompt.id) && !quarantined.contains(prompt.id) {
        return DrawnPrompt(cursor: cursor &+ offset, prompt: prompt)
      }
    }
    return DrawnPrompt(cursor: cursor, prompt: dataset.trainingPrompt(at: cursor))
  }
}
