import CZlib
import Support

/// A zip archive as numpy's `savez` writes it: stored or deflated entries, no encryption, one part, less than 4 GiB.
///
/// The central directory is the only truth: every name, size and offset comes from there, and an entry's own header has
/// to agree. Sizes are checked against the file before a byte is allocated, and the checksum after the last. Source:
/// PKWARE APPNOTE 6.3, sections 4.3.7, 4.3.12 and 4.3.16.
struct ZipArchive {
  struct Entry: Equatable {
    var name: String
    var isDeflated: Bool
    var checksum: UInt32
    /// The size of the stored data; `byteCount` is the size after decompression.
    var storedByteCount: Int
    var byteCount: Int
    /// The offset of the entry's own header.
    var offset: Int
  }

  static let entryCountMax = 4096
  /// Deflate cannot shrink further than this.
  private static let deflateRatioMax = 1032

  let file: MappedFile
  private(set) var entries: [Entry] = []
  private let directoryStart: Int

  init(_ file: MappedFile) throws {
    self.file = file
    let end = try Self.endRecord(in: file)
    var cursor = ByteCursor(file: file, offset: end + 4)
    let parts = (try cursor.integer(UInt16.self, "zip"), try cursor.integer(UInt16.self, "zip"))
    let counts = (Int(try cursor.integer(UInt16.self, "zip")), Int(try cursor.integer(UInt16.self, "zip")))
    let directoryByteCount = Int(try cursor.integer(UInt32.self, "zip"))
    directoryStart = Int(try cursor.integer(UInt32.self, "zip"))
    guard parts == (0, 0), counts.0 == counts.1, counts.0 <= Self.entryCountMax else {
      throw cursor.failure(
        "zip", at: end, expected: "one part with at most \(Self.entryCountMax) entries", found: "another archive")
    }
    guard directoryStart <= end, directoryByteCount == end - directoryStart else {
      throw cursor.failure(
        "zip directory", at: end, expected: "a directory that ends here", found: "one of \(directoryByteCount) bytes")
    }
    cursor = ByteCursor(file: file, offset: directoryStart)
    for _ in 0..<counts.0 { entries.append(try Self.entry(&cursor, directoryStart: directoryStart)) }
    guard cursor.offset == end, Set(entries.map(\.name)).count == entries.count else {
      throw cursor.failure(
        "zip directory", at: cursor.offset, expected: "\(counts.0) entries with different names", found: "others")
    }
  }

  /// The end record stands at the end, before a comment of at most 64 KiB.
  private static func endRecord(in file: MappedFile) throws -> Int {
    let (length, bytes) = (22, file.bytes)
    var at = bytes.count - length
    while at >= max(0, bytes.count - length - 0xFFFF) {
      if bytes[at..<at + 4].elementsEqual([0x50, 0x4B, 5, 6]),
        at + length + Int(bytes[at + 20]) + Int(bytes[at + 21]) << 8 == bytes.count
      {
        return at
      }
      at -= 1
    }
    throw InputError(
      "read zip", at: file.path, expected: "the end record of a zip archive", found: "\(bytes.count) bytes without it")
  }

  /// The next entry of the central directory.
  private static func entry(_ cursor: inout ByteCursor, directoryStart: Int) throws -> Entry {
    let start = cursor.offset
    let signature = try cursor.integer(UInt32.self, "zip entry")
    try cursor.skip(4, "zip entry")  // versions
    let flags = try cursor.integer(UInt16.self, "zip entry")
    let method = try cursor.integer(UInt16.self, "zip entry")
    try cursor.skip(4, "zip entry")  // date
    let checksum = try cursor.integer(UInt32.self, "zip entry")
    let storedByteCount = try cursor.integer(UInt32.self, "zip entry")
    let byteCount = try cursor.integer(UInt32.self, "zip entry")
    let nameByteCount = Int(try cursor.integer(UInt16.self, "zip entry"))
    let restByteCount =
      Int(try cursor.integer(UInt16.self, "zip entry")) + Int(try cursor.integer(UInt16.self, "zip entry"))
    try cursor.skip(8, "zip entry")  // part and attributes
    let offset = try cursor.integer(UInt32.self, "zip entry")
    let nameStart = try cursor.skip(nameByteCount, "zip entry's name")
    try cursor.skip(restByteCount, "zip entry")
    let nameBytes = cursor.file.bytes[nameStart..<nameStart + nameByteCount]
    func failure(_ expected: String, _ found: String) -> InputError {
      cursor.failure("zip entry", at: start, expected: expected, found: found)
    }
    guard signature == 0x0201_4B50 else { throw failure("an entry of the directory", "other bytes") }
    guard let name = String(validating: nameBytes, as: UTF8.self) else { throw failure("a UTF-8 name", "other bytes") }
    guard flags & 1 == 0 else { throw failure("an entry that is not encrypted", "an encrypted one, \(name)") }
    guard method == 0 || method == 8 else { throw failure("a stored or deflated entry", "method \(method), \(name)") }
    guard storedByteCount < .max, byteCount < .max, offset < .max else {
      throw failure("an entry of less than 4 GiB", "a zip64 one, \(name)")
    }
    guard method == 8 || byteCount == storedByteCount, Int(byteCount) / deflateRatioMax <= Int(storedByteCount),
      Int(offset) + 30 + nameByteCount + Int(storedByteCount) <= directoryStart
    else { throw failure("sizes that can be", "\(storedByteCount) bytes at \(offset) for \(byteCount), \(name)") }
    return Entry(
      name: name, isDeflated: method == 8, checksum: checksum, storedByteCount: Int(storedByteCount),
      byteCount: Int(byteCount), offset: Int(offset))
  }

  /// The bytes of an entry.
  /// - Parameter byteCountMax: a larger one is refused before it is read.
  func contents(of entry: Entry, byteCountMax: Int) throws -> [UInt8] {
    var cursor = ByteCursor(file: file, offset: entry.offset)
    func failure(_ expected: String, _ found: String) -> InputError {
      cursor.failure("zip entry \(entry.name)", at: entry.offset, expected: expected, found: found)
    }
    guard entry.byteCount <= byteCountMax else {
      throw failure("at most \(byteCountMax) bytes", "\(entry.byteCount)")
    }
    let signature = try cursor.integer(UInt32.self, "zip entry")
    try cursor.skip(4, "zip entry")
    let method = try cursor.integer(UInt16.self, "zip entry")
    try cursor.skip(16, "zip entry")  // date, checksum and sizes, which may be left to the directory
    let nameByteCount = Int(try cursor.integer(UInt16.self, "zip entry"))
    let extraByteCount = Int(try cursor.integer(UInt16.self, "zip entry"))
    let nameStart = try cursor.skip(nameByteCount, "zip entry's name")
    try cursor.skip(extraByteCount, "zip entry")
    let start = cursor.offset
    guard signature == 0x0403_4B50, method == (entry.isDeflated ? 8 : 0),
      file.bytes[nameStart..<nameStart + nameByteCount].elementsEqual(entry.name.utf8),
      start + entry.storedByteCount <= directoryStart
    else { throw failure("a header that agrees with the directory", "another") }
    let stored = UnsafeRawBufferPointer(rebasing: file.bytes[start..<start + entry.storedByteCount])
    let bytes: [UInt8]
    if entry.isDeflated {
      guard let inflated = inflate(stored, byteCount: entry.byteCount) else {
        throw failure("deflated data of \(entry.byteCount) bytes", "damaged data")
      }
      bytes = inflated
    } else {
      bytes = Array(stored)
    }
    let checksum = bytes.withUnsafeBufferPointer { crc32_z(0, $0.baseAddress, $0.count) }
    guard UInt32(checksum) == entry.checksum else {
      throw failure("checksum \(entry.checksum)", "\(checksum): damaged data")
    }
    return bytes
  }

  /// nil unless the data is whole and gives exactly that many bytes.
  private func inflate(_ stored: UnsafeRawBufferPointer, byteCount: Int) -> [UInt8]? {
    var stream = z_stream()
    guard fovea_inflate_init_raw(&stream) == Z_OK else { return nil }
    defer { inflateEnd(&stream) }
    var isWhole = false
    let bytes = [UInt8](unsafeUninitializedCapacity: byteCount + 1) { buffer, count in
      // Both counts fit 32 bits: zip64 is refused. One byte more shows data that is longer than it says.
      stream.next_in = UnsafeMutablePointer(mutating: stored.assumingMemoryBound(to: UInt8.self).baseAddress)
      stream.avail_in = UInt32(stored.count)
      stream.next_out = buffer.baseAddress
      stream.avail_out = UInt32(byteCount + 1)
      let status = CZlib.inflate(&stream, Z_FINISH)
      count = min(Int(stream.total_out), byteCount)
      isWhole = status == Z_STREAM_END && stream.avail_in == 0 && Int(stream.total_out) == byteCount
    }
    return isWhole ? bytes : nil
  }
}
