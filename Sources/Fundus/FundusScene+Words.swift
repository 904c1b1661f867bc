/// What a scene shows, in words.
extension FundusScene {
  /// Kinds that are there, in a fixed order.
  var kinds: [LesionKind] { LesionKind.allCases.filter { count($0) > 0 } }

  /// "drusen and a large cup"; "no lesions".
  var signs: String { signs { $0.name } }

  /// The signs, each with the half of the retina where it has all of its kind: "drusen in the upper half".
  var placedSigns: String {
    signs { kind in kind.name + (half(of: kind).map { " in the \($0.rawValue) half" } ?? "") }
  }

  private func signs(_ words: (LesionKind) -> String) -> String {
    (kinds.map(words) + (diagnosis.hasGlaucomatousCupping ? ["a large cup"] : [])).list
  }

  /// "0.3"
  var ratio: String { "\(disc.cupToDiscRatio)" }

  /// What aligns images with words in stage 1. Synthetic; not for clinical use.
  public var caption: String { "Synthetic photograph of a \(eye.rawValue) eye, cup \(ratio): \(placedSigns)." }
}

extension [String] {
  /// "no lesions", "a", "a and b", "a, b and c".
  var list: String {
    guard let last, count > 1 else { return first ?? "no lesions" }
    return dropLast().joined(separator: ", ") + " and " + last
  }
}
