import Support
import Tensor

/// Writes parameters as one safetensors file that other tools open.
///
/// Scalars go through one small buffer, so that saving takes almost no memory. Tensors of fp32 lie in front of
/// those of bf16, so that each begins at a multiple of its scalar's size, as readers want it; otherwise in canonical
/// order.
extension SafetensorsFile {
  /// Writes all parameters; a file that was there is replaced.
  ///
  /// - Parameters:
  ///   - fileName: a parameter's name in the file.
  ///   - metadata: texts by name, stored next to the tensors.
  /// - Throws: `InputError` when the disk refuses.
  package static func write(
    _ parameters: ParameterSet, to path: String, encoding: ModelSaver.Encoding,
    fileName: (String) -> String = { $0 }, metadata: [String: String] = [:]
  ) throws {
    let writer = try FileWriter(path: path)
    let layout = layout(of: parameters.parameters, encoding: encoding.encoding(of:))
    let header = header(of: parameters.parameters, layout: layout, fileName: fileName, metadata: metadata)
    try header.withUnsafeBytes { try writer.write($0) }
    var buffer: [UInt16] = []
    let scalarsPerWrite = 1 << 18
    for (index, encoding) in layout {
      let scalars = parameters.scalars(index)
      switch encoding {
      case .float32: try writer.write(UnsafeRawBufferPointer(scalars))
      case .bfloat16:
        for start in stride(from: 0, to: scalars.count, by: scalarsPerWrite) {
          buffer.removeAll(keepingCapacity: true)
          buffer += scalars[start..<min(start + scalarsPerWrite, scalars.count)].lazy.map(\.bfloat16Bits)
          try buffer.withUnsafeBytes { try writer.write($0) }
        }
      }
    }
    try writer.finish()
  }

  /// Writes tensors of one precision as they are in memory, such as an optimizer's moments.
  ///
  /// - Parameters:
  ///   - precision: the scalars' type, of every tensor.
  ///   - bytes: the scalars of a parameter by its index, row-major.
  /// - Throws: `InputError` when the disk refuses.
  package static func write(
    _ parameters: [ParameterShape], precision: Precision, to path: String, bytes: (Int) -> UnsafeRawBufferPointer
  ) throws {
    let writer = try FileWriter(path: path)
    let encoding: ModelSaver.Encoding = precision == .bfloat16 ? .bfloat16 : .float32
    let layout = layout(of: parameters, encoding: { _ in encoding })
    let header = header(of: parameters, layout: layout, fileName: { $0 })
    try header.withUnsafeBytes { try writer.write($0) }
    for (index, _) in layout { try writer.write(bytes(index)) }
    try writer.finish()
  }

  /// The tensors of a file, in its order.
  private typealias Layout = [(index: Int, encoding: ModelSaver.Encoding)]

  private static func layout(
    of parameters: [ParameterShape], encoding: (ParameterShape) -> ModelSaver.Encoding
  ) -> Layout {
    let all = parameters.enumerated().map { (index: $0.offset, encoding: encoding($0.element)) }
    return all.filter { $0.encoding == .float32 } + all.filter { $0.encoding == .bfloat16 }
  }

  private static func header(
    of parameters: [ParameterShape], layout: Layout, fileName: (String) -> String, metadata: [String: String] = [:]
  ) -> [UInt8] {
    let metadata = metadata.merging(["format": "pt"]) { $1 }.mapValues { JSON.string($0) }
    var members: [String: JSON] = ["__metadata__": .object(metadata)]
    var offset = 0
    for (index, encoding) in layout {
      let parameter = parameters[index]
      let end = offset + parameter.count * encoding.scalarByteCount
      members[fileName(parameter.name)] = .object([
        "dtype": .string(encoding.name),
        "shape": .array(parameter.shape.map { .integer(Int64($0)) }),
        "data_offsets": .array([.integer(Int64(offset)), .integer(Int64(end))]),
      ])
      offset = end
    }
    var text = JSON.object(members).serialized()
    text += repeatElement(UInt8(ascii: " "), count: -text.count & 7)  // data begin at a multiple of 8 bytes
    return withUnsafeBytes(of: UInt64(text.count).littleEndian, Array.init) + text
  }
}

extension ModelSaver.Encoding {
  /// The name in a safetensors header.
  fileprivate var name: String { self == .bfloat16 ? "BF16" : "F32" }
  fileprivate var scalarByteCount: Int { self == .bfloat16 ? 2 : 4 }
}
