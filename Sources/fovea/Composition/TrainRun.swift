import Console
import Coordinator
import Foundation
import Glibc
import Learner
import Runs
import Settings
import Synchronization
import Tasks
import Wire

/// A whole farm on this machine: starts the coordinator, the learner and the workers as processes, restarts those that
/// die, shows the run, and ends it in order.
///
/// This process holds nothing that the run depends on: what it shows it reads from the run's folder, so that the
/// coordinator may die and be restarted while it watches. When it dies itself, its processes die with it.
struct TrainRun {
  var plan: TrainPlan
  var host: ProcessHost

  /// How long the others may take to leave after the coordinator has finished, seconds.
  private static let leaveSeconds = 30.0
  /// How long the coordinator may take to read its data and listen.
  private static let listenMax = Duration.seconds(300)
  private static let coordinatorName = "coordinator"

  static func workerName(_ index: Int) -> String { "worker-\(index)" }

  func run() async throws -> ExitCode {
    let settings = plan.settings
    _ = try makeDataset(settings.task, seed: settings.run.seed)
    try TrainedModel.check(
      settings.model, training: settings.model.train, of: plan.model().description, key: "model.train")
    let security = try Security.server(settings.farm)
    try Reactor(sockets: [.router(.control, listen: settings.farm.listen)], security: security).close()
    let directory = try plan.openDirectory()
    directory.removeEndpoint()
    let display = RunDisplay(output: TerminalOutput(), stepCount: UInt32(clamping: settings.run.steps))
    let log = try LogFile(path: directory.logPath("train"))
    let earlier = plan.resumes == nil ? [] : try MetricsFile.read(directory.metricsPath)
    display.recall(earlier)
    let run = Outcome()
    let processes = FarmProcesses(host: host) { event in
      switch event {
      case .note(let text, let style):
        display.note(text, style)
        log.write(text)
      case .changed(let ids):
        do { try directory.write(processes: ids) } catch { run.end(.failed(reason: "\(error)", .input)) }
      case .left(let name): if name == Self.coordinatorName { run.end(.finished) }
      case .failed(let reason, let code): run.end(.failed(reason: reason, code))
      }
    }
    display.note("run directory \(directory.path)", .faint)
    if let note = plan.startNote { display.note(note, .warning) }
    let watchers = watch(processes, display, directory, earlier)
    do {
      try await start(processes, directory, run)
    } catch { run.end(.failed(reason: "\(error)", .farmFailed)) }
    let warning = Security.warn(security, [directory.endpoint ?? settings.farm.listen]) { display.note($0, .warning) }
    let ending = await run.ending
    warning?.cancel()
    await processes.end(graceSeconds: ending == .finished ? Self.leaveSeconds : 0)
    for watcher in watchers {
      watcher.cancel()
      await watcher.value
    }
    directory.removeProcesses()
    return finish(ending, directory, display)
  }

  // MARK: Processes

  private func start(_ processes: FarmProcesses, _ directory: RunDirectory, _ run: Outcome) async throws {
    func specification(_ name: String, _ arguments: [String]) -> ProcessSpecification {
      ProcessSpecification(
        name: name, executable: host.executable, arguments: arguments, logPath: directory.logPath(name))
    }
    let threads = plan.threads
    try await processes.start(
      specification(Self.coordinatorName, ["coordinator", "--attach", directory.path]), .coordinator)
    guard let bound = await listening(directory, run) else { return }
    let endpoint = Endpoint.replacingWildcard(bound, by: "127.0.0.1")
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
            "--slots", "\(plan.settings.rollout.slots)", "--run", directory.runID, "--timeout",
            "\(plan.settings.farm.timeoutSeconds)",
          ] + workerSecurity), .worker)
    }
  }

  /// The options of this machine's workers.
  private var workerSecurity: [String] {
    let farm = plan.settings.farm
    if !farm.keys.isEmpty { return ["--keys", KeyDirectory(farm.keys).workerPath(KeyDirectory.localName)] }
    return farm.insecure ? ["--insecure"] : []
  }

  /// Where the coordinator listens, once it does; nil when the run has ended before.
  private func listening(_ directory: RunDirectory, _ run: Outcome) async -> String? {
    let deadline = ContinuousClock.now + Self.listenMax
    while !run.hasEnded {
      if let endpoint = directory.endpoint { return endpoint }
      if ContinuousClock.now >= deadline {
        run.end(.failed(reason: "the coordinator does not listen after \(Self.listenMax)", .farmFailed))
      }
      try? await Task.sleep(for: .milliseconds(20))
    }
    return nil
  }

  // MARK: Watching

  /// Shows what the folder holds, and drains when asked to.
  private func watch(
    _ processes: FarmProcesses, _ display: RunDisplay, _ directory: RunDirectory, _ earlier: [MetricsRow]
  ) -> [Task<Void, Never>] {
    let interruptions = host.interruptions
    return [
      Task {
        var tail = MetricsTail(path: directory.metricsPath, after: earlier)
        repeat {
          try? await Task.sleep(for: .milliseconds(100))
          await look(&tail, processes, display, directory)
        } while !Task.isCancelled
        display.draw(now: UInt64(MonotonicClock.now()), force: true)
      },
      Task {
        for await _ in interruptions {
          display.note("asked to stop: the open step ends and a checkpoint is made; again ends at once", .warning)
          await processes.askToDrain(Self.coordinatorName)
        }
      },
    ]
  }

  private func look(
    _ tail: inout MetricsTail, _ processes: FarmProcesses, _ display: RunDisplay, _ directory: RunDirectory
  ) async {
    // A row that cannot be read is the coordinator's to report: it writes them.
    for row in (try? tail.newRows()) ?? [] { display.add(row) }
    if let status = directory.status {
      display.show(status)
      if [FarmPhase.closing, .finished].contains(where: { $0.rawValue == status.phase }) {
        await processes.expectEnds()
      }
    }
    display.draw(now: UInt64(MonotonicClock.now()))
  }

  private func finish(_ ending: Ending, _ directory: RunDirectory, _ display: RunDisplay) -> ExitCode {
    switch ending {
    case .finished:
      let done = display.history.lastStep?.step ?? 0
      let summary = RunSummary(
        farm: directory, display, isComplete: done >= UInt32(clamping: plan.settings.run.steps))
      for line in summary.lines { print(line) }
      return .success
    case .failed(let reason, .farmFailed): return .fail(reason, directory)
    case .failed(let reason, let code):
      Program.complain(reason)
      return code
    }
  }

  private enum Ending: Equatable, Sendable {
    case finished
    case failed(reason: String, ExitCode)
  }

  /// How the run ends: the first ending counts.
  private final class Outcome: Sendable {
    private let stream: AsyncStream<Ending>
    private let continuation: AsyncStream<Ending>.Continuation
    private let ended = Atomic(false)

    init() { (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(1)) }

    var hasEnded: Bool { ended.load(ordering: .relaxed) }

    func end(_ ending: Ending) {
      ended.store(true, ordering: .relaxed)
      continuation.yield(ending)
    }

    var ending: Ending {
      get async {
        for await ending in stream { return ending }
        return .failed(reason: "cancelled", .farmFailed)
      }
    }
  }
}

extension RunSummary {
  /// The summary of a farm's run.
  init(farm directory: RunDirectory, _ display: RunDisplay, isComplete: Bool) {
    self.init(
      directory: directory, history: display.history, progress: display.progress,
      quarantined: display.status?.quarantined ?? [], isComplete: isComplete
    ) { checkpoint in
      isComplete
        ? "fovea generate --model \(checkpoint) --prompt \"...\"" : "fovea train --resume \(directory.path)"
    }
  }
}
