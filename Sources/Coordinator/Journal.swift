import CSQLite
import Foundation
import Glibc
import Prompts
import Support
import Synchronization
import Wire

/// The coordinator's memory on disk: one SQLite file in the run's folder, readable by nobody else (mode 0600).
///
/// WAL mode with `synchronous=FULL`: each transaction is appended to the log and synced before `write` returns. So
/// neither a killed process nor a power failure takes back what a peer has heard: the version that a learner on another
/// machine has published, the result that a worker has forgotten. (`NORMAL` would sync at checkpoints only, and lose
/// the newest transactions with the power.) A transaction that was torn has a wrong checksum in the log and is passed
/// over as a whole.
///
/// Opening checks before it changes anything: that the file is a database, a journal of this program and schema, of
/// this run, and undamaged. Whatever is wrong, the file stays as it is. The lock is the file's own and ends with its
/// process.
public final class Journal: Sendable {
  public static let fileName = "journal.sqlite"
  /// "FOVJ"
  private static let applicationID: Int64 = 0x464F_564A
  private static let schemaVersion: Int64 = 2

  public let path: String
  private let database: Mutex<SQLiteDatabase>

  /// Opens a journal, or makes it.
  /// - Parameters:
  ///   - path: of the file; ":memory:" for a run that ends with its process.
  ///   - runID: what the journal belongs to.
  /// - Throws: `InputError` for a file that is no journal of this run, is damaged, or cannot be used.
  public init(path: String, runID: String) throws {
    self.path = path
    if path != ":memory:" { try Self.makeFile(path) }
    let database = try SQLiteDatabase(path: path)
    // One process uses it, so no shared memory next to the log.
    try database.run("PRAGMA locking_mode=EXCLUSIVE")
    try Self.check(database, path: path, runID: runID)
    _ = try database.rows("PRAGMA journal_mode=WAL")
    try database.run("PRAGMA synchronous=FULL")
    try database.transaction {
      for statement in Self.schema { try database.run(statement) }
      try database.run("INSERT OR IGNORE INTO run VALUES ('run_id', ?)", .text(runID))
      try database.run("PRAGMA application_id=\(Self.applicationID)")
      try database.run("PRAGMA user_version=\(Self.schemaVersion)")
    }
    self.database = Mutex(database)
  }

  /// Moves what the write-ahead log holds into the file itself, at the orderly end of a run: then one file is the
  /// journal, to copy or to move away. Without it nothing is lost; the next opening does the same.
  public func settle() throws { _ = try database.withLock { try $0.rows("PRAGMA wal_checkpoint(TRUNCATE)") } }

  // MARK: Opening

  private static func makeFile(_ path: String) throws {
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else {
      throw InputError(
        "open the journal", at: path, expected: "a file that this process may write",
        found: String(cString: strerror(errno)).lowercased())
    }
    close(descriptor)
  }

  private static func check(_ database: SQLiteDatabase, path: String, runID: String) throws {
    func refuse(_ expected: String, _ found: String) -> InputError {
      InputError("open the journal", at: path, expected: expected, found: found)
    }
    let application = try database.value("PRAGMA application_id")?.integer ?? 0
    let schema = try database.value("PRAGMA user_version")?.integer ?? 0
    let tables = try database.value("SELECT count(*) FROM sqlite_master")?.integer ?? 0
    if application == 0 && schema == 0 && tables == 0 { return }
    guard application == applicationID else {
      throw refuse("a journal of fovea", "a database of something else (application id \(application))")
    }
    guard schema == schemaVersion else {
      throw refuse("schema \(schemaVersion) of the journal", "schema \(schema), of another version of fovea")
    }
    let damage = try database.value("PRAGMA quick_check(1)")?.text ?? "no answer"
    guard damage == "ok" else { throw refuse("an undamaged journal of fovea", damage) }
    let owner = try database.value("SELECT value FROM run WHERE name='run_id'")?.text ?? "none"
    guard owner == runID else { throw refuse("the journal of run \(runID)", "that of run \(owner)") }
  }

  private static let schema = [
    "CREATE TABLE IF NOT EXISTS run(name TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS versions(step INTEGER PRIMARY KEY, version INTEGER NOT NULL)",
    // measured: a StepCompleted, once the step is closed.
    """
    CREATE TABLE IF NOT EXISTS steps(step INTEGER PRIMARY KEY, first_cursor INTEGER NOT NULL,
      next_cursor INTEGER NOT NULL, measured BLOB)
    """,
    // outcome: 0 open, 1 finished, 2 quarantined, 3 in its step's batch. result: a GroupResult without images.
    """
    CREATE TABLE IF NOT EXISTS leases(id INTEGER PRIMARY KEY, purpose INTEGER NOT NULL, step INTEGER NOT NULL,
      cursor INTEGER NOT NULL, attempt INTEGER NOT NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0,
      outcome INTEGER NOT NULL DEFAULT 0, result BLOB, checksum TEXT)
    """,
    "CREATE INDEX IF NOT EXISTS leases_by_step ON leases(purpose, step)",
    """
    CREATE TABLE IF NOT EXISTS quarantined(purpose INTEGER NOT NULL, prompt INTEGER NOT NULL, step INTEGER NOT NULL,
      cause TEXT NOT NULL)
    """,
    // measurements: a StepCompleted.
    """
    CREATE TABLE IF NOT EXISTS rows(number INTEGER PRIMARY KEY, kind TEXT NOT NULL, step INTEGER NOT NULL,
      measurements BLOB NOT NULL)
    """,
    "CREATE TABLE IF NOT EXISTS counters(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
  ]

  // MARK: Writing

  /// Takes the entries of one event: all of them, synced to the disk, or none.
  /// - Throws: `InputError`, for example when the disk is full.
  public func write(_ entries: [JournalEntry]) throws {
    try database.withLock { database in
      try database.transaction { for entry in entries { try Self.write(entry, to: database) } }
    }
  }

  /// For tests: the file grows no further, as on a full disk.
  package func limit(pageCount: Int) throws {
    try database.withLock { _ = try $0.rows("PRAGMA max_page_count=\(pageCount)") }
  }

  private static func write(_ entry: JournalEntry, to database: SQLiteDatabase) throws {
    func set(_ name: String, _ value: SQLiteValue) throws {
      try database.run("INSERT OR REPLACE INTO run VALUES (?, ?)", .text(name), value)
    }
    switch entry {
    case .began(let step, let version, let cursor):
      try write(.completed(step: step, version: version), to: database)
      try set("next_to_open", .integer(Int64(step)))
      try set("cursor", .unsigned(cursor))
    case .sampledUnder(let settings): try set("group_settings", .text(settings))
    case .opened(let step, let cursor, let cursorAfter):
      try database.run(
        "INSERT INTO steps VALUES (?, ?, ?, NULL)", .integer(Int64(step)), .unsigned(cursor), .unsigned(cursorAfter))
      try set("next_to_open", .integer(Int64(step) + 1))
      try set("cursor", .unsigned(cursorAfter))
    case .drew(let id, let purpose, let step, let cursor):
      try database.run(
        "INSERT INTO leases(id, purpose, step, cursor) VALUES (?, ?, ?, ?)", .unsigned(id.value),
        .integer(Int64(purpose.rawValue)), .integer(Int64(step)), .unsigned(cursor))
    case .granted(let id, let attempt):
      try database.run("UPDATE leases SET attempt=? WHERE id=?", .integer(Int64(attempt)), .unsigned(id.value))
    case .failed(let id, let failures):
      try database.run("UPDATE leases SET failures=? WHERE id=?", .integer(Int64(failures)), .unsigned(id.value))
    case .finished(let id, let group):
      let bytes = MessageCodec.encode(
        .groupResult(GroupResult(lease: id, group: group)))
      try database.run(
        "UPDATE leases SET outcome=1, result=?, checksum=? WHERE id=?", .blob(bytes),
        .text("\(ContentAddress(of: bytes))"), .unsigned(id.value))
    case .quarantined(let id, let prompt):
      try database.run("UPDATE leases SET outcome=2 WHERE id=?", .unsigned(id.value))
      try database.run(
        "INSERT INTO quarantined VALUES (?, ?, ?, ?)", .integer(Int64(prompt.purpose.rawValue)),
        .unsigned(prompt.prompt), .integer(Int64(prompt.step)), .text(prompt.cause))
    case .closed(let step, let chosen, let measured):
      for id in chosen { try database.run("UPDATE leases SET outcome=3 WHERE id=?", .unsigned(id.value)) }
      try database.run("DELETE FROM leases WHERE purpose=1 AND step=? AND outcome<>3", .integer(Int64(step)))
      try database.run(
        "UPDATE steps SET measured=? WHERE step=?", .blob(encode(measured, step: step, version: PolicyVersion(0))),
        .integer(Int64(step)))
    case .discardedSteps(let step, let cursor):
      try database.run("DELETE FROM leases WHERE purpose=1 AND step>=?", .integer(Int64(step)))
      try database.run("DELETE FROM steps WHERE step>=?", .integer(Int64(step)))
      try set("next_to_open", .integer(Int64(step)))
      try set("cursor", .unsigned(cursor))
    case .discardedEvaluation: try database.run("DELETE FROM leases WHERE purpose=2")
    case .completed(let step, let version):
      try database.run(
        "INSERT INTO versions VALUES (?, ?)", .integer(Int64(step)), .unsigned(version.value))
    case .evaluated(let evaluated):
      try database.run("DELETE FROM leases WHERE purpose=2")
      try set("evaluated", .blob(MessageCodec.encode(.evaluated(evaluated))))
    case .row(let row):
      try database.run(
        "INSERT INTO rows(kind, step, measurements) VALUES (?, ?, ?)", .text(row.kind.rawValue),
        .integer(Int64(row.step)), .blob(encode(row.values, step: row.step, version: row.version)))
    case .checkpointed(let step):
      try set("checkpointed", .integer(Int64(step)))
      try database.run(
        "DELETE FROM leases WHERE purpose=1 AND step<? AND outcome=3", .integer(Int64(step)))
      try database.run("DELETE FROM steps WHERE step<? AND measured IS NOT NULL", .integer(Int64(step)))
      try database.run(
        "DELETE FROM rows WHERE step<? AND number<>(SELECT min(number) FROM rows WHERE kind='evaluation')",
        .integer(Int64(step)))
    case .counted(let counters):
      for (name, path) in FarmCounters.named {
        try database.run(
          "INSERT OR REPLACE INTO counters VALUES (?, ?)", .text(name), .unsigned(counters[keyPath: path]))
      }
    }
  }

  // MARK: Reading

  /// What a coordinator that starts resumes from.
  /// - Throws: `InputError` when a row is damaged.
  public func contents() throws -> JournalContents {
    try database.withLock { database in
      var contents = JournalContents()
      func single(_ name: String) throws -> SQLiteValue? {
        try database.value("SELECT value FROM run WHERE name=?", .text(name))
      }
      contents.groupSettings = try single("group_settings")?.text
      contents.nextToOpen = try single("next_to_open").map { try step($0, "next_to_open") } ?? 0
      contents.cursor = try single("cursor")?.unsigned ?? 0
      contents.checkpointedStep = try single("checkpointed").map { try step($0, "checkpointed") } ?? 0
      if let bytes = try single("evaluated")?.blob {
        guard case .evaluated(let evaluated) = try MessageCodec.decode(bytes) else { throw damaged("evaluated") }
        contents.evaluated = evaluated
      }
      for row in try database.rows("SELECT step, version FROM versions") {
        contents.versions[try step(row[0], "versions")] = PolicyVersion(row[1].unsigned ?? 0)
      }
      for row in try database.rows("SELECT step, first_cursor, next_cursor, measured FROM steps") {
        contents.steps[try step(row[0], "steps")] = JournalContents.Step(
          cursor: row[1].unsigned ?? 0, cursorAfter: row[2].unsigned ?? 0,
          measured: try row[3].blob.map { try decode($0).metrics })
      }
      let leases = try database.rows(
        """
        SELECT id, purpose, step, cursor, attempt, failures, outcome, result, checksum FROM leases
        WHERE purpose=2 OR step IN (SELECT step FROM steps WHERE measured IS NULL)
        """)
      contents.leases = try leases.map(lease).sorted { $0.id < $1.id }
      for row in try database.rows("SELECT purpose, prompt, step, cause FROM quarantined ORDER BY rowid") {
        contents.quarantined.append(
          QuarantinedPrompt(
            purpose: try purpose(row[0]), prompt: row[1].unsigned ?? 0, step: try step(row[2], "quarantined"),
            cause: row[3].text ?? ""))
      }
      for row in try database.rows("SELECT kind, measurements FROM rows ORDER BY number") {
        guard let kind = row[0].text.flatMap(MetricsRow.Kind.init), let bytes = row[1].blob else {
          throw damaged("rows")
        }
        let done = try decode(bytes)
        contents.rows.append(MetricsRow(kind: kind, step: done.step, version: done.version, values: done.metrics))
      }
      for row in try database.rows("SELECT name, value FROM counters") {
        guard let path = FarmCounters.named.first(where: { $0.name == row[0].text })?.path else { continue }
        contents.counters[keyPath: path] = row[1].unsigned ?? 0
      }
      return contents
    }
  }

  /// The groups of a closed step's batch, in order of their cursors.
  public func recall(step: UInt32) throws -> [RecalledGroup] {
    try database.withLock { database in
      try database.rows(
        "SELECT cursor, result, checksum FROM leases WHERE purpose=1 AND step=? AND outcome=3", .integer(Int64(step))
      ).map { RecalledGroup(cursor: $0[0].unsigned ?? 0, group: try group($0[1], checksum: $0[2])) }
        .sorted { $0.cursor < $1.cursor }
    }
  }

  private func lease(_ row: [SQLiteValue]) throws -> JournalContents.LeaseRecord {
    var lease = JournalContents.LeaseRecord(
      id: LeaseID(row[0].unsigned ?? 0), purpose: try purpose(row[1]), step: try step(row[2], "leases"),
      cursor: row[3].unsigned ?? 0)
    lease.attempt = try step(row[4], "leases.attempt")
    lease.failures = Int(try step(row[5], "leases.failures"))
    switch row[6].integer {
    case 0: lease.outcome = .open
    case 1: lease.outcome = .finished(try group(row[7], checksum: row[8]))
    case 2: lease.outcome = .quarantined
    default: throw damaged("leases.outcome")
    }
    return lease
  }

  private func group(_ result: SQLiteValue, checksum: SQLiteValue) throws -> RolloutGroup {
    guard let bytes = result.blob, checksum.text == "\(ContentAddress(of: bytes))",
      case .groupResult(let result) = try MessageCodec.decode(bytes)
    else { throw damaged("leases.result") }
    return result.group
  }

  private func step(_ value: SQLiteValue, _ column: String) throws -> UInt32 {
    guard let step = value.integer.flatMap(UInt32.init(exactly:)) else { throw damaged(column) }
    return step
  }

  private func purpose(_ value: SQLiteValue) throws -> LeasePurpose {
    guard let purpose = LeasePurpose(rawValue: try step(value, "purpose")) else { throw damaged("purpose") }
    return purpose
  }

  private func decode(_ bytes: [UInt8]) throws -> StepCompleted {
    guard case .stepCompleted(let done) = try MessageCodec.decode(bytes) else { throw damaged("measurements") }
    return done
  }

  private func damaged(_ column: String) -> InputError {
    InputError("read the journal", at: path, expected: "an undamaged journal of fovea", found: "a damaged \(column)")
  }

  private static func encode(_ values: [String: Double], step: UInt32, version: PolicyVersion) -> [UInt8] {
    MessageCodec.encode(.stepCompleted(StepCompleted(step: step, version: version, metrics: values)))
  }
}
