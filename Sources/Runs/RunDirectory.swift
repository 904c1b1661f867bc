import CLinux
import Foundation
import Glibc
import Support
import Wire

/// The folder of one run, made to be read by a person:
///
///     settings.yaml    every setting with its value; the run can be started again from it
///     run.json         run id, version, command line, when it was started and resumed
///     metrics.jsonl    a row a step and a row an evaluation (docs/METRICS.md)
///     samples.jsonl    a few completions of every step
///     processes.json   process ids of the farm, while it runs
///     coordinator      where the coordinator listens; it listens there again when it is started again
///     status           the farm as it is now: a frame of farm.proto
///     journal.sqlite   what a coordinator that is started again resumes from (SQLite)
///     logs/            a log for each process
///     checkpoints/     Hugging Face folders with the optimizer's state
///
/// Invariant: no run writes into another's folder. A new run makes its folder and fails when that is there already; and
/// a process that writes holds a lock on run.json, which the kernel releases however the process ends. The coordinator
/// that `fovea train` starts writes under the lock of its parent, with which it dies.
public final class RunDirectory: Sendable {
  public let path: String
  /// NAME-SEED, or NAME-SEED-2 and so on when that was taken: the name that the folder was made with.
  public let runID: String
  private let lock: Int32?

  /// The kind of a run by a farm, and of folders that do not say.
  public static let trainingKind = "train"

  public var settingsPath: String { path + "/settings.yaml" }
  public var metricsPath: String { path + "/metrics.jsonl" }
  public var samplesPath: String { path + "/samples.jsonl" }
  public var processesPath: String { path + "/processes.json" }
  public var journalPath: String { path + "/journal.sqlite" }
  public var checkpoints: CheckpointFolder { CheckpointFolder(path + "/checkpoints") }
  private var endpointPath: String { path + "/coordinator" }
  private var statusPath: String { path + "/status" }
  private var recordPath: String { path + "/run.json" }

  /// The log of a process of the farm.
  public func logPath(_ name: String) -> String { "\(path)/logs/\(name).log" }

  /// - Parameter runID: as recorded; nil is the folder's name. A run keeps its id when its folder is moved.
  private init(path: String, lock: Int32?, runID: String? = nil) {
    self.path = path
    self.lock = lock
    self.runID = runID ?? String(path.split(separator: "/").last ?? "run")
  }

  private static func recordedID(_ path: String) -> String? { record(of: path)?["run_id"]?.string }

  /// The command that made a run; nil for a folder that is not a run's.
  public static func kind(of path: String) -> String? {
    record(of: path).map { $0["kind"]?.string ?? trainingKind }
  }

  private static func record(of path: String) -> JSON? {
    guard let bytes = try? Files.read("\(path)/run.json", operation: "read run record") else { return nil }
    return try? JSON.parse(bytes, place: "\(path)/run.json")
  }

  deinit { if let lock { close(lock) } }

  /// Makes the folder of a new run and writes its settings.
  ///
  /// - Parameters:
  ///   - name: the run's name and seed, "arithmetic-1"; the folder is the first of NAME, NAME-2, ... that is free.
  ///   - parent: the folder of all runs.
  ///   - chosen: the folder itself, instead of `name` and `parent`.
  ///   - kind: the command that makes it, and alone can resume it.
  ///   - settings: the text of settings.yaml.
  ///   - started: the time to note in run.json.
  public static func create(
    name: String, under parent: String, at chosen: String? = nil, kind: String = trainingKind, settings: String,
    version: String, command: [String], started: String
  ) throws -> RunDirectory {
    let path: String
    if let chosen {
      path = trimmed(chosen)
      try Files.makeFolder(path, parents: true, mayExist: false)
    } else {
      path = try makeFirstFree(parent: trimmed(parent), name: name)
    }
    for folder in ["logs", "checkpoints"] { try Files.makeFolder("\(path)/\(folder)", parents: false, mayExist: true) }
    let directory = RunDirectory(path: path, lock: try takeLock("\(path)/run.json", create: true))
    try directory.write(settings: settings)
    try directory.record(kind: kind, version: version, command: command, key: "started", time: started)
    return directory
  }

  /// Opens the folder of a run that is to be resumed.
  /// - Throws: `InputError` for a folder that is no run, a run that is still active, and a run of another kind.
  public static func resume(
    _ path: String, kind: String = trainingKind, version: String, command: [String], resumed: String
  ) throws -> RunDirectory {
    let path = trimmed(path)
    guard Files.isFile("\(path)/run.json"), Files.isFile("\(path)/settings.yaml") else {
      throw InputError(
        "resume run", at: path, expected: "a run directory, with run.json and settings.yaml",
        found: Self.described(path))
    }
    for folder in ["logs", "checkpoints"] { try Files.makeFolder("\(path)/\(folder)", parents: false, mayExist: true) }
    let directory = RunDirectory(
      path: path, lock: try takeLock("\(path)/run.json", create: false), runID: recordedID(path))
    try directory.record(kind: kind, version: version, command: command, key: "resumed", time: resumed)
    return directory
  }

  /// The folder of a run without its lock: for whatever only reads it, and for the coordinator whose parent holds the
  /// lock. The folder need not exist.
  public static func at(_ path: String) -> RunDirectory {
    let path = trimmed(path)
    return RunDirectory(path: path, lock: nil, runID: recordedID(path))
  }

  /// The endpoint that the coordinator has written; nil before it listens.
  public var endpoint: String? {
    Files.isFile(endpointPath)
      ? (try? Files.read(endpointPath, operation: "read endpoint")).map { String(decoding: $0, as: UTF8.self) } : nil
  }

  /// Notes where the coordinator listens.
  public func write(endpoint: String) throws { try Files.write(Array(endpoint.utf8), to: endpointPath) }

  /// The coordinator has not started yet.
  public func removeEndpoint() { for path in [endpointPath, statusPath] { Files.remove(path) } }

  /// The farm as the coordinator last saw it.
  public var status: FarmStatus? {
    guard Files.isFile(statusPath), let bytes = try? Files.read(statusPath, operation: "read status"),
      case .statusReport(let status)? = try? MessageCodec.decode(bytes)
    else { return nil }
    return status
  }

  /// Replaces the status. Only people watch it, so it is not synced and a failure is ignored.
  public func write(status: FarmStatus) {
    try? Files.write(MessageCodec.encode(.statusReport(status)), to: statusPath, isSynced: false)
  }

  /// Replaces settings.yaml, for a run that is resumed with other ones.
  public func write(settings: String) throws {
    try Files.write(Array(settings.utf8), to: settingsPath)
  }

  /// Replaces processes.json.
  public func write(processes: [String: Int32]) throws {
    let json = JSON.object(processes.mapValues { .integer(Int64($0)) })
    try Files.write(json.serialized(pretty: true) + [UInt8(ascii: "\n")], to: processesPath)
  }

  /// Removes processes.json: the farm has ended in order.
  public func removeProcesses() { Files.remove(processesPath) }

  /// Adds to run.json. The file is rewritten in place, for its lock belongs to the inode; its room on the disk is taken
  /// first, so that a full one leaves it as it was.
  private func record(kind: String, version: String, command: [String], key: String, time: String) throws {
    var object: [String: JSON] = [:]
    let old = try Files.read(recordPath, operation: "read run record")
    if !old.isEmpty { object = try JSON.parse(old, place: recordPath).object ?? [:] }
    let recorded = old.isEmpty ? kind : object["kind"]?.string ?? Self.trainingKind
    guard recorded == kind else {
      throw InputError("resume run", at: path, expected: "a run of fovea \(kind)", found: "one of fovea \(recorded)")
    }
    object["run_id"] = .string(runID)
    object["kind"] = .string(kind)
    let entry = JSON.object([
      "event": .string(key), "time": .string(time), "version": .string(version),
      "command": .array(command.map { .string($0) }), "process_id": .integer(Int64(getpid())),
    ])
    object["history"] = .array((object["history"]?.array ?? []) + [entry])
    let bytes = JSON.object(object).serialized(pretty: true) + [UInt8(ascii: "\n")]
    guard let lock, hasRoom(for: bytes.count, lock), lseek(lock, 0, SEEK_SET) == 0, Files.writeAll(bytes, to: lock),
      ftruncate(lock, off_t(bytes.count)) == 0
    else { throw Files.failure("write run record", at: recordPath) }
  }

  /// A file system that cannot reserve room is taken to have it.
  private func hasRoom(for byteCount: Int, _ descriptor: Int32) -> Bool {
    fovea_reserve(descriptor, byteCount) == 0 || errno == EOPNOTSUPP || errno == ENOSYS
  }

  private static func described(_ path: String) -> String {
    Files.isFolder(path) ? "a folder without them" : Files.isFile(path) ? "a file" : "nothing"
  }

  private static func trimmed(_ path: String) -> String {
    var path = path
    while path.count > 1, path.last == "/" { path.removeLast() }
    return path
  }

  private static func makeFirstFree(parent: String, name: String) throws -> String {
    try Files.makeFolder(parent, parents: true, mayExist: true)
    for attempt in 1...9999 {
      let path = "\(parent)/\(name)" + (attempt == 1 ? "" : "-\(attempt)")
      if mkdir(path, 0o700) == 0 { return path }
      if errno != EEXIST { throw Files.failure("create run directory", at: path) }
    }
    throw InputError(
      "create run directory", at: "\(parent)/\(name)", expected: "a name that is free", found: "9999 runs of this name")
  }

  private static func takeLock(_ path: String, create: Bool) throws -> Int32 {
    let descriptor = open(path, O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0o600)
    guard descriptor >= 0 else { throw Files.failure("open run record", at: path) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      close(descriptor)
      throw InputError("resume run", at: path, expected: "a run that has ended", found: "one that is still active")
    }
    return descriptor
  }
}
