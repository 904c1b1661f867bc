import Core
import Foundation
import Glibc

/// The folder of one run, made to be read by a person:
///
///     settings.yaml    every setting with its value; the run can be started again from it
///     run.json         run id, version, command line, when it was started and resumed
///     metrics.jsonl    a row a step and a row an evaluation (docs/METRICS.md)
///     samples.jsonl    a few completions of every step
///     processes.json   process ids of the farm, while it runs
///     logs/            a log for each process
///     checkpoints/     Hugging Face folders with the optimizer's state
///
/// Invariant: no run writes into another's folder. A new run makes its folder and fails when that is there already; and
/// whoever writes holds a lock on run.json, which the kernel takes back however the process ends.
public final class RunDirectory: Sendable {
  public let path: String
  /// NAME-SEED, or NAME-SEED-2 and so on when that was taken: the folder's name, and the run's id in the farm.
  public let runID: String
  private let lock: Int32

  public var settingsPath: String { path + "/settings.yaml" }
  public var metricsPath: String { path + "/metrics.jsonl" }
  public var samplesPath: String { path + "/samples.jsonl" }
  public var processesPath: String { path + "/processes.json" }
  public var checkpointsPath: String { path + "/checkpoints" }
  private var recordPath: String { path + "/run.json" }

  /// The log of a process of the farm.
  public func logPath(_ name: String) -> String { "\(path)/logs/\(name).log" }

  private init(path: String, lock: Int32) {
    self.path = path
    self.lock = lock
    runID = (path as NSString).lastPathComponent
  }

  deinit { close(lock) }

  /// Makes the folder of a new run and writes its settings.
  ///
  /// - Parameters:
  ///   - name: the run's name and seed, "arithmetic-1"; the folder is the first of NAME, NAME-2, ... that is free.
  ///   - parent: the folder of all runs.
  ///   - chosen: the folder itself, instead of `name` and `parent`.
  ///   - settings: the text of settings.yaml.
  ///   - started: the time to note in run.json.
  public static func create(
    name: String, under parent: String, at chosen: String? = nil, settings: String, version: String,
    command: [String], started: String
  ) throws -> RunDirectory {
    let path: String
    if let chosen {
      path = trimmed(chosen)
      try makeFolder(path, parents: true, mayExist: false)
    } else {
      path = try makeFirstFree(parent: trimmed(parent), name: name)
    }
    for folder in ["logs", "checkpoints"] { try makeFolder("\(path)/\(folder)", parents: false, mayExist: true) }
    let directory = RunDirectory(path: path, lock: try takeLock("\(path)/run.json", create: true))
    try directory.write(settings: settings)
    try directory.record(version: version, command: command, key: "started", time: started)
    return directory
  }

  /// Opens the folder of a run that is to be resumed.
  public static func resume(
    _ path: String, version: String, command: [String], resumed: String
  ) throws -> RunDirectory {
    let path = trimmed(path)
    guard isFile("\(path)/run.json"), isFile("\(path)/settings.yaml") else {
      throw InputError(
        "resume run", at: path, expected: "a run directory, with run.json and settings.yaml", found: describe(path))
    }
    for folder in ["logs", "checkpoints"] { try makeFolder("\(path)/\(folder)", parents: false, mayExist: true) }
    let directory = RunDirectory(path: path, lock: try takeLock("\(path)/run.json", create: false))
    try directory.record(version: version, command: command, key: "resumed", time: resumed)
    return directory
  }

  /// Replaces settings.yaml, for a run that is resumed with other ones.
  public func write(settings: String) throws {
    try writeFile(Array(settings.utf8), to: settingsPath)
  }

  /// Replaces processes.json.
  public func write(processes: [String: Int32]) throws {
    let json = JSON.object(processes.mapValues { .integer(Int64($0)) })
    try writeFile(json.serialized(pretty: true) + [UInt8(ascii: "\n")], to: processesPath)
  }

  /// Removes processes.json: the farm has ended in order.
  public func removeProcesses() { unlink(processesPath) }

  /// Adds to run.json. The file is rewritten in place: its lock belongs to the inode.
  private func record(version: String, command: [String], key: String, time: String) throws {
    var object: [String: JSON] = [:]
    let old = try readFile(recordPath, operation: "read run record")
    if !old.isEmpty { object = try JSON.parse(old, place: recordPath).object ?? [:] }
    object["run_id"] = .string(runID)
    let entry = JSON.object([
      "event": .string(key), "time": .string(time), "version": .string(version),
      "command": .array(command.map { .string($0) }), "process_id": .integer(Int64(getpid())),
    ])
    object["history"] = .array((object["history"]?.array ?? []) + [entry])
    let bytes = JSON.object(object).serialized(pretty: true) + [UInt8(ascii: "\n")]
    guard ftruncate(lock, 0) == 0, lseek(lock, 0, SEEK_SET) == 0, writeAll(bytes, to: lock) else {
      throw systemError("write run record", at: recordPath)
    }
  }

  private static func trimmed(_ path: String) -> String {
    var path = path
    while path.count > 1, path.last == "/" { path.removeLast() }
    return path
  }

  private static func makeFirstFree(parent: String, name: String) throws -> String {
    try makeFolder(parent, parents: true, mayExist: true)
    for attempt in 1...9999 {
      let path = "\(parent)/\(name)" + (attempt == 1 ? "" : "-\(attempt)")
      if mkdir(path, 0o700) == 0 { return path }
      if errno != EEXIST { throw systemError("create run directory", at: path) }
    }
    throw InputError(
      "create run directory", at: "\(parent)/\(name)", expected: "a name that is free", found: "9999 runs of this name")
  }

  private static func takeLock(_ path: String, create: Bool) throws -> Int32 {
    let descriptor = open(path, O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0o600)
    guard descriptor >= 0 else { throw systemError("open run record", at: path) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      close(descriptor)
      throw InputError("resume run", at: path, expected: "a run that has ended", found: "one that still goes on")
    }
    return descriptor
  }
}
