/// Questions that the image alone answers.
extension QuestionWriter {
  mutating func presence() -> Draw {
    let kind = random.pick(LesionKind.asked)
    let isWanted = random.chance(0.5)
    // Other lesions come and go on their own, so that they say nothing about this one.
    let others = LesionKind.asked.filter { $0 != kind && random.chance(0.3) }
    let scene = scene(with: others + (isWanted ? [kind] : []))
    return trueFalse(
      .presence, scene, "There are \(kind.name).", scene.count(kind) > 0, because: "I see \(scene.signs)")
  }

  mutating func largeCup() -> Draw {
    var findings = healthy()
    findings.cupToDiscRatio = random.pick(random.chance(0.5) ? Findings.largeCups : Findings.smallCups)
    let scene = scene(findings)
    let isLarge = scene.diagnosis.hasGlaucomatousCupping
    return trueFalse(
      .largeCup, scene, "The cup is above 0.6.", isLarge,
      because: "The cup is \(scene.ratio), \(isLarge ? "above" : "below") 0.6")
  }

  mutating func rightEye() -> Draw {
    let scene = scene(healthy())
    return trueFalse(
      .rightEye, scene, "This is a right eye.", scene.eye == .right, because: "The disc is on the \(scene.eye.rawValue)"
    )
  }

  mutating func whichLesion() -> Draw {
    let kinds = Array(random.shuffled(LesionKind.asked).prefix(4))
    let others = LesionKind.asked.filter { !kinds.contains($0) && random.chance(0.3) }
    let scene = scene(with: [random.pick(kinds)] + others)
    return singleChoice(
      .whichLesion, scene, "What is visible?", options(kinds, in: scene), because: "I see \(scene.signs)")
  }

  private func options(_ kinds: [LesionKind], in scene: FundusScene) -> [Option] {
    kinds.map { Option(text: $0.name, isRight: scene.count($0) > 0) }
  }

  mutating func grade() -> Draw {
    let scene = scene(ofGrade: random.integer(in: 0...4))
    let grade = scene.diagnosis.retinopathyGrade
    return singleChoice(
      .grade, scene, "Which retinopathy grade?", (0...4).map { "\($0)" }, right: "\(grade)",
      because: "\(gradeSigns(of: scene)): grade \(grade)")
  }

  /// "I see blot haemorrhages in all quadrants"
  func gradeSigns(of scene: FundusScene) -> String {
    "I see \(scene.signs)" + (scene.diagnosis.retinopathyGrade == 3 ? " in all quadrants" : "")
  }

  mutating func count() -> Draw {
    let kind = random.pick([LesionKind.cottonWoolSpot, .blotHaemorrhage])
    var findings = healthy()
    findings[kind] = random.integer(in: 1...4)
    let scene = scene(findings)
    let count = scene.count(kind)
    return singleChoice(
      .count, scene, "How many \(kind.name)?", (1...4).map { "\($0)" }, right: "\(count)",
      because: "I count \(count) \(kind.name)")
  }

  mutating func lesions() -> Draw {
    let kinds = Array(random.shuffled(LesionKind.asked).prefix(4))
    var present = kinds.filter { _ in random.chance(0.5) }
    if present.isEmpty { present = [random.pick(kinds)] }
    let scene = scene(with: present + LesionKind.asked.filter { !kinds.contains($0) && random.chance(0.15) })
    return multipleChoice(
      .lesions, scene, "Which are visible?", options(kinds, in: scene), because: "I see \(scene.signs)")
  }

  mutating func condition() -> Draw {
    let index = random.integer(in: 0...Disease.allCases.count)
    let scene = scene(with: index == 0 ? [] : [Disease.allCases[index - 1]])
    return openEnded(
      .condition, scene, "Name the diagnosis.", scene.diagnosis.diseases.first?.rawValue ?? "normal",
      because: "I see \(scene.signs)")
  }

  mutating func lesionName() -> Draw {
    let scene = scene(with: [random.pick(LesionKind.asked)])
    guard let kind = scene.kinds.first else { preconditionFailure("no lesion") }
    return openEnded(.lesionName, scene, "Name the lesion.", kind.name, because: "I see \(scene.signs)")
  }
}
