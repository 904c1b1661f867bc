import Imaging
import Prompts
import Support

/// A file of MM-Retinal-Reason: rows by streaming or by place, and their images.
///
/// Images are in the rows as base64, in files next to it, or in a CSV table of the same name (`x.csv` next to
/// `x.json`), as the authors keep them for evaluation.
public struct MMRetinalReasonFile: Sendable {
  /// How far a row's images are looked at.
  public enum ImageCheck: Sendable {
    case none
    /// They are there, they are JPEG or PNG, and their size is within the limits.
    case headers
    /// They can be decoded.
    case pixels
  }

  /// Where a row lies in the file.
  public struct Place: Hashable, Sendable {
    let offset: Int
    let byteCount: Int
    /// The number of the row, from 0.
    public let index: Int
  }

  public let path: String
  private let file: RandomAccessFile
  private let reader: MMRetinalReasonRowReader
  private let table: Base64Table?
  private let limits: ImageLimits

  public init(path: String, limits: ImageLimits = ImageLimits(byteCountMax: PromptImage.byteCountMax)) throws {
    self.path = path
    self.limits = limits
    file = try RandomAccessFile(path: path)
    reader = MMRetinalReasonRowReader(path: path)
    let tablePath = (path.hasSuffix(".json") ? String(path.dropLast(5)) : path) + ".csv"
    table = (try? RandomAccessFile(path: tablePath)) == nil ? nil : try Base64Table(path: tablePath)
  }

  /// Calls `body` with every row, good or bad, in order; holds one row at a time.
  /// - Throws: `InputError` for a file that cannot be read further, and what `body` throws.
  public func forEachRow(
    check: ImageCheck,
    body: (_ place: Place, _ row: Result<(row: MMRetinalReasonRow, headers: [ImageHeader]), InputError>) throws -> Void
  ) throws {
    try JSONArrayReader.forEachElement(of: file) { index, place, bytes in
      let place = Place(offset: place.offset, byteCount: place.byteCount, index: index)
      do {
        let row = try reader.row(bytes, index: index)
        try body(place, .success((row, try headers(of: row, index: index, check: check))))
      } catch let error as InputError {
        try body(place, .failure(error))
      }
    }
  }

  /// The row of a number, from 0: those before it are skipped unread, and nothing after it is read.
  /// - Throws: `InputError` for a bad row, and for a file that cannot be read so far, or ends before it.
  public func row(_ wanted: Int) throws -> MMRetinalReasonRow {
    struct Found: Error { var row: MMRetinalReasonRow }
    var count = 0
    do {
      try JSONArrayReader.forEachElement(of: file) { index, _, bytes in
        if index == wanted { throw Found(row: try reader.row(bytes, index: index)) }
        count += 1
      }
    } catch let found as Found { return found.row }
    throw InputError("read a row", at: path, expected: "a row below \(count)", found: "\(wanted)")
  }

  /// The row at a place that `forEachRow` gave.
  public func row(at place: Place) throws -> MMRetinalReasonRow {
    try reader.row(file.bytes(at: place.offset, count: place.byteCount), index: place.index)
  }

  /// The encoded images of a row.
  public func images(of row: MMRetinalReasonRow) throws -> [PromptImage] {
    try row.images.map { PromptImage(bytes: try bytes(of: $0)) }
  }

  private func headers(of row: MMRetinalReasonRow, index: Int, check: ImageCheck) throws -> [ImageHeader] {
    if check == .none { return [] }
    return try row.images.enumerated().map { number, source in
      let place = "\(path), row \(index): image[\(number)]"
      do {
        let bytes = try bytes(of: source)
        if check == .pixels { _ = try ImageFile.decode(bytes, limits: limits, place: place) }
        return try ImageFile.header(of: bytes, limits: limits, place: place)
      } catch var error as InputError {
        if !error.place.hasPrefix(place) { error.place = "\(place): \(error.place)" }
        throw error
      }
    }
  }

  private func bytes(of source: MMRetinalReasonRow.ImageSource) throws -> [UInt8] {
    switch source {
    case .encoded(let bytes): return bytes
    case .path(let name):
      if let bytes = try table?.bytes(name) { return bytes }
      let folder = path.lastIndex(of: "/").map { path[...$0] } ?? ""
      return try Files.read(
        name.hasPrefix("/") ? name : folder + name, operation: "read file", byteCountMax: limits.byteCountMax)
    }
  }
}
