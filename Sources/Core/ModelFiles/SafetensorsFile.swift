import Glibc
import Support

/// Reads safetensors: an 8-byte length, a JSON header, and the tensors' bytes one after the other.
///
/// The whole header is checked before a tensor's byte is read: as the format demands, the tensors fill the rest of the
/// file without overlap and without a hole, and each has exactly the bytes of its shape and type.
///
/// Source: https://github.com/huggingface/safetensors, "Format".
package enum SafetensorsFile {
  /// The longest header that is read; those of large published models take less than a megabyte.
  package static let headerByteCountMax = 16 << 20

  /// The tensors of one file, by name.
  ///
  /// - Throws: `InputError` that names the file and the tensor.
  package static func tensors(path: String) throws -> [String: StoredTensor] {
    try tensors(in: MappedFile(path: path))
  }

  /// As `tensors(path:)`, for a file that is open.
  package static func tensors(in file: MappedFile) throws -> [String: StoredTensor] {
    let (members, dataStart) = try header(of: file)
    var tensors: [String: StoredTensor] = [:]
    for (name, description) in members where name != "__metadata__" {
      tensors[name] = try tensor(name, description, dataStart: dataStart, file: file)
    }
    try checkThatTensorsFillTheFile(tensors.values, dataStart: dataStart, file: file)
    return tensors
  }

  /// The metadata of a file: texts by name.
  package static func metadata(in file: MappedFile) throws -> [String: String] {
    try header(of: file).members["__metadata__"]?.object?.compactMapValues(\.string) ?? [:]
  }

  private static func header(of file: MappedFile) throws -> (members: [String: JSON], dataStart: Int) {
    var cursor = ByteCursor(file: file)
    let length = try cursor.count(ofUnit: 1, "length of the safetensors header")
    guard length <= headerByteCountMax else {
      throw cursor.failure(
        "length of the safetensors header", at: 0, expected: "at most \(headerByteCountMax)", found: "\(length)")
    }
    let start = try cursor.skip(length, "safetensors header")
    let header = try JSON.parse(
      UnsafeRawBufferPointer(rebasing: file.bytes[start..<start + length]).assumingMemoryBound(to: UInt8.self),
      place: "\(file.path), header")
    guard let members = header.object else {
      throw InputError("read safetensors header", at: file.path, expected: "an object", found: header.kind)
    }
    return (members, cursor.offset)
  }

  private static func tensor(
    _ name: String, _ description: JSON, dataStart: Int, file: MappedFile
  ) throws -> StoredTensor {
    let place = "\(file.path), tensor \(name)"
    func failure(_ expected: String, _ found: String) -> InputError {
      InputError("read safetensors header", at: place, expected: expected, found: found)
    }
    let type = try description.required("dtype", String.self, at: place)
    guard let encoding = TensorEncoding(rawValue: type), encoding.blockScalarCount == 1 else {
      throw failure("dtype F32, F16 or BF16", type)
    }
    let shape = try integers("shape", of: description, at: place)
    let offsets = try integers("data_offsets", of: description, at: place)
    let dataByteCount = file.bytes.count - dataStart
    guard offsets.count == 2, 0 <= offsets[0], offsets[0] <= offsets[1], offsets[1] <= dataByteCount else {
      throw failure("data_offsets [begin, end] with 0 <= begin <= end <= \(dataByteCount)", "\(offsets)")
    }
    guard let byteCount = encoding.byteCount(shape: shape) else {
      throw failure("a shape of non-negative dimensions whose product fits 64 bits", "\(shape)")
    }
    guard offsets[1] - offsets[0] == byteCount else {
      throw failure("\(byteCount) bytes for \(type) of shape \(shape)", "\(offsets[1] - offsets[0]) bytes")
    }
    return StoredTensor(
      name: name, encoding: encoding, shape: shape, file: file,
      byteRange: dataStart + offsets[0]..<dataStart + offsets[1])
  }

  private static func integers(_ key: String, of description: JSON, at place: String) throws -> [Int] {
    try description.required(key, [JSON].self, at: place).map { element in
      guard case .integer(let value) = element, let integer = Int(exactly: value) else {
        throw InputError(
          "read safetensors header", at: "\(place), key \(key)", expected: "integers", found: element.kind)
      }
      return integer
    }
  }

  private static func checkThatTensorsFillTheFile(
    _ tensors: some Collection<StoredTensor>, dataStart: Int, file: MappedFile
  ) throws {
    var end = dataStart
    let ordered = tensors.sorted {
      ($0.byteRange.lowerBound, $0.byteRange.upperBound) < ($1.byteRange.lowerBound, $1.byteRange.upperBound)
    }
    for tensor in ordered {
      guard tensor.byteRange.lowerBound == end else {
        throw InputError(
          "read safetensors header", at: "\(file.path), tensor \(tensor.name)",
          expected: "data that begin at \(end - dataStart), where the tensor before ends",
          found: "data that begin at \(tensor.byteRange.lowerBound - dataStart)")
      }
      end = tensor.byteRange.upperBound
    }
    guard end == file.bytes.count else {
      throw InputError(
        "read safetensors header", at: file.path, expected: "data that end with the last tensor, after \(end) bytes",
        found: "a file of \(file.bytes.count) bytes")
    }
  }
}

extension SafetensorsFile {
  /// The tensors of a Hugging Face folder: `model.safetensors`, or the files that `model.safetensors.index.json` names.
  ///
  /// - Throws: `InputError` as for one file; and when the index and the files disagree.
  package static func tensors(folder: String) throws -> [String: StoredTensor] {
    let single = "\(folder)/model.safetensors"
    if access(single, F_OK) == 0 { return try tensors(path: single) }
    let indexPath = "\(folder)/model.safetensors.index.json"
    guard access(indexPath, F_OK) == 0 else {
      throw InputError(
        "load model", at: folder, expected: "model.safetensors or model.safetensors.index.json", found: "neither")
    }
    let bytes = try MappedFile.contents(of: indexPath, byteCountMax: headerByteCountMax)
    let index = try JSON.parse(bytes, place: indexPath)
    let fileOfTensor = try index.required("weight_map", [String: JSON].self, at: indexPath)
    var namesOfFile: [String: Set<String>] = [:]
    for (name, value) in fileOfTensor {
      guard let file = value.string, isPlainFileName(file) else {
        throw InputError(
          "read the list of shards", at: "\(indexPath), tensor \(name)", expected: "the name of a file in the folder",
          found: value.kind)
      }
      namesOfFile[file, default: []].insert(name)
    }
    var all: [String: StoredTensor] = [:]
    for (file, names) in namesOfFile.sorted(by: { $0.key < $1.key }) {
      let shard = try tensors(path: "\(folder)/\(file)")
      if let name = names.subtracting(shard.keys).min() {
        throw InputError(
          "load model", at: "\(folder)/\(file), tensor \(name)", expected: "the tensor that the index places here",
          found: "none")
      }
      if let name = Set(shard.keys).subtracting(names).min() {
        throw InputError(
          "load model", at: "\(folder)/\(file), tensor \(name)", expected: "only tensors that the index places here",
          found: "one that it does not")
      }
      all.merge(shard) { old, _ in old }  // no name twice: the index places each in one file
    }
    return all
  }

  private static func isPlainFileName(_ name: String) -> Bool {
    !name.isEmpty && !name.hasPrefix(".") && !name.utf8.contains(UInt8(ascii: "/")) && !name.utf8.contains(0)
  }
}
