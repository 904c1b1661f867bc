import CKernels
import Tensor

/// A weight matrix `[rows, depth]` packed for exact products, possibly several parameters stacked along the rows.
///
/// Forward only, `y[M, rows] = x[M, depth] . w^T`; a backward pass makes `TransposedWeights` as it needs them. The
/// arithmetic is `fovea_matmul.h`'s: every element of a result is one sequential sum, so results do not depend on M, on
/// the number of threads, or on the split into tasks.
package final class PackedMatrix: WeightMatrix {
  package let precision: Precision
  /// N, outputs.
  package let rows: Int
  /// K, inputs; even.
  package let depth: Int
  private let wordCount: Int
  private let panels: AlignedBuffer<UInt32>

  package init(_ precision: Precision, rows: Int, depth: Int) {
    precondition(depth % 2 == 0, "a reduction over \(depth) elements must be even")
    self.precision = precision
    self.rows = rows
    self.depth = depth
    wordCount = precision.wordCount(depth)
    panels = AlignedBuffer(count: Self.panelCount(rows) * wordCount * 64)
  }

  package var isExact: Bool { true }

  package static func panelCount(_ columns: Int) -> Int { (columns + 63) / 64 }

  /// Packs columns `first ..< first + columns` of x `[depth, row]` into panels, for a product that reduces along x's
  /// rows.
  package static func packDepth(
    _ precision: Precision, _ x: ElementBuffer, first: Int = 0, row: Int, columns: Int, depth: Int,
    into panels: UnsafeMutablePointer<UInt32>, pool: ThreadPool
  ) {
    // A task's rows stay in the cache while it walks the panels; their number is even, so they are whole packed words.
    pool.run(depth, chunk: 32) { rows in
      fv_pack_depth_rows(
        precision.kind, x.at(rows.lowerBound * row + first), Int64(row), Int64(rows.count), Int64(columns),
        Int64(precision.wordCount(rows.lowerBound)), Int64(precision.wordCount(depth)), 0, Int64(panelCount(columns)),
        panels)
    }
  }

  /// Packs fp32 rows `[count, depth]` as rows `begin ..< begin + count`.
  package func load(rows begin: Int, count: Int, float32 w: UnsafePointer<Float>, pool: ThreadPool) {
    precondition(begin + count <= rows)
    let kind = precision.kind
    pool.run(count, chunk: 256) { range in
      fv_pack_columns_from_f32(
        kind, w, Int64(depth), Int64(range.lowerBound), Int64(range.upperBound), Int64(begin + range.lowerBound),
        Int64(wordCount), panels.pointer)
    }
  }

  /// Packs bf16 rows `[count, depth]` as rows `begin ..< begin + count`.
  package func load(rows begin: Int, count: Int, bfloat16 w: UnsafePointer<UInt16>, pool: ThreadPool) {
    precondition(begin + count <= rows)
    let kind = precision.kind
    pool.run(count, chunk: 256) { range in
      fv_pack_columns_from_bf16(
        kind, w, Int64(depth), Int64(range.lowerBound), Int64(range.upperBound), Int64(begin + range.lowerBound),
        Int64(wordCount), panels.pointer)
    }
  }

  /// Reads rows back bit for bit, as elements of the precision `[rows.count, depth]`.
  package func read(rows: Range<Int>, into out: UnsafeMutableRawPointer) {
    precondition(rows.upperBound <= self.rows)
    fv_unpack_rows(panels.pointer, Int64(wordCount), Int64(rows.lowerBound), Int64(rows.upperBound), out)
  }

  /// Row `row` as fp32 `[depth]`: the embedding of a token.
  package func unpack(row: Int, into out: UnsafeMutablePointer<Float>) {
    fv_unpack_column(precision.kind, panels.pointer, Int64(wordCount), Int64(row), Int64(depth), out)
  }

  package func multiply(
    _ x: UnsafePointer<UInt32>, count: Int, rows part: Range<Int>, into y: UnsafeMutablePointer<Float>,
    bias: UnsafePointer<Float>?, pool: ThreadPool
  ) {
    precondition(part.lowerBound % 64 == 0 && part.upperBound <= rows, "rows \(part) of \(rows)")
    Product(
      precision: precision, rows: count, columns: part.count, wordCount: wordCount, a: x,
      layout: .rowMajor(stride: wordCount), panels: panels.pointer + part.lowerBound * wordCount, y: y,
      yRow: part.count,
      bias: bias.map { $0 + part.lowerBound }, accumulates: false
    ).run(pool)
  }
}

/// One product, split into tasks for a pool.
package struct Product {
  /// How the left operand lies in memory.
  package enum Layout {
    /// `[rows, words]`; the stride is the number of packed words from row to row.
    case rowMajor(stride: Int)
    /// Panels of 64 rows: `[ceil(rows/64)][words][64]`
    case panels
  }

  package var precision: Precision
  package var rows: Int
  package var columns: Int
  package var wordCount: Int
  package var a: UnsafePointer<UInt32>
  package var layout: Layout
  package var panels: UnsafePointer<UInt32>
  package var y: UnsafeMutablePointer<Float>
  package var yRow: Int
  package var bias: UnsafePointer<Float>?
  package var accumulates: Bool

  package init(
    precision: Precision, rows: Int, columns: Int, wordCount: Int, a: UnsafePointer<UInt32>, layout: Layout,
    panels: UnsafePointer<UInt32>, y: UnsafeMutablePointer<Float>, yRow: Int, bias: UnsafePointer<Float>?,
    accumulates: Bool
  ) {
    self.precision = precision
    self.rows = rows
    self.columns = columns
    self.wordCount = wordCount
    self.a = a
    self.layout = layout
    self.panels = panels
    self.y = y
    self.yRow = yRow
    self.bias = bias
    self.accumulates = accumulates
  }

  package func run(_ pool: ThreadPool) {
    let (aPanel, aRow, aUnit) =
      switch layout {
      case .rowMajor(let stride): (64 * stride, stride, 1)
      case .panels: (64 * wordCount, 1, 64)
      }
    let product = fv_matmul(
      rows: Int64(rows), columns: Int64(columns), units: Int64(wordCount), a: a, a_panel: Int64(aPanel),
      a_row: Int64(aRow), a_unit: Int64(aUnit), panels: panels, y: y, y_row: Int64(yRow), bias: bias,
      accumulate: accumulates ? 1 : 0)
    let kind = precision.kind
    ProductTasks.run(rows: rows, columns: columns, pool: pool) { rows, panels in
      withUnsafePointer(to: product) {
        fv_matmul_block(
          kind, $0, Int64(rows.lowerBound), Int64(rows.upperBound), Int64(panels.lowerBound), Int64(panels.upperBound))
      }
    }
  }
}
