import CKernels

/// One AdamW moment of every parameter, in fp32 or bf16 and in the layout of a `ParameterSet`.
public final class MomentSet: Sendable {
  /// The parameters' names and shapes, in order.
  public let parameters: [ParameterShape]
  public let precision: Precision
  private let offsets: [Int]
  package let values: ElementBuffer

  /// Moments of zero for parameters of this layout.
  public convenience init(like set: ParameterSet, precision: Precision) {
    self.init(set, precision)
  }

  /// Takes a copy of moments, rounded to nearest; exact when they were of the precision before.
  public convenience init(rounding moments: ParameterSet, precision: Precision) {
    self.init(moments, precision)
    fv_round(precision.kind, moments.values.pointer, Int64(moments.values.count), values.at(0))
  }

  private init(_ set: ParameterSet, _ precision: Precision) {
    parameters = set.parameters
    offsets = set.offsets
    self.precision = precision
    values = ElementBuffer(precision, count: set.values.count)
  }

  /// The bytes of parameter `index`, row-major.
  public func bytes(_ index: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(
      start: values.at(offsets[index]), count: parameters[index].count * precision.elementByteCount)
  }
}
