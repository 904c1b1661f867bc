import CKernels

/// A weight matrix `[rows, depth]` that a decoder multiplies rows of activations with, possibly several parameters
/// stacked along its rows.
///
/// Two arithmetics: `PackedMatrix` is exact in the sense of `fovea_matmul.h`, `QuantizedMatrix` is the inexact fast
/// path of rollouts. Either gives the same bits for any number of rows, threads and tasks, on any instruction set.
package protocol WeightMatrix: AnyObject, Sendable {
  /// N, outputs.
  var rows: Int { get }
  /// K, inputs; even.
  var depth: Int { get }

  /// Takes fp32 rows `[count, depth]` as rows `begin ..< begin + count`, rounded to the precision.
  func load(rows begin: Int, count: Int, float32 w: UnsafePointer<Float>, pool: ThreadPool)
  /// Takes bf16 rows `[count, depth]` as rows `begin ..< begin + count`.
  func load(rows begin: Int, count: Int, bfloat16 w: UnsafePointer<UInt16>, pool: ThreadPool)
  /// Whether `read` gives back what was loaded.
  var isExact: Bool { get }
  /// Reads rows back bit for bit, as elements of the precision `[rows.count, depth]`. Only where the matrix is exact.
  func read(rows: Range<Int>, into out: UnsafeMutableRawPointer)
  /// Row `row` as fp32 `[depth]`: the embedding of a token.
  func unpack(row: Int, into out: UnsafeMutablePointer<Float>)
  /// The columns `part` of `x[M, depth] . w^T + bias`, `y[M, part.count]`; `x` holds elements of the precision, `part`
  /// begins at a multiple of 64.
  func multiply(
    _ x: UnsafePointer<UInt32>, count: Int, rows part: Range<Int>, into y: UnsafeMutablePointer<Float>,
    bias: UnsafePointer<Float>?, pool: ThreadPool)
}

extension WeightMatrix {
  /// `y[M, rows] = x[M, depth] . w^T + bias`.
  package func multiply(
    _ x: UnsafePointer<UInt32>, count: Int, into y: UnsafeMutablePointer<Float>, bias: UnsafePointer<Float>? = nil,
    pool: ThreadPool
  ) {
    multiply(x, count: count, rows: 0..<rows, into: y, bias: bias, pool: pool)
  }
}

/// How a product is split into tasks for a pool: ranges of rows times ranges of panels of 64 columns.
package enum ProductTasks {
  /// Rows of one task: with 768 packed words a row they stay in the second-level cache together with the panel.
  private static let rowsPerTask = 192

  package static func run(
    rows: Int, columns: Int, pool: ThreadPool, _ body: (_ rows: Range<Int>, _ panels: Range<Int>) -> Void
  ) {
    let panelCount = PackedMatrix.panelCount(columns)
    // Enough tasks for threads to end together: few panels are also split by rows, many are taken in runs.
    let wantedTasks = pool.threadCount == 1 ? 1 : 16 * pool.threadCount
    let isHalved = panelCount < wantedTasks && rows >= 12 && rows <= rowsPerTask
    let rowTasks = isHalved ? 2 : (rows + rowsPerTask - 1) / rowsPerTask
    let rowsPerTask = isHalved ? (rows + 1) / 2 : rowsPerTask
    let panelsPerTask = max(1, min(panelCount, panelCount * rowTasks / wantedTasks))
    let panelTasks = (panelCount + panelsPerTask - 1) / panelsPerTask
    pool.run(rowTasks * panelTasks) { task in
      // The halves of a panel's rows follow each other, since the panel is then in the cache; else a block of rows is
      // in it.
      let row = (isHalved ? task % rowTasks : task / panelTasks) * rowsPerTask
      let panel = (isHalved ? task / rowTasks : task % panelTasks) * panelsPerTask
      body(row..<min(rows, row + rowsPerTask), panel..<min(panelCount, panel + panelsPerTask))
    }
  }
}
