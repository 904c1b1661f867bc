import Console
import Coordinator
import Runs
import Synchronization
import Wire

/// Shows a run in the coordinator's process, and writes it into the run's folder.
///
/// A full disk ends the run with one line: the first failure is kept, and `onFailure` is called once.
final class RunRecorder: Sendable {
  let display: RunDisplay
  private let metrics: MetricsFile
  private let samples: SamplesFile
  private let log: LogFile
  private let failure = Mutex<(any Error)?>(nil)
  private let onFailure: @Sendable () -> Void

  /// - Parameters:
  ///   - resumedStep: the number of steps behind a run that is resumed; rows of later ones are cut.
  ///   - rows: of the journal; those that the file lacks are added.
  init(
    _ directory: RunDirectory, stepCount: UInt32, resumedStep: UInt32?, rows: [MetricsRow],
    onFailure: @escaping @Sendable () -> Void
  ) throws {
    self.onFailure = onFailure
    display = RunDisplay(output: TerminalOutput(), stepCount: stepCount)
    metrics = try MetricsFile(path: directory.metricsPath)
    samples = try SamplesFile(path: directory.samplesPath)
    log = try LogFile(path: directory.logPath("coordinator"))
    if let resumedStep {
      try metrics.cut(after: resumedStep)
      try metrics.complete(with: rows)
      display.recall(try metrics.rows())
    }
  }

  /// Shows and records what the coordinator reports. `onStatus` gets each status too.
  func observer(onStatus: @escaping @Sendable (FarmStatus) -> Void) -> CoordinatorObserver {
    CoordinatorObserver(
      status: {
        self.display.show($0)
        onStatus($0)
      },
      metrics: { row in
        self.display.add(row)
        self.attempt { try self.metrics.append(row) }
      },
      batch: { batch in self.attempt { try self.samples.append(batch.groups, step: batch.step + 1) } },
      log: { self.log.write($0) })
  }

  /// Shows a line to a person, and logs it.
  func note(_ text: String, _ style: StyledLine.Style = .plain) {
    display.note(text, style)
    log.write(text)
  }

  /// Ends the run, unless another failure has ended it.
  func fail(_ error: any Error) {
    let isFirst = failure.withLock { failure in
      defer { failure = failure ?? error }
      return failure == nil
    }
    if isFirst {
      log.write("\(error)")
      onFailure()
    }
  }

  /// The failure that ended the run.
  var firstFailure: (any Error)? { failure.withLock { $0 } }

  private func attempt(_ body: () throws -> Void) {
    do { try body() } catch { fail(error) }
  }
}
