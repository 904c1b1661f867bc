import Evaluation
import Support

/// The services that an ablation needs from its program.
public protocol AblationHost {
  /// Trains a run to its last step.
  /// - Parameter isBegun: whether it resumes a run whose folder is there.
  /// - Returns: the exit code of the run: 0 when it ended in order, also after it was asked to stop.
  func train(_ run: AblationFolder.Run, isBegun: Bool) async throws -> Int32

  /// Lets a model answer the evaluation set.
  /// - Parameters:
  ///   - model: a folder.
  ///   - name: what people call it.
  func evaluate(_ model: String, name: String) throws -> [Figure]

  /// Whether a person asked to stop.
  var isInterrupted: Bool { get }

  /// Shows lines to a person.
  func show(_ lines: [String])

  /// Reports that a run failed.
  func complain(_ line: String)
}

/// Does what is left of an ablation, one run after the other.
///
/// A run that fails is named and the others are run; the same call does what is left after an interruption.
public struct AblationRunner {
  private let folder: AblationFolder
  private let host: any AblationHost

  public init(_ folder: AblationFolder, host: any AblationHost) {
    self.folder = folder
    self.host = host
  }

  /// Trains and evaluates every run that has not ended, and reports the table after each.
  /// - Returns: 0, or the exit code of the last run that failed.
  /// - Throws: `InputError` when the start cannot be evaluated or the table cannot be written.
  public func run() async throws -> Int32 {
    try Files.makeFolder(folder.path)
    if folder.startFigures == nil { try folder.keep(start: host.evaluate(folder.start, name: "start")) }
    var failure: Int32 = 0
    var isReported = false
    for (index, run) in folder.runs.enumerated() where !host.isInterrupted && folder.figures(of: run) == nil {
      host.show(["", "\(index + 1)/\(folder.runs.count) \(run.name)"])
      do {
        let code = try await finish(run)
        if code != 0 {
          host.complain("\(run.name) failed; the next run is started")
          failure = code
        }
      } catch {
        host.complain("\(run.name): \(error)")
        failure = 1
      }
      isReported = folder.figures(of: run) != nil
      if isReported { host.show(try folder.report()) }
    }
    if !isReported { host.show(try folder.report()) }
    return failure
  }

  /// Does what is left of a run: training, and its evaluation.
  private func finish(_ run: AblationFolder.Run) async throws -> Int32 {
    switch folder.state(of: run) {
    case .new, .begun:
      let code = try await host.train(run, isBegun: folder.state(of: run) == .begun)
      guard code == 0 else { return code }
    case .trained, .ended: break
    }
    if case .trained(let checkpoint) = folder.state(of: run) {
      try folder.keep(host.evaluate(checkpoint, name: run.name), of: run, checkpoint: checkpoint)
    }
    return 0
  }
}
