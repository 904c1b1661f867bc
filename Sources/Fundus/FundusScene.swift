import Support

/// The ground truth of a synthetic fundus photograph: everything that is in the eye, and where.
///
/// Synthetic; not for clinical use. A scene is a pure function of its findings and its seed, and so is every pixel that
/// `FundusRenderer` draws of it. Seeds from `heldOutSeeds` on belong to held-out scenes, those below to training: no
/// scene is in both.
public struct FundusScene: Equatable, Sendable {
  public let seed: UInt64
  public let eye: Eye
  public let disc: Disc
  /// The centre of the macula.
  public let fovea: Point
  /// 0 light ... 1 dark.
  public let pigmentation: Double
  public let vessels: [Vessel]
  public let arteriesNarrowed: Bool
  public let lesions: [Lesion]

  /// The first seed of held-out scenes.
  public static let heldOutSeeds: UInt64 = 1 << 63

  /// What the streams of a scene are for, so that an additional lesion moves nothing else.
  enum Part: UInt32 { case anatomy = 1, vessels, lesions, camera, texture, noise, question }

  static func random(_ part: Part, seed: UInt64) -> RandomStream {
    RandomStream(seed: seed, purpose: .data, part.rawValue, .max)
  }

  /// Draws an eye that has these findings.
  public init(_ findings: Findings, seed: UInt64) {
    self.seed = seed
    eye = findings.eye
    arteriesNarrowed = findings.arteriesNarrowed
    var random = Self.random(.anatomy, seed: seed)
    let side = findings.eye.discSide
    let discCenter = Point(x: side * random.uniform(in: 0.42...0.54), y: random.uniform(in: -0.08...0.06))
    disc = Disc(center: discCenter, cupToDiscRatio: findings.cupToDiscRatio, using: &random)
    fovea = discCenter + Point(x: -side * random.uniform(in: 0.5...0.58), y: random.uniform(in: 0.03...0.1))
    pigmentation = random.uniform(in: 0...1)
    vessels =
      VesselTree(
        disc: disc, fovea: fovea, arteriesNarrowed: arteriesNarrowed, random: Self.random(.vessels, seed: seed)
      ).vessels
    lesions =
      LesionPlacement(
        findings, disc: disc, fovea: fovea, vessels: vessels, random: Self.random(.lesions, seed: seed)
      ).lesions
  }

  public var diagnosis: Diagnosis {
    Diagnosis(
      lesions: lesions, fovea: fovea, cupToDiscRatio: disc.cupToDiscRatio, arteriesNarrowed: arteriesNarrowed)
  }

  public func count(_ kind: LesionKind) -> Int { lesions.count { $0.kind == kind } }

  /// The half of the retina that all lesions of the kind lie in; nil when there are none or they lie in both.
  public func half(of kind: LesionKind) -> RetinaHalf? {
    let halves = Set(lesions.filter { $0.kind == kind }.map { $0.center.y < fovea.y })
    return halves.count == 1 ? (halves.contains(true) ? .upper : .lower) : nil
  }
}
