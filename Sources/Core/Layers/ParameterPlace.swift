import Tensor

/// Where one parameter of a model lives: rows of a matrix, scalars of a vector, or nowhere, when it is only kept and
/// saved.
package enum ParameterPlace: Sendable {
  case matrix(any WeightMatrix, firstRow: Int)
  case vector(AlignedBuffer<Float>, first: Int)
  case unused
}
