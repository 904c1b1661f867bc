import Architecture
import Dispatch
import Support
import Tensor

/// One tensor of a model file, not yet decoded.
///
/// Invariant, established by the readers: `byteRange` lies inside the file and is exactly what `shape` takes in
/// `encoding`.
package struct StoredTensor: Sendable {
  package let name: String
  package let encoding: TensorEncoding
  /// Rows first.
  package let shape: [Int]
  package let file: MappedFile
  package let byteRange: Range<Int>

  /// How the file orders the rows of a query or key projection.
  package enum RowOrder: Equatable, Sendable {
    /// As Hugging Face does: in each head the first halves of all rotary pairs, then the second halves.
    case halves
    /// As GGUF's llama files do: in each head the rotary pairs next to each other.
    case pairs(headSize: Int)
  }
  package var rowOrder = RowOrder.halves

  package init(name: String, encoding: TensorEncoding, shape: [Int], file: MappedFile, byteRange: Range<Int>) {
    self.name = name
    self.encoding = encoding
    self.shape = shape
    self.file = file
    self.byteRange = byteRange
  }

  /// The number of scalars between two rows' starts; a vector is a column when rows are to be reordered, else one row.
  fileprivate var columnCount: Int {
    switch rowOrder {
    case .halves: shape.last ?? 1
    case .pairs: shape.dropFirst().reduce(1, *)
    }
  }

  fileprivate var rowCount: Int { columnCount == 0 ? 0 : shape.reduce(1, *) / columnCount }

  /// The stored row that is row `row` of the parameter.
  private func storedRow(_ row: Int) -> Int {
    guard case .pairs(let headSize) = rowOrder else { return row }
    let (head, within) = row.quotientAndRemainder(dividingBy: headSize)
    let (half, pair) = within.quotientAndRemainder(dividingBy: headSize / 2)
    return head * headSize + 2 * pair + half
  }

  /// Decodes some rows to fp32 in Hugging Face's order.
  ///
  /// - Parameter target: the whole parameter, `[rowCount, columnCount]`.
  fileprivate func decode(rows: Range<Int>, to target: UnsafeMutablePointer<Float>) {
    guard let base = file.bytes.baseAddress else { return }
    let blocksPerRow = columnCount / encoding.blockScalarCount
    for row in rows {
      let offset = byteRange.lowerBound + storedRow(row) * blocksPerRow * encoding.blockByteCount
      encoding.decode(base + offset, blockCount: blocksPerRow, to: target + row * columnCount)
    }
  }
}

extension StoredTensor {
  /// All scalars of a small tensor.
  package func decoded() -> [Float] {
    let count = shape.reduce(1, *)
    return Array(unsafeUninitializedCapacity: count) { buffer, initializedCount in
      if let target = buffer.baseAddress { decode(rows: 0..<rowCount, to: target) }
      initializedCount = count
    }
  }
}

extension ParameterSet {
  /// Decodes a model's stored tensors, on all processors.
  ///
  /// Memory is allocated only after every parameter has been found in its right shape, so that it is at most a small
  /// multiple of the files.
  ///
  /// - Parameters:
  ///   - parameters: all of the model's, or some.
  ///   - tensors: the file's tensors, by the parameters' names.
  ///   - names: what the files call the parameters, for errors.
  ///   - ignoring: whether a tensor that is no parameter may be left out.
  ///   - place: names the model in errors.
  /// - Throws: `InputError` for a missing tensor, a wrong shape, and a tensor that the model does not have.
  package convenience init(
    parameters: [ParameterShape], tensors: [String: StoredTensor], names: TensorNames = .canonical,
    ignoring: (String) -> Bool, place: String
  ) throws {
    let stored = try parameters.map { parameter in
      guard let tensor = tensors[parameter.name] else {
        throw InputError(
          "load model", at: place,
          expected: "a tensor \(names.fileName(of: parameter.name)) of shape \(parameter.shape)", found: "none")
      }
      guard tensor.shape == parameter.shape else {
        throw InputError(
          "load model", at: "\(tensor.file.path), tensor \(tensor.name)",
          expected: "shape \(parameter.shape), as the configuration says", found: "shape \(tensor.shape)")
      }
      return tensor
    }
    let known = Set(parameters.map(\.name))
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) where !known.contains(name) && !ignoring(name) {
      throw InputError(
        "load model", at: "\(tensor.file.path), tensor \(tensor.name)",
        expected: "only the \(known.count) parameters of the model",
        found: "a tensor that is none of them")
    }
    self.init(parameters: parameters)
    decode(stored)
  }

  /// Decodes tensor i to parameter i.
  private func decode(_ tensors: [StoredTensor]) {
    let scalarsPerItem = 1 << 18
    var items: [(index: Int, rows: Range<Int>)] = []
    for (index, tensor) in tensors.enumerated() {
      let rowsPerItem = max(1, scalarsPerItem / max(1, tensor.columnCount))
      for start in stride(from: 0, to: tensor.rowCount, by: rowsPerItem) {
        items.append((index, start..<min(start + rowsPerItem, tensor.rowCount)))
      }
    }
    DispatchQueue.concurrentPerform(iterations: items.count) { [items] item in
      let (index, rows) = items[item]
      tensors[index].decode(rows: rows, to: scalars(index).baseAddress!)
    }
  }
}
