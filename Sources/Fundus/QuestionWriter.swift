import Support

/// Draws scenes with questions about them. The plan of a family decides what is drawn, so that answers are balanced;
/// the answer itself is read off the scene.
struct QuestionWriter {
  let seed: UInt64
  var random: RandomStream

  init(seed: UInt64) {
    self.seed = seed
    random = FundusScene.random(.question, seed: seed)
  }

  typealias Draw = (scene: FundusScene, question: FundusQuestion)

  mutating func write(_ family: QuestionFamily) -> Draw {
    switch family {
    case .presence: presence()
    case .largeCup: largeCup()
    case .rightEye: rightEye()
    case .whichLesion: whichLesion()
    case .grade: grade()
    case .count: count()
    case .lesions: lesions()
    case .condition: condition()
    case .lesionName: lesionName()
    case .fit: fit()
    case .unchanged: unchanged()
    case .field: field()
    case .whose: whose()
    case .cause: cause()
    case .changed: changed()
    case .histories: histories()
    case .pressure: pressure()
    case .patient: patient()
    }
  }

  // MARK: Scenes

  mutating func healthy() -> Findings { Findings(using: &random) }

  func scene(_ findings: Findings) -> FundusScene { FundusScene(findings, seed: seed) }

  mutating func scene(with kinds: [LesionKind], halves: [LesionKind: RetinaHalf] = [:]) -> FundusScene {
    var findings = healthy()
    findings.halves = halves
    for kind in kinds { findings.add(kind, using: &random) }
    return scene(findings)
  }

  mutating func scene(with diseases: [Disease]) -> FundusScene {
    var findings = healthy()
    for disease in diseases { findings.add(disease, using: &random) }
    return scene(findings)
  }

  mutating func scene(ofGrade grade: Int) -> FundusScene {
    var findings = healthy()
    findings.addRetinopathy(grade: grade, using: &random)
    return scene(findings)
  }

  // MARK: Questions of the four types

  /// What can be chosen, and what reasoning says of it before its verdict.
  struct Option {
    var text: String
    var note: String?
    var isRight: Bool
  }

  /// Reasoning ends with the verdict: "..., true, option A."
  func trueFalse(
    _ family: QuestionFamily, _ scene: FundusScene, _ stem: String, _ isTrue: Bool, because reasoning: String
  ) -> Draw {
    let letter = isTrue ? "A" : "B"
    return (
      scene,
      FundusQuestion(
        family: family, stem: stem, options: ["True", "False"], answer: letter,
        reasoning: "\(reasoning): \(isTrue), option \(letter).")
    )
  }

  /// Reasoning ends with the right option's letter.
  func singleChoice(
    _ family: QuestionFamily, _ scene: FundusScene, _ stem: String, _ options: [String], right: String,
    because reasoning: String
  ) -> Draw {
    guard let index = options.firstIndex(of: right) else { preconditionFailure("\(right) is not among \(options)") }
    let letter = FundusQuestion.letter(index)
    return (
      scene,
      FundusQuestion(
        family: family, stem: stem, options: options, answer: letter, reasoning: "\(reasoning), option \(letter).")
    )
  }

  /// One of the options, which stand in any order, is right. Reasoning goes through them up to that one.
  func singleChoice(
    _ family: QuestionFamily, _ scene: FundusScene, _ stem: String, _ options: [Option], because reasoning: String
  ) -> Draw {
    guard let index = options.firstIndex(where: \.isRight) else { preconditionFailure("no right option") }
    return singleChoice(
      family, scene, stem, options.map(\.text), right: options[index].text,
      because: "\(reasoning). \(walk(options[...index]))")
  }

  /// At least one option is right. Reasoning goes through all of them.
  func multipleChoice(
    _ family: QuestionFamily, _ scene: FundusScene, _ stem: String, _ options: [Option], because reasoning: String
  ) -> Draw {
    let letters = options.indices.filter { options[$0].isRight }.map(FundusQuestion.letter)
    precondition(!letters.isEmpty, "no right option")
    let answer = letters.joined(separator: ",")
    return (
      scene,
      FundusQuestion(
        family: family, stem: stem, options: options.map(\.text), answer: answer,
        reasoning:
          "\(reasoning). \(walk(options[...])), \(letters.count == 1 ? "option" : "options") \(answer).")
    )
  }

  /// "A. drusen: no. B. exudates: yes"
  private func walk(_ options: ArraySlice<Option>) -> String {
    options.indices.map { index in
      let option = options[index]
      return "\(FundusQuestion.letter(index)). \(option.text): \(option.note.map { "\($0), " } ?? "")"
        + (option.isRight ? "yes" : "no")
    }.joined(separator: ". ")
  }

  func openEnded(
    _ family: QuestionFamily, _ scene: FundusScene, _ stem: String, _ answer: String, because reasoning: String
  ) -> Draw {
    (
      scene,
      FundusQuestion(family: family, stem: stem, options: [], answer: answer, reasoning: "\(reasoning): \(answer).")
    )
  }
}
