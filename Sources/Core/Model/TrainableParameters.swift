/// Which parameters training changes: all but those whose names begin with a frozen prefix.
///
/// A frozen parameter's gradient stays zero and costs no product; the optimizer leaves it alone. Multimodal alignment freezes
/// `TrainableParameters.languageModel`.
public struct TrainableParameters: Equatable, Sendable {
  public var frozenPrefixes: [String]

  public init(frozenPrefixes: [String] = []) { self.frozenPrefixes = frozenPrefixes }

  /// Nothing frozen.
  public static let all = TrainableParameters()
  /// The prefixes of the decoder's parameters.
  public static let languageModel = ["model.", "lm_head."]
  /// The prefix of the vision encoder's parameters.
  public static let visionEncoder = ["vision."]

  public func contains(_ name: String) -> Bool { !frozenPrefixes.contains { name.hasPrefix($0) } }

  /// Ranges of scalars of a layout that training changes, ascending and as long as possible; all of it when nothing is frozen.
  func ranges(of set: ParameterSet) -> [Range<Int>] {
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
