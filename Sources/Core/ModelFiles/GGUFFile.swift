import Support

/// Reads GGUF, version 3: metadata, tensor descriptions, and after them the tensors' bytes, each at an aligned offset.
///
/// Everything in front of the tensors' bytes is checked first: counts and lengths against the bytes that are left,
/// types, alignment, that every tensor lies inside the file and none overlaps another, and that no name occurs twice.
///
/// Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
package struct GGUFFile: Sendable {
  package let metadata: GGUFMetadata
  /// The tensors by GGUF's names, in the order of the file; shapes are rows first.
  package let tensors: [StoredTensor]

  /// The first four bytes of every GGUF file.
  package static let magic: UInt32 = 0x4655_4747  // "GGUF"

  /// Reads everything but the tensors' bytes.
  ///
  /// - Throws: `InputError` that names the file and the byte, key or tensor.
  package init(path: String) throws { try self.init(MappedFile(path: path)) }

  /// As `init(path:)`, for a file that is open.
  package init(_ file: MappedFile) throws {
    var cursor = ByteCursor(file: file)
    let magic = try cursor.integer(UInt32.self, "GGUF magic")
    guard magic == GGUFFile.magic else {
      throw cursor.failure(
        "GGUF magic", at: 0, expected: "\"GGUF\"", found: "0x\(String(magic.byteSwapped, radix: 16))")
    }
    let version = try cursor.integer(UInt32.self, "GGUF version")
    guard version == 3 else {
      throw cursor.failure(
        "GGUF version", at: 4, expected: "3, little-endian",
        found: version.byteSwapped == 3 ? "3, big-endian" : "\(version)")
    }
    // A description takes a name length, a dimension count, a dimension, a type and an offset; a metadata pair a key
    // length, a type and a byte.
    let tensorCount = try cursor.count(ofUnit: 8 + 4 + 8 + 4 + 8, "number of tensors")
    let pairCount = try cursor.count(ofUnit: 8 + 4 + 1, "number of metadata pairs")

    var values: [String: GGUFValue] = [:]
    for _ in 0..<pairCount {
      let start = cursor.offset
      let key = try cursor.string("metadata key")
      let what = "metadata \(key)"
      let value = try GGUFType.read(&cursor, what).value(&cursor, what)
      guard values.updateValue(value, forKey: key) == nil else {
        throw cursor.failure("metadata key", at: start, expected: "each key once", found: "\(key) again")
      }
    }
    metadata = GGUFMetadata(file: file, values: values)

    let alignment = try metadata.integer("general.alignment") ?? 32
    guard alignment > 0, alignment <= 1 << 20, alignment % 8 == 0 else {
      throw metadata.failure("general.alignment", expected: "a multiple of 8 up to 1048576", found: "\(alignment)")
    }
    var descriptions: [TensorDescription] = []
    for _ in 0..<tensorCount { descriptions.append(try TensorDescription(&cursor, alignment: alignment)) }
    let padding = (alignment - cursor.offset % alignment) % alignment
    let dataStart = cursor.offset + padding  // may lie behind the end; then no tensor fits
    tensors = try descriptions.map { try $0.tensor(file: file, dataStart: dataStart) }
    try GGUFFile.checkThatTensorsAreDistinct(tensors)
  }

  private static func checkThatTensorsAreDistinct(_ tensors: [StoredTensor]) throws {
    var names: Set<String> = []
    for tensor in tensors where !names.insert(tensor.name).inserted {
      throw InputError(
        "read GGUF tensor", at: "\(tensor.file.path), tensor \(tensor.name)", expected: "each name once",
        found: "the name again")
    }
    let ordered = tensors.sorted { $0.byteRange.lowerBound < $1.byteRange.lowerBound }
    for (one, next) in zip(ordered, ordered.dropFirst()) where next.byteRange.lowerBound < one.byteRange.upperBound {
      throw InputError(
        "read GGUF tensor", at: "\(next.file.path), tensor \(next.name)",
        expected: "bytes of its own, from \(one.byteRange.upperBound)",
        found: "bytes from \(next.byteRange.lowerBound), inside tensor \(one.name)")
    }
  }
}

/// What a GGUF file says of a tensor in front of the data.
private struct TensorDescription {
  var name: String
  var shape: [Int]
  var encoding: TensorEncoding
  /// The offset of its bytes from the start of the tensors' bytes.
  var offset: Int

  init(_ cursor: inout ByteCursor, alignment: Int) throws {
    name = try cursor.string("tensor name")
    let what = "tensor \(name)"
    func failure(_ field: String, _ start: Int, _ expected: String, _ found: some Any) -> InputError {
      cursor.failure("\(field) of \(what)", at: start, expected: expected, found: "\(found)")
    }
    var start = cursor.offset
    let dimensionCount = try cursor.integer(UInt32.self, "number of dimensions of \(what)")
    guard (1...4).contains(dimensionCount) else {
      throw failure("number of dimensions", start, "1 to 4", dimensionCount)
    }
    var dimensions: [Int] = []
    for _ in 0..<dimensionCount {
      start = cursor.offset
      let dimension = try cursor.integer(UInt64.self, "dimension of \(what)")
      guard dimension > 0, let value = Int(exactly: dimension) else {
        throw failure("dimension", start, "1 to \(Int.max)", dimension)
      }
      dimensions.append(value)
    }
    shape = dimensions.reversed()  // the file names the contiguous dimension first
    start = cursor.offset
    let type = try cursor.integer(UInt32.self, "type of \(what)")
    guard let encoding = TensorEncoding(ggufType: type) else {
      throw failure("type", start, "one of \(TensorEncoding.allCases.map(\.rawValue).joined(separator: ", "))", type)
    }
    self.encoding = encoding
    start = cursor.offset
    let offset = try cursor.integer(UInt64.self, "offset of \(what)")
    guard let value = Int(exactly: offset), value % alignment == 0 else {
      throw failure("offset", start, "a multiple of the alignment, \(alignment)", offset)
    }
    self.offset = value
  }

  func tensor(file: MappedFile, dataStart: Int) throws -> StoredTensor {
    func failure(_ expected: String, _ found: String) -> InputError {
      InputError("read GGUF tensor", at: "\(file.path), tensor \(name)", expected: expected, found: found)
    }
    guard let byteCount = encoding.byteCount(shape: shape) else {
      throw failure(
        "a shape whose rows are whole blocks of \(encoding.blockScalarCount) and whose bytes can be counted", "\(shape)"
      )
    }
    let available = max(0, file.bytes.count - dataStart)
    guard byteCount <= available, offset <= available - byteCount else {
      throw failure(
        "\(byteCount) bytes at offset \(offset), inside the \(available) bytes of tensor data",
        "the end of the file before")
    }
    let start = dataStart + offset
    return StoredTensor(
      name: name, encoding: encoding, shape: shape, file: file, byteRange: start..<start + byteCount)
  }
}

extension TensorEncoding {
  /// The encoding with that number in a GGUF file.
  ///
  /// Source: `ggml_type` in ggml.h.
  fileprivate init?(ggufType: UInt32) {
    switch ggufType {
    case 0: self = .float32
    case 1: self = .float16
    case 2: self = .q4_0
    case 3: self = .q4_1
    case 8: self = .q8_0
    case 12: self = .q4_K
    case 14: self = .q6_K
    case 30: self = .bfloat16
    default: return nil
    }
  }
}
