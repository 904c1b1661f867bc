import Runs
import Settings
import Wire

/// A stage of supervised training from its first step, or its newest checkpoint, to its last step: examples in; steps,
/// evaluations and checkpoints out.
///
/// It is confined to one thread. Invariant: which examples a step gets, and what is evaluated and saved after it,
/// follow from the settings and the checkpoint alone, so that a resumed stage ends with the bytes of one that was never
/// interrupted.
public struct SupervisedTrainer {
  /// The held-out prompts that the stage is measured on.
  public struct HeldOut {
    /// The number of prompts.
    public var count: Int
    /// Lets the model of now answer them and returns the measurements of the answers, by the names of docs/METRICS.md;
    /// nil where the stage does not teach to answer. It reports the number of prompts answered.
    public var answers: ((_ progress: (Int) -> Void) throws -> [String: Double])?

    public init(count: Int, answers: ((_ progress: (Int) -> Void) throws -> [String: Double])? = nil) {
      self.count = count
      self.answers = answers
    }
  }

  /// What the stage reports as it goes, all of it for people; called on the trainer's thread.
  public struct Observer {
    public var progress: (RunProgress) -> Void
    /// Each row of metrics, which is in the file already.
    public var row: (MetricsRow) -> Void
    /// A line for the log.
    public var log: (String) -> Void

    public init(
      progress: @escaping (RunProgress) -> Void = { _ in }, row: @escaping (MetricsRow) -> Void = { _ in },
      log: @escaping (String) -> Void = { _ in }
    ) {
      self.progress = progress
      self.row = row
      self.log = log
    }
  }

  private let stage: RunSettings.Stage
  private let settings: RunSettings
  private let runID: String
  private let examples: any SupervisedExamples
  private let heldOut: HeldOut
  private let observer: Observer
  private let metrics: MetricsFile
  private let checkpoints: CheckpointFolder
  private let clock = StageClock()
  private var session: SupervisedSession
  /// The seconds that earlier processes of the run took.
  private let secondsBefore: Double
  private var evaluatedStep: UInt32?
  private var savedStep: UInt32?

  /// The rows of the run that it resumes, oldest first.
  public let earlierRows: [MetricsRow]

  /// - Parameters:
  ///   - settings: of the run.
  ///   - directory: gets the metrics. Rows of later steps than the model's checkpoint are cut.
  ///   - model: of the run, opened for the stage's parts.
  ///   - policy: trains the model.
  /// - Throws: `InputError` for metrics that cannot be read or written.
  public init(
    _ stage: TrainingStage, settings: RunSettings, directory: RunDirectory, model: TrainedModel,
    policy: any PolicyTrainer, examples: any SupervisedExamples, heldOut: HeldOut, observer: Observer
  ) throws {
    self.stage = stage.settings(of: settings)
    self.settings = settings
    self.examples = examples
    self.heldOut = heldOut
    self.observer = observer
    runID = directory.runID
    checkpoints = model.store.folder
    session = SupervisedSession(settings: settings, stage: stage.settings(of: settings), model: model, policy: policy)
    metrics = try MetricsFile(path: directory.metricsPath)
    if model.isResumed { savedStep = session.state.nextStep }
    try metrics.cut(after: session.state.nextStep)
    earlierRows = try metrics.rows()
    evaluatedStep = earlierRows.last { $0.kind == .evaluation }?.step
    secondsBefore = earlierRows.compactMap { $0.values["seconds_elapsed"] }.filter(\.isFinite).max() ?? 0
  }

  private var stepCount: UInt32 { UInt32(clamping: stage.steps) }
  private var step: UInt32 { session.state.nextStep }
  private var secondsElapsed: Double { secondsBefore + clock.seconds }

  /// Trains until the last step is done, or until it is asked to stop.
  /// - Parameter isDrainAsked: looked at after each step; then the weights are saved and nothing more is done.
  /// - Throws: `InputError` for examples or a disk that fail; the newest checkpoint is untouched.
  public mutating func run(until isDrainAsked: () -> Bool = { false }) throws {
    try evaluate()
    while step < stepCount, !isDrainAsked() {
      try train()
      let isDrained = isDrainAsked()
      if isDue(settings.checkpoint.every) || isDrained { try save() }
      if !isDrained { try evaluate() }
    }
    if savedStep != step { try save() }
    show(step < stepCount ? "stopped" : "finished", hasEnded: true)
  }

  private mutating func train() throws {
    let started = clock.seconds
    show("training")
    var cursor = session.state.cursor
    let examples = try examples.next(stage.examplesPerStep, from: &cursor)
    var row = session.train(
      examples, cursor: cursor, seconds: { [clock] in clock.seconds }, progress: { [self] in show("training, \($0)") })
    let seconds = clock.seconds - started
    row.values["step_seconds"] = seconds
    row.values["seconds_elapsed"] = secondsElapsed
    row.values["tokens_per_second"] = (row.values["train_tokens"] ?? 0) / max(seconds, 1e-9)
    row.values["samples_total"] = Double(session.state.samplesTrained)
    try add(row)
  }

  /// Measures the loss of the held-out examples and, where the stage teaches to answer, how many held-out prompts the
  /// model answers right. The best weights by the latter are kept, the newest among equals.
  private mutating func evaluate() throws {
    guard evaluatedStep.map({ $0 < step }) ?? true, step == 0 || isDue(settings.evaluation.every) else { return }
    let started = clock.seconds
    var likelihood = (sum: 0.0, tokenCount: 0)
    for first in stride(from: 0, to: heldOut.count, by: stage.examplesPerStep) {
      showEvaluation("evaluating the loss", first)
      let part = session.negativeLogLikelihood(
        try examples.heldOut(first..<min(first + stage.examplesPerStep, heldOut.count)))
      likelihood.sum += part.sum
      likelihood.tokenCount += part.tokenCount
    }
    var values: [String: Double] = [:]
    if likelihood.tokenCount > 0 { values["heldout_loss"] = likelihood.sum / Double(likelihood.tokenCount) }
    if let answers = heldOut.answers {
      values.merge(try answers { showEvaluation("evaluating", $0) }) { $1 }
    }
    values["heldout_seconds"] = clock.seconds - started
    values["seconds_elapsed"] = secondsElapsed
    evaluatedStep = step
    try add(MetricsRow(kind: .evaluation, step: step, version: session.state.policyVersion, values: values))
    if let accuracy = values["heldout_accuracy"], step > 0,
      accuracy >= checkpoints.best.map({ Double($0.accuracy) }) ?? 0
    {
      if savedStep != step { try save() }
      try session.keepBest(accuracy: Float(accuracy))
    }
  }

  /// Whether what happens every `interval` steps, and after the last one, happens now.
  private func isDue(_ interval: Int) -> Bool { step == stepCount || interval > 0 && Int(step) % interval == 0 }

  private mutating func save() throws {
    show("saving a checkpoint")
    try session.save()
    savedStep = step
    observer.log("checkpoint after step \(step)")
  }

  private func add(_ row: MetricsRow) throws {
    try metrics.append(row)
    observer.row(row)
  }

  private func showEvaluation(_ phase: String, _ done: Int) {
    show(phase, RunProgress.Count(UInt32(clamping: done), of: UInt32(clamping: heldOut.count), .prompts))
  }

  private func show(_ phase: String, _ count: RunProgress.Count? = nil, hasEnded: Bool = false) {
    observer.progress(
      RunProgress(
        runID: runID, phase: phase, step: hasEnded ? step : min(step + 1, stepCount), stepCount: stepCount,
        count: count, secondsElapsed: secondsElapsed, hasEnded: hasEnded))
  }
}

/// Seconds since it was made, for people and metrics.
private struct StageClock: Sendable {
  private let start = MonotonicClock.now()
  var seconds: Double { Double(MonotonicClock.now() - start) / 1000 }
}
