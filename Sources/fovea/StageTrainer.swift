import Console
import Core
import Evaluation
import Foundation
import Imaging
import Learner
import Settings
import Tasks
import Wire

/// The training thread's own part of a stage: examples in, steps, evaluations and checkpoints out, until the last step or until
/// it is asked to stop.
///
/// Invariant: which examples a step gets, and what is evaluated and saved after it, follow from the settings and the checkpoint
/// alone, so that a resumed stage ends with the bytes of one that was never interrupted.
struct StageTrainer {
  private let stage: TrainingStage
  private let settings: RunSettings
  private let directory: RunDirectory
  private let display: RunDisplay
  private let model: TrainedModel
  private let demonstrations: Demonstrations
  private let processor: PromptProcessor
  private let exam: Exam
  private let metrics: MetricsFile
  private let log: LogFile
  private let clock: Stopwatch
  private var session: SupervisedSession
  private var evaluatedStep: UInt32?
  private var savedStep: UInt32?

  /// Goes on from the newest valid checkpoint of the folder, or starts from the model of the settings.
  init(
    stage: TrainingStage, settings: RunSettings, dataset: any PromptDataset, directory: RunDirectory, threads: Int,
    display: RunDisplay
  ) throws {
    self.stage = stage
    self.settings = settings
    self.directory = directory
    self.display = display
    let log = try LogFile(path: directory.logPath(stage.rawValue))
    self.log = log
    model = try TrainedModel(
      settings: settings, folder: directory.path, pool: ThreadPool(threads: threads),
      training: stage.settings(of: settings).train, key: stage.partsKey,
      log: {
        log.write($0)
        display.note($0, .faint)
      })
    demonstrations = try Demonstrations(
      dataset, stage.demonstrations, reasonedShare: settings.task.reasonedShare, model: model.description,
      place: model.place)
    processor = try PromptProcessor(model.description, place: model.place)
    exam = Exam(dataset, prompts: settings.evaluation.prompts, settings: settings)
    session = SupervisedSession(settings: settings, stage: stage.settings(of: settings), model: model)
    metrics = try MetricsFile(path: directory.metricsPath)
    if model.isResumed { savedStep = session.state.nextStep }
    try metrics.cut(after: session.state.nextStep)
    let told = try metrics.rows()
    display.recall(told)
    evaluatedStep = told.last { $0.kind == .evaluation }?.step
    clock = Stopwatch(resumedAt: told.compactMap { $0.values["seconds_elapsed"] }.max() ?? 0)
  }

  private var stepCount: UInt32 { UInt32(clamping: stage.settings(of: settings).steps) }
  private var step: UInt32 { session.state.nextStep }

  /// - Parameter isDrainAsked: looked at after each step; then the weights are saved and nothing more is done.
  mutating func run(until isDrainAsked: () -> Bool) throws {
    try evaluate()
    while step < stepCount, !isDrainAsked() {
      try train()
      let isDrained = isDrainAsked()
      if isDue(settings.checkpoint.every) || isDrained { try save() }
      if !isDrained { try evaluate() }
    }
    if savedStep != step { try save() }
    show(step < stepCount ? "stopped" : "finished")
  }

  private mutating func train() throws {
    let started = clock.seconds
    show("training")
    var cursor = session.state.cursor
    let examples = try demonstrations.next(stage.settings(of: settings).examplesPerStep, from: &cursor)
    var row = session.train(
      examples, cursor: cursor, seconds: { [clock] in clock.seconds }, progress: { [self] in show("training, \($0)") })
    let seconds = clock.seconds - started
    row.values["step_seconds"] = seconds
    row.values["seconds_elapsed"] = clock.seconds
    row.values["tokens_per_second"] = (row.values["train_tokens"] ?? 0) / max(seconds, 1e-9)
    row.values["samples_total"] = Double(session.state.samplesTrained)
    try add(row)
  }

  /// Measures the loss of the held-out demonstrations and, where the stage teaches to answer, how many held-out prompts the
  /// model answers right. The best weights by the latter are kept, the newest among equals.
  private mutating func evaluate() throws {
    guard evaluatedStep.map({ $0 < step }) ?? true, step == 0 || isDue(settings.evaluation.every) else { return }
    let started = clock.seconds
    var likelihood = (sum: 0.0, tokenCount: 0)
    let chunk = stage.settings(of: settings).examplesPerStep
    for first in stride(from: 0, to: exam.count, by: chunk) {
      show("evaluating the loss, \(first)/\(exam.count)")
      let part = session.negativeLogLikelihood(
        try demonstrations.heldOut(first..<min(first + chunk, exam.count)))
      likelihood.sum += part.sum
      likelihood.tokenCount += part.tokenCount
    }
    var values: [String: Double] = [:]
    if likelihood.tokenCount > 0 { values["heldout_loss"] = likelihood.sum / Double(likelihood.tokenCount) }
    if stage == .sft {
      let examinee = LocalModel(
        model.policy.decoder, model.description, processor, slots: settings.rollout.slots)
      let answers = try examinee.answers(exam) { show("evaluating, \($0)/\(exam.count) prompts") }
      values.merge(answers.metrics) { $1 }
    }
    values["heldout_seconds"] = clock.seconds - started
    values["seconds_elapsed"] = clock.seconds
    evaluatedStep = step
    try add(MetricsRow(kind: .evaluation, step: step, version: session.state.policyVersion, values: values))
    if let accuracy = values["heldout_accuracy"], step > 0,
      accuracy >= model.store.best.map({ Double($0.accuracy) }) ?? 0
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
    log.write("checkpoint after step \(step)")
  }

  private func add(_ row: MetricsRow) throws {
    try metrics.append(row)
    display.add(row)
  }

  private func show(_ phase: String) {
    let isOver = phase == "finished" || phase == "stopped"
    display.show(
      FarmStatus(
        runID: directory.runID, phase: phase, step: isOver ? step : min(step + 1, stepCount), stepCount: stepCount,
        version: nil, groupsDone: 0, groupsWanted: 0, secondsElapsed: clock.seconds, metrics: [:], peers: [], waits: [])
    )
  }
}

/// Seconds that the run has taken, over all of its processes, for people and metrics.
private struct Stopwatch: Sendable {
  private let start = MonotonicClock.now()
  private let before: Double

  /// - Parameter seconds: what earlier processes of the run have taken.
  init(resumedAt seconds: Double) { before = (0...1e9).contains(seconds) ? seconds : 0 }

  var seconds: Double { before + Double(MonotonicClock.now() - start) / 1000 }
}
