import Console
import Coordinator
import Foundation
import Runs
import Settings
import Synchronization
import Tasks
import Wire

/// The coordinator's process: opens the run's folder, runs the coordinator, records what it reports, shows it, and ends
/// it in order.
///
/// `fovea coordinator` is this alone; learner and workers connect from anywhere. `fovea train` starts one as a child
/// and starts it again when it dies (`TrainRun`). Everything that outside input can spoil is checked before the folder
/// is made.
struct CoordinatorRun {
  var plan: TrainPlan
  var host: ProcessHost

  /// How long the sockets stay open for workers on other machines: what a worker has received but not read when its
  /// coordinator closes the connection is lost (ZMQ_IMMEDIATE), and without the goodbye it would wait for the
  /// coordinator.
  private static let remoteWorkersLeave = Duration.seconds(3)
  /// The same for the processes of this machine, which read at once.
  private static let localProcessesLeave = Duration.milliseconds(500)

  func run() async throws -> ExitCode {
    let settings = plan.settings
    let dataset = try makeDataset(settings.task, seed: settings.run.seed)
    let attached = plan.isAttached ? plan.resumes.map(RunDirectory.at) : nil
    // A coordinator that is started again listens where its peers look for it.
    let security = try Security.server(settings.farm)
    let reactor = try Reactor(
      sockets: [.router(.control, listen: attached?.endpoint ?? settings.farm.listen)], security: security)
    defer { reactor.close() }
    let directory = try attached ?? plan.openDirectory()
    let journal = try Journal(path: directory.journalPath, runID: directory.runID)
    let kept = try journal.contents()
    // A run from before the journal, or one whose journal was moved away, resumes from its checkpoint.
    let resumedStep =
      plan.resumes == nil
      ? nil : kept.completed ?? directory.checkpoints.steps.last ?? 0

    let stop = Stop()
    let recorder = try RunRecorder(
      directory, stepCount: UInt32(clamping: settings.run.steps), resumedStep: resumedStep, rows: kept.rows,
      onFailure: { stop.ask() })
    let endpoint = reactor.boundEndpoint(of: .control)
    try directory.write(endpoint: endpoint)
    recorder.note("run directory \(directory.path), coordinator at \(endpoint)", .faint)
    if !plan.isAttached { try directory.write(processes: ["coordinator": getpid()]) }
    let observer = recorder.observer { directory.write(status: $0) }
    let runner = CoordinatorRunner(
      settings: settings, runID: directory.runID, dataset: dataset, journal: journal, reactor: reactor,
      observer: observer)
    let running = Task { try await runner.run() }
    stop.onAsk { running.cancel() }
    let warning = Security.warn(security, [endpoint]) { recorder.note($0, .warning) }
    defer { warning?.cancel() }
    let watchers = watch(runner, recorder)

    let result = await running.result
    try? journal.settle()
    try? await Task.sleep(for: hasRemoteWorkers(recorder) ? Self.remoteWorkersLeave : Self.localProcessesLeave)
    for watcher in watchers { watcher.cancel() }
    recorder.display.draw(now: UInt64(MonotonicClock.now()), force: true)
    if !plan.isAttached { directory.removeProcesses() }
    return try finish(result, directory, recorder)
  }

  private func hasRemoteWorkers(_ recorder: RunRecorder) -> Bool {
    let own = plan.isAttached ? (0..<plan.settings.farm.workers).map(TrainRun.workerName) : []
    return recorder.display.status?.peers.contains { $0.role == .worker && !own.contains($0.name) } ?? false
  }

  /// Draws, and drains when asked to.
  private func watch(_ runner: CoordinatorRunner, _ recorder: RunRecorder) -> [Task<Void, Never>] {
    let interruptions = host.interruptions
    return [
      Task {
        while !Task.isCancelled {
          recorder.display.draw(now: UInt64(MonotonicClock.now()))
          try? await Task.sleep(for: .milliseconds(100))
        }
      },
      Task {
        for await _ in interruptions {
          recorder.note("asked to stop: the open step ends and a checkpoint is made; again ends at once", .warning)
          runner.drain()
        }
      },
    ]
  }

  private func finish(
    _ result: Result<CoordinatorOutcome, any Error>, _ directory: RunDirectory, _ recorder: RunRecorder
  ) throws -> ExitCode {
    if let failure = recorder.firstFailure { throw failure }
    switch result {
    case .success(let outcome):
      for line in RunSummary(farm: directory, recorder.display, isComplete: outcome == .completed).lines { print(line) }
      return .success
    case .failure(let failure as RunFailure): return .fail(failure.reason, directory)
    case .failure(let error): throw error
    }
  }
}

extension ExitCode {
  /// Reports why the farm failed.
  static func fail(_ reason: String, _ directory: RunDirectory) -> ExitCode {
    Program.complain("the farm failed: \(reason)\n  the logs are in \(directory.path)/logs")
    return .farmFailed
  }
}

/// A request to stop that is made once; the action is called once, whether it was set before or after.
private final class Stop: Sendable {
  private let state = Mutex<(isAsked: Bool, action: (@Sendable () -> Void)?)>((false, nil))

  func ask() {
    let action = state.withLock { state in
      state.isAsked = true
      return state.action
    }
    action?()
  }

  func onAsk(_ action: @escaping @Sendable () -> Void) {
    let isAsked = state.withLock { state in
      state.action = action
      return state.isAsked
    }
    if isAsked { action() }
  }
}
