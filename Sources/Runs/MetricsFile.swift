import Foundation
import Glibc
import Support
import Synchronization
import Wire

/// metrics.jsonl: appends a row a line, and reads as one curve however often the run was interrupted.
///
/// Invariant: within a kind, steps strictly increase. A row of a step that is there already (the run was resumed from
/// an older checkpoint) first cuts that step and everything after it. A last line that was torn by a crash is cut when
/// the file is opened.
public final class MetricsFile: Sendable {
  private struct State {
    var descriptor: Int32
    var newest: [MetricsRow.Kind: UInt32]
  }

  public let path: String
  private let state: Mutex<State>

  /// Opens the file, or makes an empty one.
  public init(path: String) throws {
    self.path = path
    let rows = try Self.read(path)
    try Self.replace(path, with: rows)
    state = Mutex(State(descriptor: try Self.open(path), newest: Self.newest(rows)))
  }

  deinit { close(state.withLock { $0.descriptor }) }

  /// Appends a row.
  public func append(_ row: MetricsRow) throws {
    try state.withLock { state in
      if let newest = state.newest[row.kind], row.step <= newest {
        // A step done again changes the weights from there on; an evaluation done again only replaces the one before.
        try keep(&state) { $0.step < row.step || (row.kind == .evaluation && $0.kind == .step) }
      }
      guard Files.writeAll(Self.line(row), to: state.descriptor) else { throw Files.failure("write metrics", at: path) }
      state.newest[row.kind] = row.step
    }
  }

  /// Removes the rows of later steps: the run resumes after `step`.
  public func cut(after step: UInt32) throws { try state.withLock { try keep(&$0) { $0.step <= step } } }

  /// Appends those rows that are newer than the file's.
  public func complete(with rows: [MetricsRow]) throws {
    for row in rows where state.withLock({ $0.newest[row.kind].map { row.step > $0 } ?? true }) { try append(row) }
  }

  /// Every row in the file.
  public func rows() throws -> [MetricsRow] { try Self.read(path) }

  private func keep(_ state: inout State, _ isKept: (MetricsRow) -> Bool) throws {
    let rows = try Self.read(path).filter(isKept)
    try Self.replace(path, with: rows)
    close(state.descriptor)
    state.descriptor = try Self.open(path)
    state.newest = Self.newest(rows)
  }

  private static func newest(_ rows: [MetricsRow]) -> [MetricsRow.Kind: UInt32] {
    Dictionary(rows.map { ($0.kind, $0.step) }, uniquingKeysWith: max)
  }

  private static func open(_ path: String) throws -> Int32 {
    let descriptor = Glibc.open(path, O_WRONLY | O_APPEND | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw Files.failure("open metrics", at: path) }
    return descriptor
  }

  private static func replace(_ path: String, with rows: [MetricsRow]) throws {
    try Files.write(rows.flatMap(line), to: path)
  }

  /// Rows of a file; none when there is no file. The last line may be torn, any other must be a row.
  public static func read(_ path: String) throws -> [MetricsRow] {
    guard Files.isFile(path) else { return [] }
    let bytes = try Files.read(path, operation: "read metrics")
    return try rows(bytes[...], place: path)
  }

  /// The rows of a file's bytes.
  package static func rows(_ bytes: ArraySlice<UInt8>, place: String) throws -> [MetricsRow] {
    let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: true)
    let isTorn = bytes.last.map { $0 != UInt8(ascii: "\n") } ?? false
    var rows: [MetricsRow] = []
    for (index, line) in lines.enumerated() {
      if isTorn, index == lines.count - 1 { break }
      rows.append(try row(Array(line), place: "\(place), line \(index + 1)"))
    }
    return rows
  }

  /// `{"kind":"step","step":3,"version":3,...}`: what the row is stands first, the measurements follow by name.
  package static func line(_ row: MetricsRow) -> [UInt8] {
    var text = "{\"kind\":\"\(row.kind.rawValue)\",\"step\":\(row.step),\"version\":\(row.version.value)"
    for (name, value) in row.values.sorted(by: { $0.key < $1.key }) {
      text += "," + String(decoding: JSON.string(name).serialized(), as: UTF8.self) + ":"
      text += value.isFinite ? number(value) : "null"
    }
    return Array((text + "}\n").utf8)
  }

  private static func number(_ value: Double) -> String {
    if value == value.rounded(), abs(value) < 1e15 { return "\(Int64(value))" }
    return "\(value)"
  }

  private static func row(_ line: [UInt8], place: String) throws -> MetricsRow {
    let json = try JSON.parse(line, place: place)
    guard let kind = json["kind"]?.string.flatMap(MetricsRow.Kind.init), let object = json.object,
      let step = json["step"]?.int.flatMap(UInt32.init(exactly:)),
      let version = json["version"]?.int.flatMap(UInt64.init(exactly:))
    else {
      throw InputError("read metrics", at: place, expected: "a row with kind, step and version", found: json.kind)
    }
    var values: [String: Double] = [:]
    for (name, value) in object where !["kind", "step", "version"].contains(name) {
      values[name] = value == .null ? .nan : value.double
    }
    return MetricsRow(kind: kind, step: step, version: PolicyVersion(version), values: values)
  }
}
