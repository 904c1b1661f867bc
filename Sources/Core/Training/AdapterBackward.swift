import Architecture
import CKernels
import Layers
import Model
import Tensor

/// The backward pass of an adapter: the gradients of A and B of one layer, without the gradient of its weights.
///
/// y = x (W + s B A)^T, so dB = dy^T (x (s A)^T) and dA = (dy (s B))^T x: four products as narrow as the rank. As
/// everywhere, inputs of products are of the precision and sums fp32, each one sequential sum over the rows. One owner,
/// one call at a time.
package struct AdapterBackward: ~Copyable {
  private let adapter: LowRankAdapter
  private let gradients: ParameterSet
  private let precision: Precision
  private let pool: ThreadPool
  private var scaled = ScratchBuffer<Float>()
  private var narrow = ScratchBuffer<Float>()
  private var rounded: ElementScratch
  private var panels = ScratchBuffer<UInt32>()
  private var transposed: TransposedWeights

  /// - Parameter gradients: of the adapter's parameters.
  package init(_ adapter: LowRankAdapter, gradients: ParameterSet, precision: Precision, pool: ThreadPool) {
    self.adapter = adapter
    self.gradients = gradients
    self.precision = precision
    self.pool = pool
    rounded = ElementScratch(precision)
    transposed = TransposedWeights(precision, pool: pool)
  }

  /// A layer's part of a product's inputs: `rows` of the `dyRow` columns of dy `[M, dyRow]`, and x `[M, in]`.
  package struct Inputs {
    package var dy: UnsafePointer<UInt32>
    package var dyRow: Int
    /// The part's columns of dy, packed along the rows of the batch.
    package var dyPanels: UnsafePointer<UInt32>
    package var x: UnsafePointer<UInt32>
    /// x packed along the rows of the batch.
    package var xPanels: UnsafePointer<UInt32>
    package var count: Int
  }

  /// Adds to dA and dB of adapted parameter `index`.
  package mutating func run(_ index: Int, _ inputs: Inputs) {
    let rank = adapter.description.rank
    let weight = adapter.weights[index]
    let wordCount = precision.wordCount(inputs.count)

    let a = PackedMatrix(precision, rows: rank, depth: weight.depth)
    a.load(rows: 0, count: rank, float32: scale(adapter.a(index)), pool: pool)
    let narrow = narrow.reserve(inputs.count * rank)
    a.multiply(inputs.x, count: inputs.count, into: narrow, pool: pool)
    Product(
      precision: precision, rows: weight.rows, columns: rank, wordCount: wordCount, a: inputs.dyPanels, layout: .panels,
      panels: pack(narrow, count: inputs.count), y: gradients.scalars(2 * index + 1).baseAddress!, yRow: rank,
      bias: nil,
      accumulates: true
    ).run(pool)

    let b = scale(adapter.b(index))
    transposed.pack([(b, weight.rows)], depth: rank).multiply(
      inputs.dy, row: precision.wordCount(inputs.dyRow), count: inputs.count, into: narrow)
    Product(
      precision: precision, rows: rank, columns: weight.depth, wordCount: wordCount,
      a: pack(narrow, count: inputs.count),
      layout: .panels, panels: inputs.xPanels, y: gradients.scalars(2 * index).baseAddress!, yRow: weight.depth,
      bias: nil, accumulates: true
    ).run(pool)
  }

  /// s times some scalars, until the next call.
  private mutating func scale(_ scalars: UnsafeMutableBufferPointer<Float>) -> UnsafePointer<Float> {
    let scaled = scaled.reserve(scalars.count)
    let scale = adapter.description.scale
    for i in scalars.indices { scaled[i] = scale * scalars[i] }
    return UnsafePointer(scaled)
  }

  /// A narrow product `[M, rank]`, rounded and packed along the rows of the batch, until the next call.
  private mutating func pack(_ narrow: UnsafePointer<Float>, count: Int) -> UnsafePointer<UInt32> {
    let rank = adapter.description.rank
    let (kind, out) = (precision.kind, rounded.reserve(count * rank))
    pool.run(count * rank, chunk: 1 << 14) { range in
      fv_round(kind, narrow + range.lowerBound, Int64(range.count), out.at(range.lowerBound))
    }
    let panels = panels.reserve(PackedMatrix.panelCount(rank) * precision.wordCount(count) * 64)
    PackedMatrix.packDepth(precision, out, row: rank, columns: rank, depth: count, into: panels, pool: pool)
    return UnsafePointer(panels)
  }
}
