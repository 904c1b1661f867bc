import Architecture
import CKernels
import Layers
import Model
import Tensor

/// The backward pass of linear layers, shared by decoder and vision encoder, and the gradients that it adds to.
///
/// Products run in the precision with fp32 sums: dx = dy W, and dW += dy^T x as one sequential sum over the rows of the
/// batch per element. Frozen parameters get no product, and where an adapter is trained only its own two matrices do.
/// Not thread-safe: one owner, one call at a time.
package final class LinearBackward {
  package let gradients: ParameterSet
  /// The weights that the forward pass was packed from.
  private let weights: EffectiveWeights
  package let trainable: TrainableParameters
  private let precision: Precision
  private let pool: ThreadPool
  private var rounded: ElementScratch
  private var left = ScratchBuffer<UInt32>()
  private var right = ScratchBuffer<UInt32>()
  private var part = ScratchBuffer<Float>()
  private var transposed: TransposedWeights
  private var adapter: AdapterBackward?

  package init(
    weights: EffectiveWeights, gradients: ParameterSet, trainable: TrainableParameters, precision: Precision,
    pool: ThreadPool
  ) {
    self.weights = weights
    self.gradients = gradients
    self.trainable = trainable
    self.precision = precision
    self.pool = pool
    rounded = ElementScratch(precision)
    transposed = TransposedWeights(precision, pool: pool)
    adapter = weights.adapter.map {
      AdapterBackward($0, gradients: gradients, precision: precision, pool: pool)
    }
  }

  /// A parameter of a stacked matrix: `NAME.weight` and perhaps `NAME.bias`.
  package struct Part {
    package var name: String
    package var rows: Int
    package init(_ name: String, rows: Int) {
      self.name = name
      self.rows = rows
    }
  }

  /// Where a parameter's gradient is summed, or nil when it is frozen or the model has none of that name.
  package func gradient(_ name: String) -> UnsafeMutablePointer<Float>? {
    guard trainable.contains(name), let index = gradients.index(of: name) else { return nil }
    return gradients.scalars(index).baseAddress
  }

  /// y = x W^T + b: dx = dy W (where it is asked for), dW += dy^T x, db += sum of dy. `dy` `[M, N]`, `x` and `dx`
  /// `[M, K]`.
  package func run(
    _ matrix: any WeightMatrix, _ parts: [Part], dy: UnsafePointer<Float>, x: ElementBuffer, rows m: Int,
    dx: UnsafeMutablePointer<Float>?
  ) {
    run(matrix, parts, dy: round(dy, count: m * matrix.rows), x: x, rows: m, dx: dx)
  }

  /// The same with a gradient that is rounded already.
  package func run(
    _ matrix: any WeightMatrix, _ parts: [Part], dy: ElementBuffer, x: ElementBuffer, rows m: Int,
    dx: UnsafeMutablePointer<Float>?
  ) {
    if let dx { transpose(matrix, parts).multiply(dy.words(at: 0), count: m, into: dx) }
    parameterGradients(matrix, parts, dy: dy, x: x, rows: m)
  }

  /// The same with dx only for some rows at a time: `use` takes them while they are in the cache, and makes `x`
  /// complete.
  package func run(
    _ matrix: any WeightMatrix, _ parts: [Part], dy: UnsafePointer<Float>, x: ElementBuffer, rows m: Int,
    use: (_ rows: Range<Int>, _ dx: UnsafeMutablePointer<Float>) -> Void
  ) {
    let n = matrix.rows
    let dy = round(dy, count: m * n)
    let transposed = transpose(matrix, parts)
    let dx = part.reserve(min(m, Decoder.rowsPerPart) * matrix.depth)
    for rows in Decoder.parts(m) {
      transposed.multiply(dy.words(at: rows.lowerBound * n), count: rows.count, into: dx)
      use(rows, dx)
    }
    parameterGradients(matrix, parts, dy: dy, x: x, rows: m)
  }

  /// Rounded to the precision; valid until the next call.
  private func round(_ dy: UnsafePointer<Float>, count: Int) -> ElementBuffer {
    let kind = precision.kind
    let out = rounded.reserve(count)
    pool.run(count, chunk: 1 << 14) { range in
      fv_round(kind, dy + range.lowerBound, Int64(range.count), out.at(range.lowerBound))
    }
    return out
  }

  private func transpose(_ matrix: any WeightMatrix, _ parts: [Part]) -> TransposedWeights.Packed {
    transposed.pack(
      Array(zip(weights.scalars(of: parts.map { $0.name + ".weight" }), parts.map(\.rows))), depth: matrix.depth)
  }

  private func parameterGradients(
    _ matrix: any WeightMatrix, _ parts: [Part], dy: ElementBuffer, x: ElementBuffer, rows m: Int
  ) {
    let n = matrix.rows
    let k = matrix.depth
    if parts.contains(where: { gradient($0.name + ".weight") != nil || adapted($0) != nil }) {
      let right = right.reserve(PackedMatrix.panelCount(k) * precision.wordCount(m) * 64)
      PackedMatrix.packDepth(precision, x, row: k, columns: k, depth: m, into: right, pool: pool)
      var first = 0
      for part in parts {
        weightGradient(part, first: first, of: n, dy, x, rows: m, columns: k, right: right)
        first += part.rows
      }
    }
    var first = 0
    for part in parts {
      if let dbias = gradient(part.name + ".bias") {
        biasGradient(dbias, part, first: first, of: n, dy, rows: m)
      }
      first += part.rows
    }
  }

  /// db += dy, row by row.
  private func biasGradient(
    _ dbias: UnsafeMutablePointer<Float>, _ part: Part, first: Int, of n: Int, _ dy: ElementBuffer, rows m: Int
  ) {
    let kind = precision.kind
    pool.run(part.rows, chunk: 64) { columns in
      withUnsafeTemporaryAllocation(of: Float.self, capacity: 64) { row in
        for index in 0..<m {
          fv_widen(kind, dy.at(index * n + first + columns.lowerBound), Int64(columns.count), row.baseAddress!)
          fv_add(dbias + columns.lowerBound, row.baseAddress!, Int64(columns.count))
        }
      }
    }
  }

  /// Which adapted parameter a part is.
  private func adapted(_ part: Part) -> Int? { weights.adapter?.index(ofWeight: part.name + ".weight") }

  /// dW += dy^T x for the rows `first ..< first + part.rows` of a stacked matrix of `n` rows; dA and dB where it is
  /// adapted.
  private func weightGradient(
    _ part: Part, first: Int, of n: Int, _ dy: ElementBuffer, _ x: ElementBuffer, rows m: Int, columns k: Int,
    right: UnsafeMutablePointer<UInt32>
  ) {
    let (dweight, adapted) = (gradient(part.name + ".weight"), adapted(part))
    guard dweight != nil || adapted != nil else { return }
    let wordCount = precision.wordCount(m)
    let left = left.reserve(PackedMatrix.panelCount(part.rows) * wordCount * 64)
    PackedMatrix.packDepth(
      precision, dy, first: first, row: n, columns: part.rows, depth: m, into: left, pool: pool)
    if let adapted {
      adapter?.run(
        adapted,
        AdapterBackward.Inputs(
          dy: dy.words(at: first), dyRow: n, dyPanels: left, x: x.words(at: 0), xPanels: right, count: m))
    }
    guard let dweight else { return }
    Product(
      precision: precision, rows: part.rows, columns: k, wordCount: wordCount, a: left, layout: .panels, panels: right,
      y: dweight, yRow: k, bias: nil, accumulates: true
    ).run(pool)
  }
}
