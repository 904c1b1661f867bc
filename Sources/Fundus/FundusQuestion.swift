/// A question about a scene with its right answer and the reasoning that leads there.
public struct FundusQuestion: Equatable, Sendable {
  public let family: QuestionFamily
  /// The vignette, if there is one, and the question, without its options.
  public let stem: String
  /// Empty for open-ended questions.
  public let options: [String]
  /// A letter, letters joined by commas, or a name.
  public let answer: String
  /// Short, and true of the scene; ends with the answer.
  public let reasoning: String

  /// The question with its options below: "\nA. True\nB. False".
  public var text: String {
    options.enumerated().reduce(stem) { "\($0)\n\(Self.letter($1.offset)). \($1.element)" }
  }

  static func letter(_ index: Int) -> String { String(UnicodeScalar(UInt8(ascii: "A") + UInt8(index))) }
}
