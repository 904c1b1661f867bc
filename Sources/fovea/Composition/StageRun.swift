import Console
import Evaluation
import Foundation
import Imaging
import Layers
import Learner
import Processors
import Prompts
import Runs
import Settings
import Synchronization
import Tasks
import Training
import Wire

/// A stage of supervised training, in this process alone: opens the run's folder, trains on a thread of its own, shows
/// the run, and ends it in order.
///
/// Everything that outside input can spoil is checked before the folder is made.
struct StageRun {
  var stage: TrainingStage
  var plan: TrainPlan
  var host: ProcessHost

  func run() async throws -> ExitCode {
    let settings = plan.settings
    let dataset = try makeDataset(settings.task, seed: settings.run.seed)
    try TrainedModel.check(
      settings.model, training: stage.settings(of: settings).train, of: plan.model().description, key: stage.partsKey)
    let directory = try plan.openDirectory()
    let display = RunDisplay(
      output: TerminalOutput(), stepCount: UInt32(clamping: stage.settings(of: settings).steps))
    display.note("run directory \(directory.path)", .faint)
    if let note = plan.startNote { display.note(note, .warning) }
    let isDrainAsked = Drain()
    let watchers = watch(display, isDrainAsked)
    defer { for watcher in watchers { watcher.cancel() } }
    try await onThread { [self] in
      var trainer = try trainer(dataset, directory, display)
      display.recall(trainer.earlierRows)
      try trainer.run(until: { isDrainAsked.value.load(ordering: .relaxed) })
    }
    display.draw(now: UInt64(MonotonicClock.now()), force: true)
    for line in summary(directory, display) { print(line) }
    return .success
  }

  /// Opens the model and puts the stage's parts together. On the training thread: a model takes its time.
  private func trainer(
    _ dataset: any PromptDataset, _ directory: RunDirectory, _ display: RunDisplay
  ) throws -> SupervisedTrainer {
    let settings = plan.settings
    let log = try LogFile(path: directory.logPath(stage.rawValue))
    let pool = ThreadPool(threads: plan.threads.learner)
    let model = try TrainedModel(
      settings: settings, folder: directory.path, pool: pool,
      training: stage.settings(of: settings).train, key: stage.partsKey,
      log: {
        log.write($0)
        display.note($0, .faint)
      })
    let demonstrations = try EncodedDemonstrations(
      Demonstrations(dataset, stage.demonstrations, reasonedShare: settings.task.reasonedShare),
      model: model.description, place: model.place)
    let trainer = model.nativeTrainer(settings: settings, pool: pool)
    return try SupervisedTrainer(
      stage, settings: settings, directory: directory, model: model, policy: trainer, examples: demonstrations,
      heldOut: heldOut(dataset, model, trainer.policy),
      observer: SupervisedTrainer.Observer(
        progress: { display.show($0) }, row: { display.add($0) }, log: { log.write($0) }))
  }

  /// What the stage is measured on; only a stage that teaches to answer lets the model answer.
  private func heldOut(
    _ dataset: any PromptDataset, _ model: TrainedModel, _ policy: TrainingModel
  ) throws -> SupervisedTrainer.HeldOut {
    let settings = plan.settings
    let evaluationSet = EvaluationSet(dataset, prompts: settings.evaluation.prompts, settings: settings)
    guard stage == .sft else { return SupervisedTrainer.HeldOut(count: evaluationSet.count) }
    let evaluated = LocalModel(
      policy.decoder, model.description, try PromptProcessor(model.description, place: model.place),
      slots: settings.rollout.slots)
    return SupervisedTrainer.HeldOut(count: evaluationSet.count) { progress in
      try evaluated.answers(evaluationSet, progress: progress).metrics
    }
  }

  /// Draws, and drains when asked to.
  private func watch(_ display: RunDisplay, _ isDrainAsked: Drain) -> [Task<Void, Never>] {
    let interruptions = host.interruptions
    return [
      Task {
        while !Task.isCancelled {
          display.draw(now: UInt64(MonotonicClock.now()))
          try? await Task.sleep(for: .milliseconds(100))
        }
      },
      Task {
        for await _ in interruptions {
          display.note("asked to stop: the step ends and a checkpoint is made; again ends at once", .warning)
          isDrainAsked.value.store(true, ordering: .relaxed)
        }
      },
    ]
  }

  private func summary(_ directory: RunDirectory, _ display: RunDisplay) -> [String] {
    let isComplete = Int(display.history.lastStep?.step ?? 0) >= stage.settings(of: plan.settings).steps
    return RunSummary(
      directory: directory, history: display.history, progress: display.progress, isComplete: isComplete
    ) { _ in
      isComplete
        ? "fovea \(stage.next) --config FILE --from \(directory.path)"
        : "fovea \(stage.rawValue) --resume \(directory.path)"
    }.lines
  }

  /// Whether a person asked to stop.
  private final class Drain: Sendable { let value = Atomic(false) }
}

extension TrainingStage {
  /// The written completions that it learns.
  fileprivate var demonstrations: Demonstrations.Content { self == .align ? .captions : .answers }
}

/// Runs kernels' work on a thread of its own: Swift's pool is for what does not block.
private func onThread(_ body: @escaping @Sendable () throws -> Void) async throws {
  try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
    let thread = Thread { continuation.resume(with: Result(catching: body)) }
    thread.stackSize = 8 << 20
    thread.start()
  }
}
