import CScalarMath
import Support

/// The map of the retina: the centre of the photograph is the origin, the radius of its round field of view is 1, x
/// goes to the right and y downwards, as the photographer sees it.
///
/// Everything in this module is plain arithmetic, square roots and the cosine and sine of `CScalarMath`, so that a
/// scene and its pixels are the same bytes on every machine.
public struct Point: Equatable, Sendable {
  public var x: Double
  public var y: Double

  public init(x: Double, y: Double) {
    self.x = x
    self.y = y
  }

  /// A direction of length 1, by its angle in radians from the x axis towards the y axis.
  static func direction(_ angle: Double) -> Point {
    var point = Point(x: 0, y: 0)
    fv_cosine_sine(angle, &point.x, &point.y)
    return point
  }

  var length: Double { (x * x + y * y).squareRoot() }

  /// The direction, of length 1; the point itself when it has no length.
  var normalized: Point { length > 0 ? self * (1 / length) : self }

  /// Turned by a quarter, from the x axis towards the y axis.
  var turned: Point { Point(x: -y, y: x) }

  func distance(to other: Point) -> Double { (self - other).length }

  func rotated(by angle: Double) -> Point {
    let unit = Point.direction(angle)
    return Point(x: x * unit.x - y * unit.y, y: x * unit.y + y * unit.x)
  }

  static func + (a: Point, b: Point) -> Point { Point(x: a.x + b.x, y: a.y + b.y) }
  static func - (a: Point, b: Point) -> Point { Point(x: a.x - b.x, y: a.y - b.y) }
  static func * (a: Point, factor: Double) -> Point { Point(x: a.x * factor, y: a.y * factor) }
}

/// A brush stroke: a line through points, half as wide at each of them as `halfWidths` says. One point is a disc.
public struct Stroke: Equatable, Sendable {
  public var points: [Point]
  public var halfWidths: [Double]

  public init(points: [Point], halfWidths: [Double]) {
    precondition(!points.isEmpty && points.count == halfWidths.count, "\(points.count) points")
    self.points = points
    self.halfWidths = halfWidths
  }

  static func disc(_ center: Point, radius: Double) -> Stroke { Stroke(points: [center], halfWidths: [radius]) }
}

/// Random choices that the module needs in many places. They are written here because the standard library may change
/// its own `shuffled` and `randomElement`, and with them every scene.
extension RandomStream {
  mutating func uniform(in range: ClosedRange<Double>) -> Double {
    range.lowerBound + Double(uniform()) * (range.upperBound - range.lowerBound)
  }

  mutating func integer(in range: ClosedRange<Int>) -> Int {
    range.lowerBound + Int(integer(below: UInt64(range.count)))
  }

  mutating func chance(_ probability: Double) -> Bool { Double(uniform()) < probability }

  mutating func pick<Element>(_ items: [Element]) -> Element { items[integer(in: 0...items.count - 1)] }

  /// Fisher and Yates.
  mutating func shuffled<Element>(_ items: [Element]) -> [Element] {
    var items = items
    for index in stride(from: items.count - 1, to: 0, by: -1) { items.swapAt(index, integer(in: 0...index)) }
    return items
  }
}
