/// Which of a person's eyes it is; it decides where disc and macula lie.
public enum Eye: String, CaseIterable, Sendable {
  case right, left

  /// The side of the photograph that the disc is on; the macula is on the other. +1 is the right side.
  var discSide: Double { self == .right ? 1 : -1 }
}

/// The half of the retina above (superior) or below (inferior) the fovea.
public enum RetinaHalf: String, CaseIterable, Sendable {
  case upper, lower

  public var opposite: RetinaHalf { self == .upper ? .lower : .upper }
}
