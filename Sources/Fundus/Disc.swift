import Support

/// The head of the optic nerve, and the cup inside it.
public struct Disc: Equatable, Sendable {
  public let center: Point
  /// Half the vertical diameter.
  public let radius: Double
  /// Width over height, below 1.
  public let aspect: Double
  /// Vertical diameter of the cup over that of the disc.
  public let cupToDiscRatio: Double
  /// Cups lie a little off the centre, but inside.
  public let cupCenter: Point

  init(center: Point, cupToDiscRatio: Double, using random: inout RandomStream) {
    self.center = center
    self.cupToDiscRatio = cupToDiscRatio
    radius = random.uniform(in: 0.165...0.195)
    aspect = random.uniform(in: 0.88...0.98)
    let room = (1 - cupToDiscRatio) * radius * 0.4
    cupCenter = center + Point(x: random.uniform(in: -room...room), y: random.uniform(in: -room...room))
  }
}
