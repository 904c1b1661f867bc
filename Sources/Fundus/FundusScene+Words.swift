/// What a scene shows, in words.
extension FundusScene {
  /// Kinds that are there, in a fixed order.
  var kinds: [LesionKind] { LesionKind.allCases.filter { count($0) > 0 } }

  /// "drusen and a large cup"; "no lesions".
  var signs: String { (kinds.map(\.name) + (diagnosis.hasGlaucomatousCupping ? ["a large cup"] : [])).list }

  /// "0.3"
  var ratio: String { "\(disc.cupToDiscRatio)" }

  /// What aligns images with words in stage 1. Synthetic; not for clinical use.
  public var caption: String { "Synthetic photograph of a \(eye.rawValue) eye, cup \(ratio): \(signs)." }
}

extension [String] {
  /// "no lesions", "a", "a and b", "a, b and c".
  var list: String {
    guard let last, count > 1 else { return first ?? "no lesions" }
    return dropLast().joined(separator: ", ") + " and " + last
  }
}
