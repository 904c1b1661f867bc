/// Where the run is in its steps and in its prompts.
///
/// Steps are numbered from 0 here and counted from 1 wherever a person reads.
/// Invariants: no step is opened twice, so `completed <= nextToOpen`; `nextPrompt` is the start of step `nextToOpen`.
package struct StepCursor: Equatable, Sendable {
  /// Steps of the whole run.
  package let stepCount: UInt32
  /// Steps trained; also the number of the step that is trained next.
  private(set) package var completed: UInt32 = 0
  /// The next step to open.
  private(set) package var nextToOpen: UInt32 = 0
  /// Where that step's prompts begin in the main sequence of `PromptSource`.
  private(set) package var nextPrompt: UInt64 = 0

  package init(stepCount: UInt32) { self.stepCount = stepCount }

  /// Whether every step is trained.
  package var isComplete: Bool { completed >= stepCount }

  /// The run begins, or is resumed, behind `completed` trained steps.
  package mutating func begin(completed: UInt32, nextToOpen: UInt32, nextPrompt: UInt64) {
    precondition(completed <= nextToOpen, "\(completed) steps are trained, \(nextToOpen) was opened next")
    (self.completed, self.nextToOpen, self.nextPrompt) = (completed, nextToOpen, nextPrompt)
  }

  /// The next step is opened; the one after begins at `nextPrompt`.
  package mutating func open(nextPrompt: UInt64) {
    nextToOpen += 1
    self.nextPrompt = nextPrompt
  }

  /// `step` and all later ones are to be opened again.
  package mutating func reopen(from step: UInt32, nextPrompt: UInt64) {
    (nextToOpen, self.nextPrompt) = (step, nextPrompt)
  }

  /// Step `completed` is trained.
  package mutating func complete() { completed += 1 }
}
