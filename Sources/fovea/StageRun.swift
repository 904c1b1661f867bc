import Console
import Coordinator
import Foundation
import Learner
import Settings
import Synchronization
import Tasks
import Wire

/// A stage of supervised training, in this process alone: opens the run's folder, trains on a thread of its own, shows the run,
/// and ends it in order.
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
      settings.model, training: stage.settings(of: settings).train, of: plan.model().config, key: stage.partsKey)
    let directory = try plan.openDirectory()
    let display = RunDisplay(
      output: TerminalOutput(), stepCount: UInt32(clamping: stage.settings(of: settings).steps))
    display.note("run directory \(directory.path)", .faint)
    if let note = plan.startNote { display.note(note, .warning) }
    let isDrainAsked = Drain()
    let interruptions = host.interruptions
    let watchers = [
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
    defer { for watcher in watchers { watcher.cancel() } }
    try await onThread { [stage, threads = plan.threads.learner] in
      var trainer = try StageTrainer(
        stage: stage, settings: settings, dataset: dataset, directory: directory, threads: threads, display: display)
      try trainer.run(until: { isDrainAsked.value.load(ordering: .relaxed) })
    }
    display.draw(now: UInt64(MonotonicClock.now()), force: true)
    for line in summary(directory, display) { print(line) }
    return .success
  }

  private func summary(_ directory: RunDirectory, _ display: RunDisplay) -> [String] {
    let steps = stage.settings(of: plan.settings).steps
    let isComplete = Int(display.history.lastStep?.step ?? 0) >= steps
    let config = "--config FILE --from \(directory.path)"
    return RunSummary(
      directory: directory, history: display.history, status: display.status,
      outcome: isComplete ? .completed : .drained,
      next: isComplete
        ? "fovea \(stage.next) \(config)" : "fovea \(stage.rawValue) --resume \(directory.path)"
    ).lines
  }

  /// Whether someone asked to stop.
  private final class Drain: Sendable { let value = Atomic(false) }
}

/// The two stages before reinforcement learning.
enum TrainingStage: String, Sendable {
  /// Multimodal alignment: images and their captions; the language model stays as it is, unless the settings say otherwise.
  case align
  /// Supervised fine-tuning: question, reasoning and answer.
  case sft

  /// The command of the stage after it.
  var next: String { self == .align ? "sft" : "train" }

  var demonstrations: Demonstrations.Content { self == .align ? .captions : .answers }

  func settings(of settings: RunSettings) -> RunSettings.Stage { self == .align ? settings.align : settings.sft }

  /// The setting that says what it trains.
  var partsKey: String { "\(rawValue).train" }
}

/// Runs kernels' work on a thread of its own: Swift's pool is for what does not block.
private func onThread(_ body: @escaping @Sendable () throws -> Void) async throws {
  try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
    let thread = Thread { continuation.resume(with: Result(catching: body)) }
    thread.stackSize = 8 << 20
    thread.start()
  }
}
