import CSQLite
import Support

/// A value in a row.
enum SQLiteValue: Equatable {
  case null
  case integer(Int64)
  case real(Double)
  case text(String)
  case blob([UInt8])

  /// Bit for bit: SQLite has signed integers only.
  static func unsigned(_ value: UInt64) -> Self { .integer(Int64(bitPattern: value)) }

  var integer: Int64? { if case .integer(let value) = self { value } else { nil } }
  var unsigned: UInt64? { integer.map { UInt64(bitPattern: $0) } }
  var text: String? { if case .text(let value) = self { value } else { nil } }
  var blob: [UInt8]? { if case .blob(let value) = self { value } else { nil } }
}

/// One connection to one SQLite file: the only place that calls its C interface.
///
/// Not thread-safe; `Journal` holds it in a mutex. Statements are compiled once. Every failure is an `InputError` that
/// names the file and what SQLite says of it.
final class SQLiteDatabase {
  private let path: String
  private var handle: OpaquePointer?
  private var statements: [String: OpaquePointer] = [:]

  /// Opens a file that exists, or a database in memory for ":memory:".
  init(path: String) throws {
    self.path = path
    // No mutex of SQLite's own; links are not followed.
    let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_NOFOLLOW
    guard sqlite3_open_v2(path, &handle, flags, nil) == SQLITE_OK else { throw failure("open the journal") }
    // A process that was killed a moment ago may not have let go of its lock.
    sqlite3_busy_timeout(handle, 1000)
  }

  deinit {
    for statement in statements.values { sqlite3_finalize(statement) }
    sqlite3_close_v2(handle)
  }

  /// Runs a statement that answers nothing.
  func run(_ sql: String, _ values: SQLiteValue...) throws { _ = try step(sql, values) { _ in } }

  /// The rows that a statement answers.
  func rows(_ sql: String, _ values: SQLiteValue...) throws -> [[SQLiteValue]] {
    var rows: [[SQLiteValue]] = []
    try step(sql, values) { rows.append($0) }
    return rows
  }

  /// The first value of the first row.
  func value(_ sql: String, _ values: SQLiteValue...) throws -> SQLiteValue? {
    var first: SQLiteValue?
    try step(sql, values) { if first == nil { first = $0.first } }
    return first
  }

  /// All of `body`, or nothing of it.
  func transaction(_ body: () throws -> Void) throws {
    try run("BEGIN IMMEDIATE")
    do {
      try body()
      try run("COMMIT")
    } catch {
      // A full disk may have rolled it back already.
      if sqlite3_get_autocommit(handle) == 0 { try? run("ROLLBACK") }
      throw error
    }
  }

  private func step(_ sql: String, _ values: [SQLiteValue], _ row: ([SQLiteValue]) throws -> Void) throws {
    let statement = try prepared(sql)
    defer {
      sqlite3_reset(statement)
      sqlite3_clear_bindings(statement)
    }
    for (index, value) in values.enumerated() {
      guard bind(value, to: Int32(index + 1), of: statement) == SQLITE_OK else { throw failure("write the journal") }
    }
    while true {
      switch sqlite3_step(statement) {
      case SQLITE_ROW: try row((0..<sqlite3_column_count(statement)).map { column($0, of: statement) })
      case SQLITE_DONE: return
      default: throw failure(sqlite3_stmt_readonly(statement) != 0 ? "read the journal" : "write the journal")
      }
    }
  }

  private func prepared(_ sql: String) throws -> OpaquePointer? {
    if let statement = statements[sql] { return statement }
    var statement: OpaquePointer?
    guard sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil) == SQLITE_OK else {
      throw failure("use the journal")
    }
    statements[sql] = statement
    return statement
  }

  private func bind(_ value: SQLiteValue, to index: Int32, of statement: OpaquePointer?) -> Int32 {
    // SQLite copies what it is given before this returns.
    let copies = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
    switch value {
    case .null: return sqlite3_bind_null(statement, index)
    case .integer(let value): return sqlite3_bind_int64(statement, index, value)
    case .real(let value): return sqlite3_bind_double(statement, index, value)
    case .text(let text): return sqlite3_bind_text64(statement, index, text, UInt64(text.utf8.count), copies, 1)
    case .blob(let bytes): return sqlite3_bind_blob64(statement, index, bytes, UInt64(bytes.count), copies)
    }
  }

  private func column(_ index: Int32, of statement: OpaquePointer?) -> SQLiteValue {
    func bytes(_ start: UnsafeRawPointer?) -> UnsafeRawBufferPointer {
      UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(statement, index)))
    }
    switch sqlite3_column_type(statement, index) {
    case SQLITE_INTEGER: return .integer(sqlite3_column_int64(statement, index))
    case SQLITE_FLOAT: return .real(sqlite3_column_double(statement, index))
    case SQLITE_TEXT: return .text(String(decoding: bytes(sqlite3_column_text(statement, index)), as: UTF8.self))
    case SQLITE_BLOB: return .blob([UInt8](bytes(sqlite3_column_blob(statement, index))))
    default: return .null
    }
  }

  private func failure(_ attempted: String) -> InputError {
    let code = sqlite3_extended_errcode(handle)
    // To SQLite a COMMIT only reads.
    let operation = code & 0xFF == SQLITE_FULL ? "write the journal" : attempted
    let text = sqlite3_errmsg(handle).map { String(cString: $0) } ?? "no memory"
    let expected =
      switch code & 0xFF {
      case SQLITE_FULL: "room on the disk"
      case SQLITE_BUSY: "a journal that no other coordinator has open"
      case SQLITE_NOTADB, SQLITE_CORRUPT: "an undamaged journal of fovea"
      case SQLITE_CANTOPEN, SQLITE_READONLY, SQLITE_PERM: "a file that this process may write"
      default: "a disk that takes and gives what it is asked"
      }
    return InputError(operation, at: path, expected: expected, found: "\(text) (SQLite code \(code))")
  }
}
