import CKernels
import Layers
import Tensor

/// One AdamW moment of every parameter that is trained, in fp32 or bf16 and in the layout of a `ParameterSet` of those.
public final class MomentSet: Sendable {
  /// The parameters' names and shapes, in order.
  public let parameters: [ParameterShape]
  public let precision: Precision
  private let offsets: [Int]
  package let values: ElementBuffer

  /// Moments of zero for these parameters.
  public init(_ parameters: [ParameterShape], precision: Precision) {
    self.parameters = parameters
    let layout = ParameterSet.layout(of: parameters)
    offsets = layout.offsets
    self.precision = precision
    values = ElementBuffer(precision, count: layout.count)
  }

  /// Takes a copy of moments, rounded to nearest; exact when they were of the precision before.
  public convenience init(rounding moments: ParameterSet, precision: Precision) {
    self.init(moments.parameters, precision: precision)
    fv_round(precision.kind, moments.values.pointer, Int64(moments.values.count), values.at(0))
  }

  /// The bytes of parameter `index`, row-major.
  public func bytes(_ index: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(
      start: values.at(offsets[index]), count: parameters[index].count * precision.elementByteCount)
  }
}
