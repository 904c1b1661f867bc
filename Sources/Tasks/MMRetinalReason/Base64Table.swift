import Imaging
import Prompts
import Support

/// The images of a data set as its authors keep them for evaluation: a CSV file, a name and a file in base64 a line.
///
/// Only the places of the lines are held in memory; an image is read when it is asked for.
package struct Base64Table: Sendable {
  static let nameByteCountMax = 4096
  static let rowCountMax = 5_000_000
  /// A name, a comma and the largest image in base64.
  private static let lineByteCountMax = PromptImage.byteCountMax / 3 * 4 + nameByteCountMax + 16

  private let file: RandomAccessFile
  /// Name to the place of its base64.
  private var places: [String: JSONArrayReader.Place] = [:]

  package init(path: String) throws {
    let file = try RandomAccessFile(path: path)
    self.file = file
    var places: [String: JSONArrayReader.Place] = [:]
    var line = 0
    func failure(_ expected: String, _ found: String) -> InputError {
      InputError("read images", at: "\(path), line \(line + 1)", expected: expected, found: found)
    }
    /// The start of the line at hand: its name, and no more of the base64 than the chunk that the name ends in.
    var head: [UInt8] = []
    var lineStart = 0
    func finish(at end: Int) throws {
      defer {
        head.removeAll(keepingCapacity: true)
        lineStart = end + 1
        line += 1
      }
      if head.isEmpty || head == [UInt8(ascii: "\r")] { return }
      guard let name = Self.name(head), places.count < Self.rowCountMax else {
        throw failure("a name of at most \(Self.nameByteCountMax) bytes, a comma and base64", "another line")
      }
      guard line > 0 else {
        guard head[name.byteCount...].starts(with: ",base64".utf8) else {
          throw failure("a header with two columns, the second one base64", String(decoding: head, as: UTF8.self))
        }
        return
      }
      let start = lineStart + name.byteCount + 1
      let place = JSONArrayReader.Place(offset: start, byteCount: end - start)
      guard places.updateValue(place, forKey: name.text) == nil else {
        throw failure("each name once", "\"\(name.text.prefix(100))\" again")
      }
    }
    let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
    defer { chunk.deallocate() }
    var base = 0
    while true {
      let count = try file.read(into: chunk, at: base)
      if count == 0 { break }
      var rest = chunk[..<count]
      while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
        head.append(contentsOf: rest[..<end].prefix(Self.headByteCount - head.count))
        try finish(at: base + end)
        rest = rest[(end + 1)...]
      }
      head.append(contentsOf: rest.prefix(Self.headByteCount - head.count))
      guard base + count - lineStart <= Self.lineByteCountMax else {
        throw failure("lines of at most \(Self.lineByteCountMax) bytes", "a longer one")
      }
      base += count
    }
    if !head.isEmpty { try finish(at: base) }
    self.places = places
  }

  private static let headByteCount = 2 * nameByteCountMax + 16

  /// The first field, with quotes taken off, and the bytes that it takes in the line.
  private static func name(_ line: [UInt8]) -> (text: String, byteCount: Int)? {
    let quote = UInt8(ascii: "\"")
    var name: [UInt8] = []
    var at = 0
    if line.first == quote {
      at = 1
      while true {
        guard at < line.count else { return nil }
        if line[at] == quote {
          guard at + 1 < line.count, line[at + 1] == quote else { break }
          at += 1
        }
        name.append(line[at])
        at += 1
      }
      at += 1
    } else {
      at = line.firstIndex(of: UInt8(ascii: ",")) ?? line.count
      name = Array(line[..<at])
    }
    guard at < line.count, line[at] == UInt8(ascii: ","), name.count <= nameByteCountMax,
      let text = String(validating: name, as: UTF8.self)
    else { return nil }
    return (text, at)
  }

  /// The file of a name; nil when the table does not have it.
  package func bytes(_ name: String) throws -> [UInt8]? {
    guard let place = places[name] else { return nil }
    let text = try file.bytes(at: place.offset, count: place.byteCount)
    guard let bytes = Base64.decode(String(decoding: text, as: UTF8.self)) else {
      throw InputError(
        "read images", at: "\(file.path), byte \(place.offset)", expected: "base64", found: "text that is not")
    }
    return bytes
  }
}
