/// Questions that need the image and the vignette together.
///
/// Every family is built so that neither source answers alone. Where they are compared (`fit`, `unchanged`, `field`,
/// `cause`, `changed`), each vignette meets images for and against it equally often, and each image such vignettes. In
/// `whose`, `patient` and `histories` the histories are what is chosen from, in random order, and always as many of
/// them are right. `pressure` crosses two pressures with two cups for four diagnoses: one source halves the choice, and
/// no more.
extension QuestionWriter {
  /// An item for the vignette and one for the image: the same in half of the questions, else any two different ones.
  private mutating func pair<Item: Equatable>(_ items: [Item]) -> (told: Item, shown: Item) {
    let shown = random.pick(items)
    return (random.chance(0.5) ? shown : random.pick(items.filter { $0 != shown }), shown)
  }

  mutating func fit() -> Draw {
    let (told, shown) = pair(Disease.allCases)
    let vignette = Vignette(told, hasDecoy: true, using: &random)
    let scene = scene(with: [shown])
    let found = scene.diagnosis.diseases
    return trueFalse(
      .fit, scene, "\(vignette.text). This fits the image.", found.contains(told),
      because: "I see \(scene.signs): \(found[0].rawValue). History: \(vignette.gist) means \(told.rawValue)")
  }

  mutating func unchanged() -> Draw {
    let (told, shown) = pair(Array(0...4))
    let scene = scene(ofGrade: shown)
    let grade = scene.diagnosis.retinopathyGrade
    return trueFalse(
      .unchanged, scene, "\(age()), retinopathy grade \(told) last visit. It is unchanged.", grade == told,
      because: "\(gradeSigns(of: scene)): grade \(grade) now, \(told) then")
  }

  /// Light falls on the retina upside down: a patch missing above is a lesion below.
  mutating func field() -> Draw {
    let kind = random.pick(LesionKind.localized)
    let (missing, shown) = pair(RetinaHalf.allCases)
    let scene = scene(with: [kind], halves: [kind: shown])
    let half = half(of: kind, in: scene)
    return trueFalse(
      .field, scene, "\(symptom(missing)). The \(kind.name) explain it.", half == missing.opposite,
      because: "I see \(kind.name) in the \(half.rawValue) half. \(meaning(of: missing))")
  }

  mutating func cause() -> Draw {
    let kinds = Array(random.shuffled(LesionKind.localized).prefix(2))
    let missing = random.pick(RetinaHalf.allCases)
    let scene = scene(with: kinds, halves: [kinds[0]: .upper, kinds[1]: .lower])
    let options = random.shuffled(kinds).map { kind in
      let half = half(of: kind, in: scene)
      return Option(text: kind.name, note: "\(half.rawValue) half", isRight: half == missing.opposite)
    }
    return singleChoice(
      .cause, scene, "\(symptom(missing)). What explains it?", options,
      because: "I see \(scene.placedSigns). \(meaning(of: missing))")
  }

  private mutating func symptom(_ missing: RetinaHalf) -> String { "\(age()), the \(missing.rawValue) field is dark" }

  /// Says nothing about the eye.
  private mutating func age() -> String { "Age \(random.pick(Vignette.ages))" }

  private func meaning(of missing: RetinaHalf) -> String {
    "History: \(missing.rawValue) field means \(missing.opposite.rawValue) half"
  }

  private func half(of kind: LesionKind, in scene: FundusScene) -> RetinaHalf {
    guard let half = scene.half(of: kind) else { preconditionFailure("\(kind) in both halves") }
    return half
  }

  mutating func whose() -> Draw {
    let (vignettes, scene, right) = lineup()
    return singleChoice(
      .whose, scene, "Whose image is this?", vignettes.map { option($0, isRight: $0.disease == right) },
      because: "I see \(scene.signs): \(right.rawValue)")
  }

  private func option(_ vignette: Vignette, isRight: Bool) -> Option {
    Option(text: vignette.text, note: vignette.disease.rawValue, isRight: isRight)
  }

  mutating func patient() -> Draw {
    let (vignettes, scene, right) = lineup()
    let named = Array(zip(["Ana", "Ben", "Carl"], vignettes))
    guard let name = named.first(where: { $0.1.disease == right })?.0 else {
      preconditionFailure("nobody has \(right)")
    }
    let histories = named.map { "\($0): \($1.text)." }.joined(separator: " ")
    return openEnded(
      .patient, scene, "\(histories) Name the patient.", name,
      because: "I see \(scene.signs): \(right.rawValue). \(named.map { "\($0): \($1.disease.rawValue)" }.list)")
  }

  /// Three patients with a disease each, and the eye of one of them.
  private mutating func lineup() -> (vignettes: [Vignette], scene: FundusScene, right: Disease) {
    let diseases = Array(random.shuffled(Disease.allCases).prefix(3))
    let vignettes = diseases.map { Vignette($0, hasDecoy: false, using: &random) }
    let scene = scene(with: [random.pick(diseases)])
    return (vignettes, scene, scene.diagnosis.diseases[0])
  }

  mutating func changed() -> Draw {
    let kinds = Array(random.shuffled(LesionKind.asked).prefix(4))
    var before = Set(kinds.filter { _ in random.chance(0.5) })
    let now = kinds.filter { _ in random.chance(0.5) }
    if before == Set(now) { before.formSymmetricDifference([random.pick(kinds)]) }
    let scene = scene(with: now)
    let options = kinds.map { kind in
      let (was, isThere) = (before.contains(kind), scene.count(kind) > 0)
      return Option(
        text: kind.name, note: "\(was ? "yes" : "no") then, \(isThere ? "yes" : "no") now", isRight: was != isThere)
    }
    return multipleChoice(
      .changed, scene, "Last visit: \(LesionKind.asked.filter(before.contains).map(\.name).list). What has changed?",
      options, because: "I see \(scene.signs)")
  }

  mutating func histories() -> Draw {
    let scene = scene(with: Array(random.shuffled(Disease.allCases).prefix(2)))
    let found = scene.diagnosis.diseases
    let vignettes = random.shuffled(Disease.allCases).map { Vignette($0, hasDecoy: false, using: &random) }
    return multipleChoice(
      .histories, scene, "Which fit this image?", vignettes.map { option($0, isRight: found.contains($0.disease)) },
      because: "I see \(scene.signs): \(found.map(\.rawValue).list)")
  }

  mutating func pressure() -> Draw {
    let isHigh = random.chance(0.5)
    let pressure = random.pick(isHigh ? Vignette.highEyePressures : Vignette.normalEyePressures)
    var findings = healthy()
    if random.chance(0.5) { findings.add(.glaucoma, using: &random) }
    let scene = scene(findings)
    let isCupped = scene.diagnosis.hasGlaucomatousCupping
    let answer =
      switch (isHigh, isCupped) {
      case (true, true): "open-angle glaucoma"
      case (false, true): "normal-tension glaucoma"
      case (true, false): "ocular hypertension"
      case (false, false): "normal"
      }
    return openEnded(
      .pressure, scene, "\(age()), eye pressure \(pressure). Name the diagnosis.", answer,
      because:
        "The cup is \(scene.ratio), \(isCupped ? "large" : "small"). The pressure is \(isHigh ? "high" : "normal")")
  }
}
