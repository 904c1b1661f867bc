import Fundus

/// The right answer to a question, worked out anew from the words of the question and the things in the scene.
///
/// It shares nothing with the writer but the words: lesions are counted here, and the rules of diagnosis are written
/// again.
struct TruthOracle {
  let scene: FundusScene
  let stem: String
  let options: [String]

  init(_ sample: FundusSample) {
    scene = sample.scene
    stem = sample.question.stem
    options = sample.question.options
  }

  private static let names: [(String, LesionKind)] = [
    ("microaneurysms", .microaneurysm), ("blot haemorrhages", .blotHaemorrhage),
    ("flame haemorrhages", .flameHaemorrhage), ("exudates", .exudate), ("cotton-wool spots", .cottonWoolSpot),
    ("drusen", .druse), ("new vessels", .newVessels),
  ]

  private func has(_ kind: LesionKind) -> Bool { scene.lesions.contains { $0.kind == kind } }

  private func has(named name: String) -> Bool { Self.names.contains { $0.0 == name && has($0.1) } }

  private var grade: Int {
    if has(.newVessels) { return 4 }
    var quadrants = [0, 0, 0, 0]
    for lesion in scene.lesions where lesion.kind == .blotHaemorrhage {
      quadrants[(lesion.center.x > scene.fovea.x ? 1 : 0) + (lesion.center.y > scene.fovea.y ? 2 : 0)] += 1
    }
    if quadrants.min()! >= 2 { return 3 }
    if has(.blotHaemorrhage) || has(.microaneurysm) && (has(.exudate) || has(.cottonWoolSpot)) { return 2 }
    return has(.microaneurysm) ? 1 : 0
  }

  private var diseases: Set<String> {
    var found: Set<String> = []
    if grade > 0 { found.insert("diabetic retinopathy") }
    if scene.disc.cupToDiscRatio > 0.6 { found.insert("glaucoma") }
    if scene.lesions.count(where: { $0.kind == .druse }) > 7 || has(.subretinalHaemorrhage) {
      found.insert("macular degeneration")
    }
    if scene.arteriesNarrowed && has(.flameHaemorrhage) { found.insert("hypertensive retinopathy") }
    return found
  }

  /// The disease that a history speaks of.
  private func disease(ofHistory text: String) -> String? {
    let signs: [(String, String)] = [
      ("HbA1c 8", "diabetic retinopathy"), ("HbA1c 9", "diabetic retinopathy"), ("HbA1c 10", "diabetic retinopathy"),
      ("insulin", "diabetic retinopathy"), ("side vision", "glaucoma"), ("eye pressure 2", "glaucoma"),
      ("eye pressure 3", "glaucoma"), ("bent", "macular degeneration"), ("blurred", "macular degeneration"),
      ("190/110", "hypertensive retinopathy"), ("210/120", "hypertensive retinopathy"),
    ]
    let found = Set(signs.filter { text.contains($0.0) }.map { $0.1 })
    return found.count == 1 ? found.first : nil
  }

  private func letters(_ isRight: (String) -> Bool) -> String {
    options.indices.filter { isRight(options[$0]) }.map { ["A", "B", "C", "D", "E"][$0] }.joined(separator: ",")
  }

  private func truth(_ value: Bool) -> String { value ? "A" : "B" }

  /// The half of the retina that holds every lesion that the text names.
  private func half(ofNamed text: String) -> String? {
    guard let kind = Self.names.first(where: { text.contains($0.0) })?.1 else { return nil }
    let halves = Set(scene.lesions.filter { $0.kind == kind }.map { $0.center.y < scene.fovea.y ? "upper" : "lower" })
    return halves.count == 1 ? halves.first : nil
  }

  /// Whether a lesion in that half darkens the part of the field that the question complains of.
  private func explains(_ half: String) -> Bool { stem.contains(half == "upper" ? "lower field" : "upper field") }

  /// nil when the question cannot be answered.
  func answer(_ family: QuestionFamily) -> String? {
    let isRightEye = scene.disc.center.x > scene.fovea.x
    switch family {
    case .presence: return truth(Self.names.contains { stem == "There are \($0.0)." && has($0.1) })
    case .largeCup: return truth(scene.disc.cupToDiscRatio > 0.6)
    case .rightEye: return truth(isRightEye)
    case .whichLesion, .lesions: return letters { has(named: $0) }
    case .grade: return letters { $0 == "\(grade)" }
    case .count:
      let kind: LesionKind = stem.contains("blot") ? .blotHaemorrhage : .cottonWoolSpot
      return letters { $0 == "\(scene.lesions.count { $0.kind == kind })" }
    case .condition: return diseases.count < 2 ? diseases.first ?? "normal" : nil
    case .lesionName:
      let names = Self.names.filter { has($0.1) }
      return names.count == 1 ? names[0].0 : nil
    case .fit: return disease(ofHistory: stem).map { truth(diseases.contains($0)) }
    case .unchanged: return truth(stem.contains("grade \(grade) last"))
    case .field: return half(ofNamed: stem).map { truth(explains($0)) }
    case .cause: return letters { half(ofNamed: $0).map(explains) ?? false }
    case .whose: return diseases.count == 1 ? letters { disease(ofHistory: $0) == diseases.first } : nil
    case .patient:
      let owners = stem.split(separator: ". ").filter { disease(ofHistory: String($0)) == diseases.first }
      return owners.count == 1 ? owners[0].split(separator: ":").first.map(String.init) : nil
    case .histories: return letters { disease(ofHistory: $0).map(diseases.contains) ?? false }
    case .changed:
      let before = stem.prefix { $0 != "." }
      return letters { before.contains($0) != has(named: $0) }
    case .pressure:
      let isHigh = ["26", "28", "30", "32"].contains { stem.contains("pressure \($0).") }
      return switch (isHigh, diseases == ["glaucoma"]) {
      case (true, true): "open-angle glaucoma"
      case (false, true): "normal-tension glaucoma"
      case (true, false): "ocular hypertension"
      case (false, false): "normal"
      }
    }
  }
}
