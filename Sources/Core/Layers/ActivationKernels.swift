import Architecture
import CKernels

extension Activation {
  /// The number of projections that the activation takes, next to each other: gate and up for SwiGLU.
  package var inputCount: Int { isGated ? 2 : 1 }

  private var form: fv_gelu_form {
    switch function {
    case .gelu, .silu: fv_gelu_exact  // silu is only computed with a gate
    case .geluTanh: fv_gelu_tanh
    case .quickGELU: fv_gelu_quick
    }
  }

  /// One row: x `[inputCount * width]` to out `[width]` of the kind.
  package func forward(_ kind: fv_kind, _ x: UnsafePointer<Float>, width: Int, into out: UnsafeMutableRawPointer) {
    if isGated {
      fv_swiglu(kind, x, Int64(width), out)
    } else {
      fv_gelu(kind, form, x, Int64(width), out)
    }
  }

  /// One row, from x of the kind: the output again, if it is asked for, and dx for dy, if that is.
  package func backward(
    _ kind: fv_kind, _ x: UnsafeRawPointer, width: Int, dy: UnsafePointer<Float>? = nil,
    output: UnsafeMutableRawPointer? = nil, dx: UnsafeMutablePointer<Float>? = nil
  ) {
    if isGated {
      fv_swiglu_backward(kind, fv_f32, x, Int64(width), dy, output, dx)
    } else {
      fv_gelu_backward(kind, form, x, Int64(width), dy, output, dx)
    }
  }
}
