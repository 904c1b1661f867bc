import CXXHash

/// All parameters of one model as fp32, in one block, in the canonical order of `ModelConfig.parameters`.
///
/// The same layout holds master weights, gradients and both AdamW moments, so that an optimizer step or a checksum is
/// one pass over memory.
public final class ParameterSet: Sendable {
  /// The parameters' names and shapes, in order.
  public let parameters: [ParameterShape]
  /// Index of each parameter's first scalar in `values`; every start is a multiple of 16 scalars (64 bytes).
  public let offsets: [Int]
  /// The scalars; those between two parameters are zero and stay so.
  public let values: AlignedBuffer<Float>
  private let indexOfName: [String: Int]

  /// Allocates zeroed parameters for a list of shapes.
  public init(parameters: [ParameterShape]) {
    self.parameters = parameters
    let layout = Self.layout(of: parameters)
    offsets = layout.offsets
    values = AlignedBuffer(count: layout.count)
    indexOfName = Dictionary(uniqueKeysWithValues: parameters.enumerated().map { ($1.name, $0) })
  }

  /// Where each parameter starts, and the scalars of all, those between two parameters included.
  package static func layout(of parameters: [ParameterShape]) -> (offsets: [Int], count: Int) {
    var offsets: [Int] = []
    var next = 0
    for parameter in parameters {
      offsets.append(next)
      next += (parameter.count + 15) & ~15
    }
    return (offsets, next)
  }

  /// Takes the scalars of another set of the same parameters.
  public func update(from other: ParameterSet) {
    precondition(other.parameters == parameters, "parameters of another model")
    withExtendedLifetime(other) { values.pointer.update(from: other.values.pointer, count: values.count) }
  }

  /// The index of a parameter in `parameters`, or nil when the model has none of that name.
  public func index(of name: String) -> Int? { indexOfName[name] }

  /// The scalars of parameter `index`, row-major.
  public func scalars(_ index: Int) -> UnsafeMutableBufferPointer<Float> {
    UnsafeMutableBufferPointer(start: values.pointer + offsets[index], count: parameters[index].count)
  }

  /// The scalars of the named parameter, which must exist.
  public subscript(name: String) -> UnsafeMutableBufferPointer<Float> {
    guard let index = indexOfName[name] else { preconditionFailure("no parameter named \(name)") }
    return scalars(index)
  }
}

extension ParameterSet {
  /// XXH3-128 of all scalars, 32 hexadecimal digits.
  package var checksum: String {
    let hash = XXH3_128bits(values.pointer, values.count * 4)
    return [hash.high64, hash.low64].map { half in
      let digits = String(half, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
  }
}
