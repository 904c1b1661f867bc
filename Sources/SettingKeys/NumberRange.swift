/// An interval of numbers, each end open or closed, as errors and the documentation spell it.
package struct NumberRange: Sendable, CustomStringConvertible {
  package var lower: Double
  package var upper: Double
  package var includesLower = true
  package var includesUpper = true

  package func contains(_ value: Double) -> Bool {
    (includesLower ? value >= lower : value > lower) && (includesUpper ? value <= upper : value < upper)
  }

  /// At least / more than, at most / less than.
  package static func closed(_ lower: Double, _ upper: Double) -> Self { Self(lower: lower, upper: upper) }
  package static func halfOpen(_ lower: Double, _ upper: Double) -> Self {
    Self(lower: lower, upper: upper, includesUpper: false)
  }
  package static func above(_ lower: Double, upTo upper: Double) -> Self {
    Self(lower: lower, upper: upper, includesLower: false)
  }
  package static func between(_ lower: Double, _ upper: Double) -> Self {
    Self(lower: lower, upper: upper, includesLower: false, includesUpper: false)
  }

  package var description: String {
    func text(_ value: Double) -> String { Int(exactly: value).map { "\($0)" } ?? "\(value)" }
    return "\(includesLower ? "at least" : "more than") \(text(lower)) and "
      + "\(includesUpper ? "at most" : "less than") \(text(upper))"
  }
}
