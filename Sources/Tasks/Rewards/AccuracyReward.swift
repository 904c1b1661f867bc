import Prompts

/// How right the answer block of a completion is, 0 ... 1, by the kind of question. Pure, linear in the text, and
/// total: any text gets a score.
///
/// Only the answer block scores; without exactly one, accuracy is 0. Empty answers, answers that repeat every option,
/// and kinds that this program does not know have accuracy 0.
public struct AccuracyReward: Reward {
  public static let name = "accuracy"
  public var name: String { Self.name }

  public init() {}

  public func score(_ completion: String, of prompt: RewardSpecification) -> [NamedScore] {
    [NamedScore(name, Response(completion).answer.map { Float(Self.accuracy(of: $0, prompt)) } ?? 0)]
  }

  private static func accuracy(of answer: String, _ prompt: RewardSpecification) -> Double {
    func isOn(_ option: String) -> Bool { prompt.options[option] == "true" }
    switch QuestionType(rawValue: prompt.kind) {
    case .number:
      let wanted = DecimalNumber.last(in: prompt.reference)
      return wanted != nil && DecimalNumber.last(in: answer) == wanted ? 1 : 0
    case .trueFalse, .singleChoice:
      let letters = Scorer.optionLetters(answer)
      return letters?.count == 1 && letters == Scorer.optionLetters(prompt.reference) ? 1 : 0
    case .multipleChoice:
      guard let given = Scorer.optionLetters(answer).map(Set.init),
        let wanted = Scorer.optionLetters(prompt.reference).map(Set.init)
      else { return 0 }
      if given == wanted { return 1 }
      let optionCount = prompt.options[Scorer.Option.optionCount].flatMap { Int($0) } ?? 26
      guard isOn(Scorer.Option.partialCredit), given.count < optionCount else { return 0 }
      return Double(given.intersection(wanted).count) / Double(given.union(wanted).count)
    case .openEnded:
      let accepted =
        [prompt.reference]
        + (prompt.options[Scorer.Option.aliases] ?? "").split(separator: "\n").map(String.init)
      let pairs = EntityName.readings(of: answer).flatMap { given in
        accepted.flatMap { EntityName.readings(of: $0) }.map { (given, $0) }
      }
      if pairs.contains(where: { $0.isSame(as: $1) }) { return 1 }
      return isOn(Scorer.Option.fuzzy) ? pairs.map { $0.overlap(with: $1) }.max() ?? 0 : 0
    case nil:
      return 0
    }
  }
}
