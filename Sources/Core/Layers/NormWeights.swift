import Architecture
import CKernels
import Tensor

/// A LayerNorm or RMSNorm of the vision encoder, forward and backward over rows.
///
/// Statistics of a row are its mean (0 for RMSNorm) and the inverse of its deviation: `[M, 2]`.
package struct NormWeights: Sendable {
  package let norm: NormKind
  package let epsilon: Float
  package let width: Int
  /// `[width]`
  package let weight: AlignedBuffer<Float>
  /// `[width]`, LayerNorm's.
  package let bias: AlignedBuffer<Float>?

  package init(_ norm: NormKind, width: Int, epsilon: Float) {
    self.norm = norm
    self.width = width
    self.epsilon = epsilon
    weight = AlignedBuffer(count: width)
    bias = norm == .layer ? AlignedBuffer(count: width) : nil
  }

  /// One row: x += delta, if there is one; out = norm(x), rounded to the kind. `out` may be `x` when the kind is fp32.
  package func forward(
    _ kind: fv_kind, _ x: UnsafeMutablePointer<Float>, adding delta: UnsafePointer<Float>? = nil,
    into out: UnsafeMutableRawPointer, statistics: UnsafeMutablePointer<Float>
  ) {
    if let bias {
      fv_layernorm(kind, x, delta, weight.pointer, bias.pointer, epsilon, Int64(width), out, statistics)
    } else {
      statistics[0] = 0
      statistics[1] = fv_rmsnorm(kind, x, delta, weight.pointer, epsilon, Int64(width), out)
    }
  }

  /// One row: dx += (d norm / dx) dy.
  package func backward(
    _ dy: UnsafePointer<Float>, x: UnsafePointer<Float>, statistics: UnsafePointer<Float>,
    into dx: UnsafeMutablePointer<Float>
  ) {
    if norm == .layer {
      fv_layernorm_backward(dy, x, statistics, weight.pointer, Int64(width), dx)
    } else {
      fv_rmsnorm_backward(dy, x, statistics[1], weight.pointer, Int64(width), dx)
    }
  }

  /// Adds the gradients of weight and bias, where they are asked for, over rows, ascending. `dy` and `x`
  /// `[rows, width]`.
  package func weightBackward(
    _ dy: UnsafePointer<Float>, x: UnsafePointer<Float>, statistics: UnsafePointer<Float>, rows: Int,
    dweight: UnsafeMutablePointer<Float>?, dbias: UnsafeMutablePointer<Float>?, pool: ThreadPool
  ) {
    if dweight == nil && dbias == nil { return }
    pool.run(width, chunk: 64) { columns in
      let (begin, end) = (Int64(columns.lowerBound), Int64(columns.upperBound))
      if norm == .layer {
        fv_layernorm_weight_backward(dy, x, statistics, Int64(rows), Int64(width), begin, end, dweight, dbias)
      } else {
        for row in 0..<rows {
          fv_rmsnorm_weight_backward(
            dy + row * width, x + row * width, statistics + 2 * row + 1, 1, Int64(width), begin, end, dweight)
        }
      }
    }
  }
}
