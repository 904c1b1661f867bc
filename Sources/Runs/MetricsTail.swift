import Foundation
import Glibc
import Wire

/// Reads what another process appends to metrics.jsonl.
///
/// A file that was replaced (rows were cut) is read again from its start; a line that is not whole yet waits. Rows that
/// were returned before are not returned again.
public struct MetricsTail {
  private let path: String
  private var file: ino_t = 0
  private var offset = 0
  private var newest: [MetricsRow.Kind: UInt32] = [:]

  /// - Parameter rows: those that are known already.
  public init(path: String, after rows: [MetricsRow] = []) {
    self.path = path
    for row in rows { newest[row.kind] = row.step }
  }

  /// The rows that are new.
  public mutating func newRows() throws -> [MetricsRow] {
    var information = stat()
    guard stat(path, &information) == 0 else { return [] }
    if information.st_ino != file { (file, offset) = (information.st_ino, 0) }
    guard Int(information.st_size) > offset, let handle = FileHandle(forReadingAtPath: path) else { return [] }
    try handle.seek(toOffset: UInt64(offset))
    let bytes = [UInt8](try handle.readToEnd() ?? Data())
    guard let end = bytes.lastIndex(of: UInt8(ascii: "\n")) else { return [] }
    offset += end + 1
    let rows = try MetricsFile.rows(bytes[...end], place: path)
    return rows.filter { row in
      guard newest[row.kind].map({ row.step > $0 }) ?? true else { return false }
      newest[row.kind] = row.step
      return true
    }
  }
}
