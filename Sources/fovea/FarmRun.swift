import Console
import Coordinator
import Core
import Foundation
import Learner
import Settings
import Synchronization
import Tasks
import Wire

/// A run, seen from its coordinator: makes the folder, runs the coordinator here, the learner and workers beside it when they
/// are wanted, shows all of it, and ends it in order.
///
/// Everything that outside input can spoil is checked before the folder is made or a process started.
struct FarmRun {
  var plan: TrainPlan
  var host: ProcessHost
  /// `fovea train`; the coordinator alone waits for learner and workers from elsewhere.
  var startsProcesses: Bool

  /// How long the others may take to leave after the coordinator has finished, seconds.
  private static let leaveSeconds = 30.0

  /// How long the line stays up for workers that are not ours: what a worker has received but not read when its coordinator
  /// hangs up is lost (ZMQ_IMMEDIATE), and without the goodbye it would wait for the coordinator to come back.
  private static let guestsLeave = Duration.seconds(3)

  func run() async throws -> ExitCode {
    let settings = plan.settings
    let dataset = try makeDataset(settings.task, seed: settings.run.seed)
    if startsProcesses { _ = try ModelLoader.describe(path: settings.model.path) }
    let security = try Security.server(settings.farm)
    let reactor = try Reactor(sockets: [.router(.control, listen: settings.farm.listen)], security: security)
    defer { reactor.close() }
    let directory = try plan.openDirectory()
    let resumedStep =
      plan.resumes == nil ? nil : CheckpointStore(folder: directory.checkpointsPath, keep: 1).steps.last ?? 0

    let stop = Stop()
    let recorder = try RunRecorder(
      directory, stepCount: UInt32(clamping: settings.run.steps), resumedStep: resumedStep, onFailure: { stop.ask() })
    let endpoint = reactor.boundEndpoint(of: .control)
    recorder.note("run directory \(directory.path), coordinator at \(endpoint)", .faint)
    let processes = FarmProcesses(host: host) { event in
      switch event {
      case .note(let text, let style): recorder.note(text, style)
      case .changed(let ids):
        do {
          try directory.write(processes: ids.merging(["coordinator": getpid()]) { $1 })
        } catch { recorder.fail(error) }
      case .failed(let reason): recorder.fail(FarmFailure(reason: reason))
      }
    }
    let observer = recorder.observer { status in
      if status.phase == FarmPhase.closing.rawValue { Task { await processes.expectEnds() } }
    }
    let runner = CoordinatorRunner(
      settings: settings, runID: directory.runID, dataset: dataset, reactor: reactor, observer: observer)
    let running = Task { try await runner.run() }
    stop.onAsk { running.cancel() }
    let warning = Security.warn(security, [endpoint]) { recorder.note($0, .warning) }
    defer { warning?.cancel() }
    let watchers = watch(runner, recorder)

    if startsProcesses {
      await start(processes, directory, endpoint: Endpoint.replacingWildcard(endpoint, by: "127.0.0.1"), recorder)
    }
    let result = await running.result
    if hasGuests(recorder) { try? await Task.sleep(for: Self.guestsLeave) }
    await processes.end(graceSeconds: recorder.firstFailure == nil ? Self.leaveSeconds : 0)
    for watcher in watchers { watcher.cancel() }
    recorder.display.draw(now: UInt64(MonotonicClock.now()), force: true)
    directory.removeProcesses()
    return try finish(result, directory, recorder)
  }

  private func start(
    _ processes: FarmProcesses, _ directory: RunDirectory, endpoint: String, _ recorder: RunRecorder
  ) async {
    func specification(_ name: String, _ arguments: [String]) -> ProcessSpecification {
      ProcessSpecification(
        name: name, executable: host.executable, arguments: arguments, logPath: directory.logPath(name))
    }
    let threads = plan.threads
    do {
      try await processes.start(
        specification(
          "learner",
          [
            "learner", "--config", directory.settingsPath, "--connect", endpoint, "--run-directory", directory.path,
            "--threads", "\(threads.learner)", "--run", directory.runID,
          ]), .learner)
      for index in 0..<plan.settings.farm.workers {
        try await processes.start(
          specification(
            Self.workerName(index),
            [
              "worker", "--connect", endpoint, "--name", Self.workerName(index), "--threads", "\(threads.worker)",
              "--slots",
              "\(plan.settings.rollout.slots)", "--run", directory.runID, "--patience",
              "\(plan.settings.farm.patienceSeconds)",
            ] + workerSecurity), .worker)
      }
    } catch { recorder.fail(error) }
  }

  /// The options of this machine's workers.
  private var workerSecurity: [String] {
    let farm = plan.settings.farm
    if !farm.keys.isEmpty { return ["--keys", KeyDirectory(farm.keys).workerPath(KeyDirectory.localName)] }
    return farm.insecure ? ["--insecure"] : []
  }

  private func hasGuests(_ recorder: RunRecorder) -> Bool {
    let own = startsProcesses ? (0..<plan.settings.farm.workers).map(Self.workerName) : []
    return recorder.display.status?.peers.contains { $0.role == .worker && !own.contains($0.name) } ?? false
  }

  private static func workerName(_ index: Int) -> String { "worker-\(index)" }

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
    if let failure = recorder.firstFailure {
      if let failure = failure as? FarmFailure { return giveUp(failure.reason, directory) }
      throw failure
    }
    switch result {
    case .success(let outcome):
      for line in RunSummary(directory: directory, display: recorder.display, outcome: outcome).lines { print(line) }
      return .success
    case .failure(let failure as RunFailure): return giveUp(failure.reason, directory)
    case .failure(let error): throw error
    }
  }

  private func giveUp(_ reason: String, _ directory: RunDirectory) -> ExitCode {
    CommandLineTool.complain("the farm gave up: \(reason)\n  the logs are in \(directory.path)/logs")
    return .farmFailed
  }
}

extension TrainPlan {
  /// Makes the run's folder, or opens the one to go on with.
  func openDirectory() throws -> RunDirectory {
    if let resumes {
      let directory = try RunDirectory.resume(
        resumes, version: CommandLineTool.version, command: CommandLine.arguments, resumed: TimeOfDay.now())
      try directory.write(settings: settings.described())
      return directory
    }
    return try RunDirectory.create(
      name: name, under: settings.run.directory, at: runDirectory, settings: settings.described(),
      version: CommandLineTool.version, command: CommandLine.arguments, started: TimeOfDay.now())
  }
}

/// Asks once; whoever listens, before or after, is called once.
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
