import Support

/// An artery or a vein: brighter and thinner, or darker and wider.
public struct Vessel: Equatable, Sendable {
  public enum Kind: String, CaseIterable, Sendable { case artery, vein }

  public let kind: Kind
  public let path: Stroke
}

/// The vessel tree: from the disc, an artery and a vein arch above and below the macula (the arcades), and another pair
/// goes to the nasal side, above and below; trunks send out branches, and branches twigs. None enters the foveal zone.
struct VesselTree {
  /// Nothing but capillaries, which a photograph does not show.
  static let foveaFreeRadius = 0.13

  private(set) var vessels: [Vessel] = []
  private let fovea: Point
  private var random: RandomStream

  init(disc: Disc, fovea: Point, arteriesNarrowed: Bool, random: RandomStream) {
    self.fovea = fovea
    self.random = random
    let nasal = disc.center.x > fovea.x ? 1.0 : -1.0
    for kind in Vessel.Kind.allCases {
      let halfWidth = kind == .vein ? 0.0165 : arteriesNarrowed ? 0.006 : 0.0115
      // A vein and its artery run side by side.
      let spread = kind == .vein ? 1.07 : 0.93
      for vertical in [-1.0, 1.0] {
        let height = vertical * spread * self.random.uniform(in: 0.9...1.1)
        let start = disc.center + Point(x: self.random.uniform(in: -0.02...0.02), y: vertical * 0.03)
        addTrunk(
          kind,
          [
            start, disc.center + Point(x: -nasal * 0.06, y: height * 0.42),
            fovea + Point(x: nasal * 0.1, y: height * 0.62),
            fovea + Point(x: -nasal * 0.95, y: height * self.random.uniform(in: 0.35...0.6)),
          ], halfWidth: halfWidth)
        addTrunk(
          kind,
          [
            start, disc.center + Point(x: nasal * 0.04, y: height * 0.2),
            disc.center + Point(x: nasal * 0.22, y: height * 0.36),
            disc.center + Point(x: nasal * 0.5, y: height * self.random.uniform(in: 0.5...0.9)),
          ], halfWidth: halfWidth * 0.7)
      }
    }
  }

  /// A trunk along the Bezier curve of four points, and what grows from it.
  private mutating func addTrunk(_ kind: Vessel.Kind, _ corners: [Point], halfWidth: Double) {
    let count = 36
    let phase = random.uniform(in: 0...6.28)
    let waves = random.uniform(in: 9...15)
    let amplitude = kind == .vein ? 0.008 : 0.005
    var points: [Point] = []
    for index in 0..<count {
      let t = Double(index) / Double(count - 1)
      let u = 1 - t
      let center =
        corners[0] * (u * u * u) + corners[1] * (3 * u * u * t) + corners[2] * (3 * u * t * t) + corners[3]
        * (t * t * t)
      points.append(center + Point.direction(phase + waves * t) * (amplitude * min(1, t * 4)))
    }
    let path = Stroke(
      points: points, halfWidths: (0..<count).map { halfWidth * (1 - 0.5 * Double($0) / Double(count - 1)) })
    vessels.append(Vessel(kind: kind, path: path))
    grow(from: path, kind: kind, spacing: 4...6, depth: 2)
  }

  /// Branches on alternating sides of a path.
  private mutating func grow(from path: Stroke, kind: Vessel.Kind, spacing: ClosedRange<Int>, depth: Int) {
    var index = random.integer(in: spacing)
    var side = random.chance(0.5) ? 1.0 : -1.0
    while index < path.points.count - 2 {
      let heading = (path.points[index + 1] - path.points[index]).normalized.rotated(
        by: side * random.uniform(in: 0.5...1.0))
      addBranch(
        kind, from: path.points[index], heading: heading,
        length: depth == 2 ? random.uniform(in: 0.25...0.5) : random.uniform(in: 0.1...0.2),
        halfWidth: path.halfWidths[index] * random.uniform(in: 0.5...0.65), bend: -side, depth: depth)
      index += random.integer(in: spacing)
      side = -side
    }
  }

  /// A branch that bends back to its trunk's direction as it goes, with small random turns.
  private mutating func addBranch(
    _ kind: Vessel.Kind, from start: Point, heading: Point, length: Double, halfWidth: Double, bend: Double, depth: Int
  ) {
    let step = 0.025
    var points = [start]
    var heading = heading
    let turn = bend * random.uniform(in: 0.02...0.09)
    for _ in 0..<Int(length / step) {
      heading = heading.rotated(by: turn + random.uniform(in: -0.2...0.2))
      let next = points[points.count - 1] + heading * step
      guard next.length < 1.05, next.distance(to: fovea) > Self.foveaFreeRadius else { break }
      points.append(next)
    }
    guard points.count >= 4 else { return }
    let path = Stroke(
      points: points,
      halfWidths: points.indices.map { halfWidth * (1 - 0.6 * Double($0) / Double(points.count - 1)) })
    vessels.append(Vessel(kind: kind, path: path))
    if depth > 1 { grow(from: path, kind: kind, spacing: 4...7, depth: depth - 1) }
  }
}
