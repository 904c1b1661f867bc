/// One named parameter of a model: Hugging Face's name and shape, rows first (`[out, in]` for a projection).
public struct ParameterShape: Equatable, Hashable, Sendable {
  public var name: String
  public var shape: [Int]

  public init(name: String, shape: [Int]) {
    self.name = name
    self.shape = shape
  }

  /// The number of scalars.
  public var count: Int { shape.reduce(1, *) }
  /// Slices along the first dimension, and the scalars of one.
  public var rows: Int { shape.first ?? 1 }
  public var depth: Int { shape.dropFirst().reduce(1, *) }
}
