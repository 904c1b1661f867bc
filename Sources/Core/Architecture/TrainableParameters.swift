import Tensor

/// A part of a model that is trained or frozen as a whole.
public enum ModelPart: String, Equatable, Sendable, CaseIterable {
  /// The vision encoder.
  case vision
  /// The layers that turn its features into embeddings.
  case projector
  /// The decoder with its embedding and head.
  case language

  /// How the names of its parameters begin.
  public var prefixes: [String] {
    switch self {
    case .vision: ["vision."]
    case .projector: ["projector."]
    case .language: ["model.", "lm_head."]
    }
  }
}

/// Which parameters training changes: all but those whose names begin with a frozen prefix.
///
/// A frozen parameter's gradient stays zero and costs no product; the optimizer leaves it alone and keeps no moments
/// for it; it never differs between versions, so nothing of it is broadcast again. Projector pre-training freezes the
/// language model.
public struct TrainableParameters: Equatable, Sendable {
  public var frozenPrefixes: [String]

  public init(frozenPrefixes: [String] = []) { self.frozenPrefixes = frozenPrefixes }

  /// Trains these parts of a model and freezes the others.
  public init(_ parts: [ModelPart]) {
    frozenPrefixes = ModelPart.allCases.filter { !parts.contains($0) }.flatMap(\.prefixes)
  }

  /// Nothing frozen.
  public static let all = TrainableParameters()

  public func contains(_ name: String) -> Bool { !frozenPrefixes.contains { name.hasPrefix($0) } }

  /// Those of the list that training changes.
  public func parameters(of list: [ParameterShape]) -> [ParameterShape] { list.filter { contains($0.name) } }

  /// Ranges of scalars of a layout that training changes, ascending and as long as possible; all of it when nothing is
  /// frozen.
  package func ranges(of set: ParameterSet) -> [Range<Int>] {
    if frozenPrefixes.isEmpty { return [0..<set.values.count] }
    var ranges: [Range<Int>] = []
    for (index, parameter) in set.parameters.enumerated() where contains(parameter.name) {
      let begin = set.offsets[index]
      let end = index + 1 < set.offsets.count ? set.offsets[index + 1] : set.values.count
      if let last = ranges.last, last.upperBound == begin {
        ranges[ranges.count - 1] = last.lowerBound..<end
      } else {
        ranges.append(begin..<end)
      }
    }
    return ranges
  }
}
