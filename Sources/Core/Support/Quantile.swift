/// A quantile of sorted values: between the two nearest of them, linearly, which is NumPy's default.
/// - Parameters:
///   - share: 0 ... 1.
///   - sorted: ascending, at least one.
public func quantile(_ share: Double, of sorted: [Double]) -> Double {
  let place = share * Double(sorted.count - 1)
  let below = Int(place)
  let above = min(below + 1, sorted.count - 1)
  return sorted[below] + (sorted[above] - sorted[below]) * (place - Double(below))
}
