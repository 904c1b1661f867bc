import Support

/// Smooth noise over the map: random values at the points of a lattice, joined by smooth ramps. Two grains add up.
///
/// It is defined on the map, not on pixels, so an image of another size shows the same eye.
struct Texture {
  private static let side = 40
  private let values: [Float]

  init(random: RandomStream) {
    var random = random
    values = (0..<Self.side * Self.side).map { _ in random.uniform() * 2 - 1 }
  }

  /// About -1 ... 1.
  func value(at point: Point) -> Float {
    grain(at: point, frequency: 5) * 0.6 + grain(at: point, frequency: 16) * 0.4
  }

  private func grain(at point: Point, frequency: Double) -> Float {
    let x = (point.x + 1.2) * frequency
    let y = (point.y + 1.2) * frequency
    let column = Int(x.rounded(.down))
    let row = Int(y.rounded(.down))
    let across = Self.smooth(Float(x - Double(column)))
    let down = Self.smooth(Float(y - Double(row)))
    func corner(_ right: Int, _ below: Int) -> Float {
      values[((row + below) % Self.side) * Self.side + (column + right) % Self.side]
    }
    let above = corner(0, 0) + (corner(1, 0) - corner(0, 0)) * across
    let below = corner(0, 1) + (corner(1, 1) - corner(0, 1)) * across
    return above + (below - above) * down
  }

  private static func smooth(_ t: Float) -> Float { t * t * (3 - 2 * t) }
}
