import Support

/// A patient's history in a few words: an age that says nothing, one sign of a disease, sometimes a normal value next
/// to it.
struct Vignette {
  let disease: Disease
  /// "Age 65, eye pressure 30".
  let text: String
  /// What the sign is called in reasoning: "high eye pressure".
  let gist: String

  /// - Parameter hasDecoy: whether a normal value of another disease's measure may stand next to the sign.
  init(_ disease: Disease, hasDecoy: Bool, using random: inout RandomStream) {
    self.disease = disease
    let (sign, gist) = Self.sign(of: disease, using: &random)
    self.gist = gist
    var parts = [sign]
    if hasDecoy && random.chance(0.5) {
      let others = Self.normalValues.filter { $0.disease != disease }
      parts.insert(random.pick(others).text, at: random.integer(in: 0...1))
    }
    text = "Age \(random.pick(Self.ages)), " + parts.joined(separator: ", ")
  }

  static let ages = [50, 55, 60, 65, 70, 75, 80]
  /// Eye pressure in mmHg; above 21 is high.
  static let normalEyePressures = [12, 14, 16]
  static let highEyePressures = [26, 28, 30, 32]

  private static let normalValues: [(disease: Disease, text: String)] = [
    (.diabeticRetinopathy, "HbA1c 5"), (.glaucoma, "eye pressure 14"),
    (.hypertensiveRetinopathy, "blood pressure 120/80"),
  ]

  private static func sign(of disease: Disease, using random: inout RandomStream) -> (text: String, gist: String) {
    switch disease {
    case .diabeticRetinopathy:
      random.chance(0.7) ? ("HbA1c \(random.pick([8, 9, 10]))", "high HbA1c") : ("takes insulin", "insulin")
    case .glaucoma:
      random.chance(0.7)
        ? ("eye pressure \(random.pick(highEyePressures))", "high eye pressure")
        : ("loses side vision", "lost side vision")
    case .macularDegeneration:
      random.pick([("lines look bent", "bent lines"), ("faces look blurred", "blurred faces")])
    case .hypertensiveRetinopathy:
      ("blood pressure \(random.pick(["190/110", "210/120"]))", "high blood pressure")
    }
  }
}
