import Prompts

/// What a task's own rewards, `accuracy` and `format`, say of a completion, for those who measure just these two:
/// evaluations and tools. A run's rewards are those that `RewardSpecification.weights` name (`RewardSet`).
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

  /// What the scores of a task's own rewards may be, by name.
  public static let ranges: [String: ClosedRange<Float>] = [AccuracyReward.name: 0...1, FormatReward.name: 0...1]

  /// Scores one completion.
  /// - Returns: the weighted reward; accuracy, 0 ... 1; format, 0 or 1.
  public static func score(
    text: String, _ specification: RewardSpecification
  ) -> (reward: Float, accuracy: Float, format: Float) {
    let (accuracy, format) = (AccuracyReward(), FormatReward())
    let scores = accuracy.score(text, of: specification) + format.score(text, of: specification)
    func value(_ name: String) -> Float { scores.first { $0.name == name }?.value ?? 0 }
    return (specification.reward(of: scores), value(accuracy.name), value(format.name))
  }

  /// The accuracy of a completion, strictly or with what only counts in part (some of the right letters, some words of
  /// the name), whatever the task's settings say.
  public static func accuracy(
    text: String, _ specification: RewardSpecification, isStrict: Bool
  ) -> Float {
    var specification = specification
    for option in [Option.partialCredit, Option.fuzzy] { specification.options[option] = "\(!isStrict)" }
    return score(text: text, specification).accuracy
  }

  /// The grade that a completion gives, and the right one, counted from 0; nil for a question that does not ask for a
  /// grade.
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
