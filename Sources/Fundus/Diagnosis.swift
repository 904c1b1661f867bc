/// What the signs of an eye mean, by stated rules. Simplified for teaching a small model; not for clinical use.
///
/// - Diabetic retinopathy, after the international clinical scale (ICDR; Wilkinson et al., 2003): 4, new vessels; 3, at
///   least two blot haemorrhages in each quadrant around the macula (simplified from the 4-2-1 rule); 2, more than
///   micro-aneurysms, that is blot haemorrhages, or exudates or cotton-wool spots together with micro-aneurysms; 1,
///   micro-aneurysms only; else 0.
/// - Glaucomatous cupping: the cup is more than 0.6 of the disc.
/// - Macular degeneration: at least 8 drusen or blood under the macula; wet with that blood, else dry.
/// - Hypertensive retinopathy: narrowed arteries and flame haemorrhages.
public enum Disease: String, CaseIterable, Sendable {
  case diabeticRetinopathy = "diabetic retinopathy"
  case glaucoma
  case macularDegeneration = "macular degeneration"
  case hypertensiveRetinopathy = "hypertensive retinopathy"
}

/// The diseases of an eye, derived from its lesions.
public struct Diagnosis: Equatable, Sendable {
  /// 0 ... 4.
  public let retinopathyGrade: Int
  public let hasGlaucomatousCupping: Bool
  public let hasMacularDegeneration: Bool
  /// With blood under the macula.
  public let isWet: Bool
  public let hasHypertensiveRetinopathy: Bool

  /// The ratio above which a cup is glaucomatous.
  public static let cupToDiscRatioMax = 0.6
  static let drusenCountMin = 8
  static let haemorrhagesPerQuadrantMin = 2

  public init(lesions: [Lesion], fovea: Point, cupToDiscRatio: Double, arteriesNarrowed: Bool) {
    func count(_ kind: LesionKind) -> Int { lesions.count { $0.kind == kind } }
    let haemorrhages = lesions.filter { $0.kind == .blotHaemorrhage }
    let quadrants = [(false, false), (false, true), (true, false), (true, true)].map { right, below in
      haemorrhages.count { ($0.center.x > fovea.x) == right && ($0.center.y > fovea.y) == below }
    }
    retinopathyGrade =
      if count(.newVessels) > 0 {
        4
      } else if quadrants.allSatisfy({ $0 >= Self.haemorrhagesPerQuadrantMin }) {
        3
      } else if !haemorrhages.isEmpty || count(.microaneurysm) > 0 && count(.exudate) + count(.cottonWoolSpot) > 0 {
        2
      } else {
        count(.microaneurysm) > 0 ? 1 : 0
      }
    hasGlaucomatousCupping = cupToDiscRatio > Self.cupToDiscRatioMax
    isWet = count(.subretinalHaemorrhage) > 0
    hasMacularDegeneration = isWet || count(.druse) >= Self.drusenCountMin
    hasHypertensiveRetinopathy = arteriesNarrowed && count(.flameHaemorrhage) > 0
  }

  /// In the order of `Disease.allCases`; empty for a healthy eye.
  public var diseases: [Disease] {
    Disease.allCases.filter { disease in
      switch disease {
      case .diabeticRetinopathy: retinopathyGrade > 0
      case .glaucoma: hasGlaucomatousCupping
      case .macularDegeneration: hasMacularDegeneration
      case .hypertensiveRetinopathy: hasHypertensiveRetinopathy
      }
    }
  }
}
