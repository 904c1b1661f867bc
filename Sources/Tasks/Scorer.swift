import Prompts

/// The rewards of a completion. Pure, linear in the text, and total: any text gets a score.
///
/// Only the answer block scores; without exactly one, accuracy is 0. Empty answers and answers that repeat every option are 0.
public enum Scorer {
  /// The names of `RewardSpecification.options`.
  enum Option {
    /// multiple_choice: "true" counts the letters that are right among all that are given or wanted.
    static let partialCredit = "partial_credit"
    /// open_ended: "true" counts token F1.
    static let fuzzy = "fuzzy"
    /// single_choice: "true" where the options are grades of one thing, from the lowest.
    static let isGrade = "is_grade"
    /// Choices: the number of options.
    static let optionCount = "option_count"
    /// open_ended: other right answers, one a line.
    static let aliases = "aliases"
  }

  /// Scores one completion.
  /// - Returns: the weighted reward; accuracy, 0 ... 1; format, 0 or 1. A kind that this program does not know has accuracy 0.
  public static func score(
    text: String, _ specification: RewardSpecification
  ) -> (reward: Float, accuracy: Float, format: Float) {
    let response = Response(text)
    let format: Float = response.isWellFormed ? 1 : 0
    let accuracy = response.answer.map { Float(Self.accuracy(of: $0, specification)) } ?? 0
    return (specification.accuracyWeight * accuracy + specification.formatWeight * format, accuracy, format)
  }

  /// The accuracy of a completion, strictly or with what only counts in part (some of the right letters, some words of the
  /// name), whatever the task's settings say.
  public static func accuracy(
    text: String, _ specification: RewardSpecification, isStrict: Bool
  ) -> Float {
    var specification = specification
    for option in [Option.partialCredit, Option.fuzzy] { specification.options[option] = "\(!isStrict)" }
    return score(text: text, specification).accuracy
  }

  /// The grade that a completion gives, and the right one, counted from 0; nil for a question that does not ask for a grade.
  /// - Returns: `given` is nil for an answer that is no grade.
  public static func grade(
    text: String, _ specification: RewardSpecification
  ) -> (given: Int?, right: Int, count: Int)? {
    func index(_ answer: String?) -> Int? {
      guard let letters = answer.flatMap({ optionLetters($0) }), letters.count == 1 else { return nil }
      return Int(letters[0] - UInt8(ascii: "A"))
    }
    guard specification.options[Option.isGrade] == "true", let right = index(specification.reference),
      let count = specification.options[Option.optionCount].flatMap({ Int($0) }), right < count
    else { return nil }
    return (index(Response(text).answer).flatMap { $0 < count ? $0 : nil }, right, count)
  }

  private static func accuracy(of answer: String, _ specification: RewardSpecification) -> Double {
    func isOn(_ option: String) -> Bool { specification.options[option] == "true" }
    switch QuestionType(rawValue: specification.kind) {
    case .number:
      let wanted = DecimalNumber.last(in: specification.reference)
      return wanted != nil && DecimalNumber.last(in: answer) == wanted ? 1 : 0
    case .trueFalse, .singleChoice:
      let letters = optionLetters(answer)
      return letters?.count == 1 && letters == optionLetters(specification.reference) ? 1 : 0
    case .multipleChoice:
      guard let given = optionLetters(answer).map(Set.init),
        let wanted = optionLetters(specification.reference).map(Set.init)
      else { return 0 }
      if given == wanted { return 1 }
      let optionCount = specification.options[Option.optionCount].flatMap { Int($0) } ?? 26
      guard isOn(Option.partialCredit), given.count < optionCount else { return 0 }
      return Double(given.intersection(wanted).count) / Double(given.union(wanted).count)
    case .openEnded:
      let accepted =
        [specification.reference]
        + (specification.options[Option.aliases] ?? "").split(separator: "\n")
        .map(String.init)
      let pairs = EntityName.readings(of: answer).flatMap { given in
        accepted.flatMap { EntityName.readings(of: $0) }.map { (given, $0) }
      }
      if pairs.contains(where: { $0.isSame(as: $1) }) { return 1 }
      return isOn(Option.fuzzy) ? pairs.map { $0.overlap(with: $1) }.max() ?? 0 : 0
    case nil:
      return 0
    }
  }

  /// The option letters of "B", "(b).", "A, C"; nil when any part between commas is something else.
  static func optionLetters(_ text: String) -> [UInt8]? {
    var letters: [UInt8] = []
    for part in text.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
      let core = part.filter { !" \t\r\n().:[]*\"'`".utf8.contains($0) }
      guard core.count == 1, let letter = core.first.map({ $0 & 0xDF }),
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(letter)
      else { return nil }
      letters.append(letter)
    }
    return letters
  }
}
