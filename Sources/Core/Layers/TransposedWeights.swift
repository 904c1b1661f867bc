import CKernels
import Tensor

/// Weights packed along their rows, for the backward product `dx[M, K] = dy[M, N] . w[N, K]`.
///
/// Packed from the fp32 master weights for each product and then forgotten: that reads memory once, and keeping it
/// would take as much memory as the forward packing. Invariant: the master weights are those that the forward pass was
/// packed from.
package struct TransposedWeights: ~Copyable {
  /// Rows that one task packs; they stay in the second-level cache while it walks the panels.
  private static let rowsPerTask = 64

  private let precision: Precision
  private let pool: ThreadPool
  private var scratch = ScratchBuffer<UInt32>()

  package init(_ precision: Precision, pool: ThreadPool) {
    self.precision = precision
    self.pool = pool
  }

  /// One packed matrix, valid until the next is packed.
  package struct Packed {
    fileprivate var precision: Precision
    fileprivate var pool: ThreadPool
    fileprivate var panels: UnsafePointer<UInt32>
    fileprivate var wordCount: Int
    fileprivate var depth: Int

    /// `dx[M, K] = dy[M, N] . w`, or `+=` where it accumulates. `dy` is of the precision, a row being whole packed
    /// words.
    /// - Parameter row: packed words between two rows of dy; by default they follow each other.
    package func multiply(
      _ dy: UnsafePointer<UInt32>, row: Int? = nil, count: Int, into dx: UnsafeMutablePointer<Float>,
      accumulates: Bool = false
    ) {
      Product(
        precision: precision, rows: count, columns: depth, wordCount: wordCount, a: dy,
        layout: .rowMajor(stride: row ?? wordCount), panels: panels,
        y: dx, yRow: depth, bias: nil, accumulates: accumulates
      ).run(pool)
    }
  }

  /// Packs parts of a matrix that are stacked along its rows, each `[rows, depth]`.
  package mutating func pack(_ parts: [(weights: UnsafePointer<Float>, rows: Int)], depth: Int) -> Packed {
    let kind = precision.kind
    let wordCount = precision.wordCount(parts.reduce(0) { $0 + $1.rows })
    let panelCount = PackedMatrix.panelCount(depth)
    let panels = scratch.reserve(panelCount * wordCount * 64)
    var first = 0
    for (weights, rows) in parts {
      precondition(first % precision.elementsPerWord == 0, "a stacked parameter must begin at a whole packed word")
      let begin = first
      pool.run(rows, chunk: Self.rowsPerTask) { range in
        fv_pack_depth_rows_from_f32(
          kind, weights + range.lowerBound * depth, Int64(depth), Int64(range.count), Int64(depth),
          Int64(precision.wordCount(begin + range.lowerBound)), Int64(wordCount), 0, Int64(panelCount), panels)
      }
      first += rows
    }
    return Packed(precision: precision, pool: pool, panels: panels, wordCount: wordCount, depth: depth)
  }
}
