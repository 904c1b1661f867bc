import Wire

/// How far a run is, whatever kind of run it is: what a title and a progress bar show.
///
/// A farm makes one of its status, a stage of supervised training makes one itself.
public struct RunProgress: Equatable, Sendable {
  /// What the current phase counts: 3 of 8 groups.
  public struct Count: Equatable, Sendable {
    /// What is counted. Groups are parts of the open step; prompts are those of an evaluation.
    public enum Unit: String, Sendable {
      case groups
      case prompts
    }

    public var done: UInt32
    public var wanted: UInt32
    public var unit: Unit

    public init(_ done: UInt32, of wanted: UInt32, _ unit: Unit) {
      self.done = done
      self.wanted = wanted
      self.unit = unit
    }
  }

  public var runID: String
  /// The current activity, for display: "rollout", "training", "finished".
  public var phase: String
  /// The open step, counted from 1; after the end, the number of steps that were done.
  public var step: UInt32
  public var stepCount: UInt32
  /// The policy's, where versions are served.
  public var version: PolicyVersion?
  /// nil where the phase counts nothing.
  public var count: Count?
  /// Since the run began, over resumes.
  public var secondsElapsed: Double
  /// Whether nothing more is done: the run is finished, or was asked to stop.
  public var hasEnded: Bool

  public init(
    runID: String, phase: String, step: UInt32, stepCount: UInt32, version: PolicyVersion? = nil, count: Count? = nil,
    secondsElapsed: Double, hasEnded: Bool = false
  ) {
    self.runID = runID
    self.phase = phase
    self.step = step
    self.stepCount = stepCount
    self.version = version
    self.count = count
    self.secondsElapsed = secondsElapsed
    self.hasEnded = hasEnded
  }

  /// Steps that are done; of the open one the part that is counted. Sampling a step's groups is taken as 0.9 of it.
  public var stepsDone: Double {
    if hasEnded { return Double(step) }
    let share = count.map { $0.unit == .groups && $0.wanted > 0 ? Double($0.done) / Double($0.wanted) : 0 } ?? 0
    return Double(max(1, step) - 1) + min(1, share) * 0.9
  }

  /// The part of the run that is done, 0...1.
  public var share: Double { min(1, max(0, stepsDone / Double(max(1, stepCount)))) }
}

extension FarmStatus {
  /// How far the farm's run is. In an evaluation its groups are prompts.
  public var progress: RunProgress {
    RunProgress(
      runID: runID, phase: phase, step: step, stepCount: stepCount, version: version,
      count: groupsWanted == 0
        ? nil : RunProgress.Count(groupsDone, of: groupsWanted, phase == "evaluating" ? .prompts : .groups),
      secondsElapsed: secondsElapsed, hasEnded: phase == "finished")
  }
}
