import Support

/// What an eye has, before it is drawn: the plan that a question makes for a scene.
///
/// The truth that answers are checked against is the scene's own (`FundusScene`, `Diagnosis`), read off what was
/// placed.
public struct Findings: Equatable, Sendable {
  public var eye: Eye
  /// Vertical diameter of the cup over that of the disc: 0.2 ... 0.5 or 0.7 ... 0.9, in steps of 0.1. Between them
  /// nobody asks.
  public var cupToDiscRatio = 0.3
  /// Arteries are narrower than they should be, compared with veins.
  public var arteriesNarrowed = false
  /// Where lesions of a kind are; anywhere without an entry. Read for `LesionKind.localized`.
  public var halves: [LesionKind: RetinaHalf] = [:]
  private var counts: [LesionKind: Int] = [:]

  public init(eye: Eye) { self.eye = eye }

  public subscript(kind: LesionKind) -> Int {
    get { counts[kind] ?? 0 }
    set { counts[kind] = newValue }
  }

  /// A healthy eye.
  init(using random: inout RandomStream) {
    eye = random.pick(Eye.allCases)
    cupToDiscRatio = random.pick(Self.smallCups)
  }

  static let smallCups = [0.2, 0.3, 0.4, 0.5]
  static let largeCups = [0.7, 0.8, 0.9]

  /// How many lesions an eye has that has any.
  mutating func add(_ kind: LesionKind, using random: inout RandomStream) {
    self[kind] =
      switch kind {
      case .microaneurysm: random.integer(in: 4...8)
      case .blotHaemorrhage, .flameHaemorrhage: random.integer(in: 2...4)
      case .exudate, .newVessels: random.integer(in: 1...2)
      case .cottonWoolSpot: random.integer(in: 1...3)
      case .druse: random.integer(in: 14...26)
      case .subretinalHaemorrhage: 1
      }
  }

  /// Adds what the disease does to an eye.
  mutating func add(_ disease: Disease, using random: inout RandomStream) {
    switch disease {
    case .diabeticRetinopathy: addRetinopathy(grade: random.integer(in: 1...4), using: &random)
    case .glaucoma: cupToDiscRatio = random.pick(Self.largeCups)
    case .macularDegeneration:
      add(.druse, using: &random)
      if random.chance(0.4) { add(.subretinalHaemorrhage, using: &random) }
    case .hypertensiveRetinopathy:
      arteriesNarrowed = true
      self[.flameHaemorrhage] = random.integer(in: 2...5)
      self[.cottonWoolSpot] = random.integer(in: 1...3)
    }
  }

  /// Adds the signs of a grade of diabetic retinopathy, 0 ... 4.
  mutating func addRetinopathy(grade: Int, using random: inout RandomStream) {
    guard grade > 0 else { return }
    self[.microaneurysm] = random.integer(in: 4...8)
    switch grade {
    case 1: break
    case 2:
      self[.blotHaemorrhage] = random.integer(in: 1...3)
      self[.exudate] = random.integer(in: 0...2)
      self[.cottonWoolSpot] = random.integer(in: 0...1)
    case 3:
      self[.blotHaemorrhage] = random.integer(in: 9...12)
      self[.exudate] = random.integer(in: 0...2)
      self[.cottonWoolSpot] = random.integer(in: 0...2)
    default:
      self[.newVessels] = random.integer(in: 1...2)
      self[.blotHaemorrhage] = random.integer(in: 0...3)
      self[.exudate] = random.integer(in: 0...1)
    }
  }
}
