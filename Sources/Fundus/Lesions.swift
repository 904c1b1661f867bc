import Support

/// A lesion where it lies, as the strokes that it is drawn with.
public struct Lesion: Equatable, Sendable {
  public let kind: LesionKind
  public let center: Point
  /// The radius of the circle around its strokes.
  public let radius: Double
  public let strokes: [Stroke]

  package init(kind: LesionKind, center: Point, radius: Double, strokes: [Stroke]) {
    self.kind = kind
    self.center = center
    self.radius = radius
    self.strokes = strokes
  }
}

/// Places lesions where such lesions lie, apart from each other and, where they would be lost on them, from vessels.
struct LesionPlacement {
  private(set) var lesions: [Lesion] = []
  private let disc: Disc
  private let fovea: Point
  private let vessels: [Vessel]
  private var random: RandomStream
  private let halves: [LesionKind: RetinaHalf]

  init(_ findings: Findings, disc: Disc, fovea: Point, vessels: [Vessel], random: RandomStream) {
    self.disc = disc
    self.fovea = fovea
    self.vessels = vessels.filter { ($0.path.halfWidths.first ?? 0) > 0.006 }
    self.random = random
    halves = findings.halves
    // Large ones first: they need the room.
    let order: [LesionKind] = [
      .subretinalHaemorrhage, .newVessels, .exudate, .cottonWoolSpot, .flameHaemorrhage, .blotHaemorrhage,
      .microaneurysm, .druse,
    ]
    for kind in order { for index in 0..<findings[kind] { place(kind, index: index, of: findings[kind]) } }
  }

  /// The best of up to 40 places: the first that is free, else the one that is nearest to being so.
  private mutating func place(_ kind: LesionKind, index: Int, of count: Int) {
    let radius = Self.radius(of: kind, using: &random)
    var best = (center: fovea, clearance: -Double.infinity)
    var placesLeft = 40
    for _ in 0..<1000 where best.clearance < 0 && placesLeft > 0 {
      guard let center = candidate(kind, radius: radius, index: index, of: count) else { continue }
      placesLeft -= 1
      let clearance = clearance(of: kind, at: center, radius: radius)
      if clearance > best.clearance { best = (center, clearance) }
    }
    // Every kind's region is large enough that 1,000 random places do not all miss it.
    precondition(best.clearance > -.infinity, "no place for \(kind)")
    let strokes = strokes(of: kind, at: best.center, radius: radius)
    lesions.append(Lesion(kind: kind, center: best.center, radius: radius, strokes: strokes))
  }

  private static func radius(of kind: LesionKind, using random: inout RandomStream) -> Double {
    switch kind {
    case .microaneurysm: random.uniform(in: 0.013...0.018)
    case .blotHaemorrhage: random.uniform(in: 0.055...0.07)
    case .flameHaemorrhage: random.uniform(in: 0.1...0.13)
    case .exudate: random.uniform(in: 0.07...0.1)
    case .cottonWoolSpot: random.uniform(in: 0.07...0.095)
    case .druse: random.uniform(in: 0.018...0.032)
    case .newVessels: random.uniform(in: 0.12...0.15)
    case .subretinalHaemorrhage: random.uniform(in: 0.15...0.2)
    }
  }

  /// A place where such a lesion may be; nil when the random place fell outside.
  private mutating func candidate(_ kind: LesionKind, radius: Double, index: Int, of count: Int) -> Point? {
    func spot(around center: Point, upTo distance: Double) -> Point {
      // The square root spreads the places evenly over the area.
      center + Point.direction(random.uniform(in: 0...6.2831853)) * (Double(random.uniform()).squareRoot() * distance)
    }
    switch kind {
    case .druse: return spot(around: fovea, upTo: 0.32)
    case .subretinalHaemorrhage: return spot(around: fovea, upTo: 0.06)
    case .newVessels where index == 0 && random.chance(0.4): return disc.center
    default:
      let isLarge = [.cottonWoolSpot, .flameHaemorrhage, .exudate].contains(kind)
      let center = spot(around: Point(x: 0, y: 0), upTo: isLarge ? 0.7 : 0.86 - radius)
      let offset = center - fovea
      guard offset.length > radius + 0.1 else { return nil }
      // The rules read halves and quadrants: nothing that they read lies on the borders.
      if kind == .blotHaemorrhage && abs(offset.x) <= radius { return nil }
      if kind == .blotHaemorrhage || halves[kind] != nil {
        guard abs(offset.y) > radius + 0.06 else { return nil }
      }
      if let half = halves[kind] { return (offset.y < 0) == (half == .upper) ? center : nil }
      // Many haemorrhages fill the quadrants in turn.
      guard kind == .blotHaemorrhage, count > 4 else { return center }
      return (offset.x > 0) == (index & 1 == 1) && (offset.y > 0) == (index & 2 == 2) ? center : nil
    }
  }

  /// How far the lesion is from anything that it must not touch; negative when it does.
  private func clearance(of kind: LesionKind, at center: Point, radius: Double) -> Double {
    if kind == .newVessels && center == disc.center { return 0 }
    var clearance = center.distance(to: disc.center) - disc.radius - radius - 0.02
    for other in lesions {
      // Drusen may lie on blood, and close together.
      if kind == .druse && other.kind == .subretinalHaemorrhage { continue }
      let gap = kind == .druse && other.kind == .druse ? 0.004 : 0.03
      clearance = min(clearance, center.distance(to: other.center) - other.radius - radius - gap)
    }
    guard kind == .microaneurysm || kind == .blotHaemorrhage else { return clearance }
    for vessel in vessels {
      for (point, halfWidth) in zip(vessel.path.points, vessel.path.halfWidths) {
        clearance = min(clearance, center.distance(to: point) - halfWidth - radius - 0.012)
      }
    }
    return clearance
  }

  private mutating func strokes(of kind: LesionKind, at center: Point, radius: Double) -> [Stroke] {
    switch kind {
    case .microaneurysm, .druse: return [.disc(center, radius: radius)]
    case .cottonWoolSpot: return blob(center, radius: radius, parts: 3, partRadius: 0.62)
    case .blotHaemorrhage: return blob(center, radius: radius, parts: 4, partRadius: 0.66)
    case .subretinalHaemorrhage: return blob(center, radius: radius, parts: 6, partRadius: 0.6)
    case .exudate:
      return (0..<random.integer(in: 9...14)).map { _ in
        let partRadius = random.uniform(in: 0.012...0.024)
        let offset = Point.direction(random.uniform(in: 0...6.2831853)) * (random.uniform(in: 0...1) * (radius - 0.02))
        return .disc(center + offset, radius: partRadius)
      }
    case .flameHaemorrhage:
      let along = (center - disc.center).normalized
      return (0..<5).map { index in
        let shift = along.turned * (radius * (Double(index) - 2) * 0.13)
        let reach = radius * random.uniform(in: 0.6...1)
        let middle = center + shift + along * (radius * random.uniform(in: -0.2...0.2))
        return Stroke(
          points: [middle - along * reach, middle, middle + along * reach],
          halfWidths: [radius * 0.05, radius * 0.16, radius * 0.05])
      }
    case .newVessels: return tangle(center, radius: radius)
    }
  }

  private mutating func blob(_ center: Point, radius: Double, parts: Int, partRadius: Double) -> [Stroke] {
    (0..<parts).map { _ in
      let offset = Point.direction(random.uniform(in: 0...6.2831853)) * (radius * (1 - partRadius))
      return .disc(center + offset, radius: radius * partRadius * random.uniform(in: 0.85...1))
    }
  }

  /// Fine vessels that curl around the centre and meet again.
  private mutating func tangle(_ center: Point, radius: Double) -> [Stroke] {
    (0..<11).map { index in
      var heading = Point.direction(Double(index) * 0.571 + random.uniform(in: -0.3...0.3))
      var turn = random.uniform(in: -0.5...0.5)
      var points = [center + Point.direction(random.uniform(in: 0...6.2831853)) * (radius * 0.15)]
      for _ in 0..<14 {
        turn += random.uniform(in: -0.35...0.35)
        heading = heading.rotated(by: turn)
        let next = points[points.count - 1] + heading * (radius * 0.14)
        guard next.distance(to: center) < radius else { break }
        points.append(next)
      }
      return Stroke(points: points, halfWidths: points.map { _ in random.uniform(in: 0.003...0.006) })
    }
  }
}
