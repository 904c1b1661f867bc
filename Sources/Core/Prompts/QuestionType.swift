/// What is asked, which decides how an answer is judged; the raw value is `RewardSpecification.kind`.
public enum QuestionType: String, Sendable, CaseIterable {
  /// The last number of the answer, compared as a decimal.
  case number
  /// One option letter.
  case trueFalse = "true_false"
  /// One option letter.
  case singleChoice = "single_choice"
  /// Option letters separated by commas, in any order.
  case multipleChoice = "multiple_choice"
  /// The name of a disease or another entity.
  case openEnded = "open_ended"
}
