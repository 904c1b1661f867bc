/// Signs of disease. One lesion of a kind is what a reader would count as one.
public enum LesionKind: String, CaseIterable, Sendable {
  /// A small dark red dot.
  case microaneurysm
  /// A dark red blot with ragged edges (dot or blot haemorrhage).
  case blotHaemorrhage = "blot_haemorrhage"
  /// Dark red streaks along the nerve fibres.
  case flameHaemorrhage = "flame_haemorrhage"
  /// A cluster of bright yellow, sharp-edged deposits (hard exudates).
  case exudate
  /// A fuzzy white patch.
  case cottonWoolSpot = "cotton_wool_spot"
  /// A pale, soft-edged dot near the macula.
  case druse
  /// A tangle of fine bright red vessels, on the disc or elsewhere.
  case newVessels = "new_vessels"
  /// A large dark patch of blood under the macula, the sign of wet macular degeneration.
  case subretinalHaemorrhage = "subretinal_haemorrhage"

  /// Those that questions ask for by name.
  public static let asked: [LesionKind] = [
    .microaneurysm, .blotHaemorrhage, .flameHaemorrhage, .exudate, .cottonWoolSpot, .druse, .newVessels,
  ]

  /// Those that lie in one half of the retina when the findings say so, large enough to cost a part of the field of
  /// vision.
  static let localized: [LesionKind] = [.blotHaemorrhage, .flameHaemorrhage, .exudate, .cottonWoolSpot]

  /// The name in questions and answers.
  public var name: String {
    switch self {
    case .microaneurysm: "microaneurysms"
    case .blotHaemorrhage: "blot haemorrhages"
    case .flameHaemorrhage: "flame haemorrhages"
    case .exudate: "exudates"
    case .cottonWoolSpot: "cotton-wool spots"
    case .druse: "drusen"
    case .newVessels: "new vessels"
    case .subretinalHaemorrhage: "macular blood"
    }
  }
}
