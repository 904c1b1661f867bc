import CKernels

/// The backward pass of linear layers, shared by decoder and vision encoder, and the gradients that it adds to.
///
/// Products run in the precision with fp32 sums: dx = dy W from the transposed packing, and dW += dy^T x as one chain over the
/// rows of the batch per element. Frozen parameters get no product. Not thread-safe: one owner, one call at a time.
package final class LinearBackward {
  package let gradients: ParameterSet
  package let trainable: TrainableParameters
  private let precision: Precision
  private let pool: ThreadPool
  private var rounded: ElementScratch
  private var left = ScratchBuffer<UInt32>()
  private var right = ScratchBuffer<UInt32>()

  package init(gradients: ParameterSet, trainable: TrainableParameters, precision: Precision, pool: ThreadPool) {
    self.gradients = gradients
    self.trainable = trainable
    self.precision = precision
    self.pool = pool
    rounded = ElementScratch(precision)
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

  /// y = x W^T + b: dx = dy W (where it is asked for), dW += dy^T x, db += sum of dy. `dy` `[M, N]`, `x` and `dx` `[M, K]`.
  package func run(
    _ matrix: PackedMatrix, _ parts: [Part], dy: UnsafeMutablePointer<Float>, x: ElementBuffer, rows m: Int,
    dx: UnsafeMutablePointer<Float>?
  ) {
    let n = matrix.rows
    let k = matrix.depth
    let kind = precision.kind
    let dyRounded = rounded.reserve(m * n)
    pool.run(m, chunk: 16) { rows in
      fv_round(kind, dy + rows.lowerBound * n, Int64(rows.count * n), dyRounded.at(rows.lowerBound * n))
    }
    if parts.contains(where: { gradient($0.name + ".weight") != nil }) {
      let units = precision.units(m)
      let right = right.reserve(PackedMatrix.panelCount(k) * units * 64)
      pool.run(PackedMatrix.panelCount(k)) { panel in
        fv_pack_depth_rows(
          kind, x.at(0), Int64(k), Int64(m), Int64(k), 0, Int64(units), Int64(panel), Int64(panel + 1), right)
      }
      var first = 0
      for part in parts {
        weightGradient(part, first: first, of: n, dyRounded, rows: m, columns: k, right: right)
        first += part.rows
      }
    }
    var first = 0
    for part in parts {
      if let dbias = gradient(part.name + ".bias") {
        let begin = first
        pool.run(part.rows, chunk: 64) { columns in
          for row in 0..<m {
            for column in columns { dbias[column] += dy[row * n + begin + column] }
          }
        }
      }
      first += part.rows
    }
    if let dx { matrix.multiplyTransposed(dyRounded.units(at: 0), count: m, into: dx, pool: pool) }
  }

  /// dW += dy^T x for the rows `first ..< first + part.rows` of a stacked matrix of `n` rows.
  private func weightGradient(
    _ part: Part, first: Int, of n: Int, _ dy: ElementBuffer, rows m: Int, columns k: Int,
    right: UnsafeMutablePointer<UInt32>
  ) {
    guard let dweight = gradient(part.name + ".weight") else { return }
    let kind = precision.kind
    let units = precision.units(m)
    let left = left.reserve(PackedMatrix.panelCount(part.rows) * units * 64)
    pool.run(PackedMatrix.panelCount(part.rows)) { panel in
      fv_pack_depth_rows(
        kind, dy.at(first), Int64(n), Int64(m), Int64(part.rows), 0, Int64(units), Int64(panel), Int64(panel + 1), left)
    }
    Product(
      precision: precision, rows: part.rows, columns: k, units: units, a: left, layout: .panels, panels: right,
      y: dweight, yRow: k, bias: nil, accumulates: true
    ).run(pool)
  }
}
