/// The two-by-two balance of UADT: uncertain or certain, positive or negative advantage. Its raw values are the names
/// of the shares in docs/METRICS.md.
public enum Quadrant: String, CaseIterable, Sendable {
  case uncertainPositive = "uncertain_positive"
  case uncertainNegative = "uncertain_negative"
  case certainPositive = "certain_positive"
  case certainNegative = "certain_negative"

  /// nil for an advantage of 0, which belongs to none.
  public init?(isUncertain: Bool, advantage: Float) {
    guard advantage != 0 else { return nil }
    self =
      switch (isUncertain, advantage > 0) {
      case (true, true): .uncertainPositive
      case (true, false): .uncertainNegative
      case (false, true): .certainPositive
      case (false, false): .certainNegative
      }
  }

  public var isUncertain: Bool { self == .uncertainPositive || self == .uncertainNegative }
  public var isPositive: Bool { self == .uncertainPositive || self == .certainPositive }
}
