import Prompts
import Support
import Tasks
import Testing

private func accuracy(
  _ answer: String, _ kind: QuestionType, _ reference: String, _ options: [String: String] = [:]
) -> Float {
  Scorer.score(
    text: "<think>x</think><answer>\(answer)</answer>",
    RewardSpecification(kind: kind.rawValue, reference: reference, options: options)
  ).accuracy
}

@Suite struct FormatTests {
  static let number = RewardSpecification(kind: "number", reference: "5", weights: ["accuracy": 1, "format": 0.1])

  @Test(
    "Only the answer block scores, and only the whole format counts",
    arguments: [
      ("<think>2 + 3</think><answer>5</answer>", Float(1), Float(1)),
      ("  <think>2 + 3</think>\n<answer>5</answer>\n", 1, 1),
      ("<think></think><answer>5</answer>", 1, 1),
      ("<think>a < b > c</think><answer>5</answer>", 1, 1),
      // Right, but not in the form.
      ("<answer>5</answer>", 1, 0),
      ("So: <think>x</think><answer>5</answer>", 1, 0),
      ("<think>x</think> so <answer>5</answer>", 1, 0),
      ("<think>x</think><answer>5</answer> done", 1, 0),
      ("<think>x</think><think>y</think><answer>5</answer>", 1, 0),
      ("x</think><answer>5</answer>", 1, 0),
      ("<answer>5</answer><think>x</think>", 1, 0),
      // In the form, but wrong.
      ("<think>5</think><answer>6</answer>", 0, 1),
      ("<think>5</think><answer></answer>", 0, 1),
      ("<think>5</think><answer> \n </answer>", 0, 1),
      // Neither.
      ("", 0, 0),
      ("5", 0, 0),
      ("The answer is 5", 0, 0),
      ("<think>5</think>", 0, 0),
      ("<think>5</think><answer>5", 0, 0),
      ("<think>5</think>5</answer>", 0, 0),
      ("<think>x</think><answer>6</answer> 5", 0, 0),
      ("<think>x</think><answer>5</answer><answer>5</answer>", 0, 0),
      ("<think>x</think><answer>6</answer><answer>5</answer>", 0, 0),
      ("<answer>1</answer><think>x</think><answer>5</answer>", 0, 0),
      ("<think>x</think><answer><answer>5</answer></answer>", 0, 0),
      ("<think><answer>5</answer></think>", 0, 0),
      ("<think>x<answer>5</answer>", 0, 0),
      ("<think>x</think><answer><think>5</think></answer>", 0, 0),
      ("</answer>5<answer>", 0, 0),
      ("<THINK>x</THINK><ANSWER>5</ANSWER>", 0, 0),
      ("<think>x</think><answer\u{301}>5</answer>", 0, 0),
      ("<think >x</think><answer>5</answer >", 0, 0),
      ("<think>x</think><answer>5</answer></answer>", 0, 0),
      ("< answer>5</answer>", 0, 0),
    ])
  func onlyTheAnswerBlockScoresAndOnlyTheWholeFormCounts(_ text: String, _ accuracy: Float, _ format: Float) {
    let score = Scorer.score(text: text, Self.number)
    #expect(score.accuracy == accuracy)
    #expect(score.format == format)
    #expect(score.reward == accuracy + 0.1 * format)
  }

  @Test("A combining mark after a tag hides nothing")
  func aCombiningMarkAfterATagHidesNothing() {
    let text = "<think>x</think><answer>\u{301}6</answer>\u{301}<answer>5</answer>"
    #expect(Scorer.score(text: text, Self.number).accuracy == 0)
  }

  @Test("Any text gets a score in linear time")
  func anyTextGetsAScoreInLinearTime() {
    var random = RandomStream(seed: 3, purpose: .test)
    let pieces = [
      "<think>", "</think>", "<answer>", "</answer>", "5", "-", ",", ".", "e9", "A", "\u{0}", "🙂", "\u{301}", "<",
    ]
    for _ in 0..<2000 {
      let text = (0..<random.integer(below: 12)).map { _ in pieces.randomElement(using: &random)! }.joined()
      for kind in QuestionType.allCases {
        let options = ["fuzzy": "true", "partial_credit": "true", "option_count": "3"]
        let score = Scorer.score(
          text: text, RewardSpecification(kind: kind.rawValue, reference: "A", options: options))
        #expect((0...1).contains(score.accuracy))
        #expect(score.format == 0 || score.format == 1)
      }
    }
    for piece in ["<", "<answer>", "5", "1,234", "A,", "(", "e1", "word "] {
      let text = "<answer>" + String(repeating: piece, count: 50_000) + "</answer>"
      for kind in QuestionType.allCases {
        _ = Scorer.score(text: text, RewardSpecification(kind: kind.rawValue, reference: "A"))
      }
    }
  }

  @Test("An unknown kind or an empty reference is never right")
  func anUnknownKindOrReferenceIsNeverRight() {
    let text = "<think>x</think><answer></answer>"
    for kind in ["", "essay", "number", "open_ended", "single_choice", "multiple_choice"] {
      let score = Scorer.score(
        text: text, RewardSpecification(kind: kind, reference: "", weights: ["accuracy": 1, "format": 1]))
      #expect(score.accuracy == 0)
      #expect(score.reward == 1)
    }
  }
}

@Suite struct AccuracyTests {
  @Test(
    "Numbers are compared as decimals",
    arguments: [
      ("5", "5", true), ("5.0", "5", true), ("05", "5", true), ("5.", "5", true), ("+5", "5", true),
      ("5", "5.00", true),
      ("1,000", "1000", true), ("1000.0", "1,000", true), ("$5", "5", true), ("5%", "5", true), ("€5", "5", true),
      ("5 apples", "5", true), ("It is 5.", "5", true), ("2 + 3 = 5", "5", true), ("#### 5", "5", true),
      ("-7", "-7", true), ("\u{2212}7", "-7", true), ("-$7", "-7", true), ("$-7", "-7", true), ("= -7", "-7", true),
      ("12-7", "7", true), ("12 - 7", "7", true), ("(3)-7", "7", true), ("-0", "0", true), ("0.0", "0", true),
      (".5", "0.5", true), ("0.30", "0.3", true), ("1e3", "1000", true), ("1.5E-2", "0.015", true),
      ("1,234,567.50", "1234567.5", true), ("12,345", "12345", true),
      ("123456789012345678901234567890", "123456789012345678901234567890", true),
      ("123456789012345678901234567891", "123456789012345678901234567890", false),
      ("0.1000000000000000055511151231257827", "0.1", false),
      ("7", "-7", false), ("-7", "7", false), ("5", "50", false), ("0.5", "5", false), ("5 6", "5", false),
      ("1,0000", "10000", false), ("1,00", "100", false), ("1e3", "3", false), ("1e99999", "1", false),
      ("five", "5", false), ("", "5", false), ("-", "0", false), ("...", "0", false), ("e5", "0", false),
      ("\u{0665}", "5", false), ("1/2", "0.5", false),
    ])
  func numbersAreComparedAsDecimals(_ answer: String, _ reference: String, _ isRight: Bool) {
    #expect(accuracy(answer, .number, reference) == (isRight ? 1 : 0))
  }

  @Test(
    "A single choice is one letter",
    arguments: [
      ("B", true), ("b", true), (" B \n", true), ("(B)", true), ("B.", true), ("**B**", true), ("B:", true),
      ("A", false), ("", false), ("A, B", false), ("B, B", false), ("AB", false), ("A,B,C,D", false), ("A or B", false),
      ("B. Glaucoma", false), ("Glaucoma", false), ("Β", false), ("2", false), (",B", false), (".", false),
    ])
  func aSingleChoiceIsOneLetter(_ answer: String, _ isRight: Bool) {
    #expect(accuracy(answer, .singleChoice, "B", ["option_count": "4"]) == (isRight ? 1 : 0))
    #expect(accuracy(answer, .trueFalse, "B", ["option_count": "2"]) == (isRight ? 1 : 0))
  }

  @Test(
    "Multiple choice compares sets of letters",
    arguments: [
      // answer, all or nothing, with partial credit
      ("A,C", 1, 1), ("c, a", 1, 1), ("(A), (C).", 1, 1), ("A,C,A", 1, 1),
      ("A", 0, 0.5), ("A,B", 0, 1.0 / 3), ("A,B,C", 0, 2.0 / 3), ("B", 0, 0), ("B,D", 0, 0),
      ("A,B,C,D", 0, 0), ("A,B,C,D,E", 0, 0), ("", 0, 0), ("AC", 0, 0), ("A;C", 0, 0), ("A,", 0, 0), ("A and C", 0, 0),
    ] as [(String, Float, Float)])
  func multipleChoiceComparesSets(_ answer: String, _ strict: Float, _ partial: Float) {
    #expect(accuracy(answer, .multipleChoice, "A, C", ["option_count": "4"]) == strict)
    #expect(accuracy(answer, .multipleChoice, "A, C", ["option_count": "4", "partial_credit": "true"]) == partial)
  }

  @Test(
    "An empty answer, a wrong letter, and every option at once score nothing, however lenient the scoring",
    arguments: [QuestionType.trueFalse, .singleChoice, .multipleChoice])
  func nothingIsGivenForNothing(_ type: QuestionType) {
    let count = type == .trueFalse ? 2 : 4
    let letters = "ABCD".prefix(count).map(String.init)
    let options = ["option_count": "\(count)", "partial_credit": "true", "fuzzy": "true"]
    let everything = [
      letters.joined(separator: ","), letters.reversed().joined(separator: ", "),
      letters.joined(separator: ",").lowercased(), (letters + letters).joined(separator: ","),
      letters.map { "(\($0))." }.joined(separator: ", "), letters.joined(), letters.joined(separator: " "),
      letters.joined(separator: "\n"), (letters + ["E"]).joined(separator: ","),
    ]
    for answer in ["", " ", "\n\t", ",", ",,", "B", "E", "Z", "\u{0391}"] + everything {
      #expect(accuracy(answer, type, "A", options) == 0, "\(answer)")
    }
    #expect(accuracy("A", type, "A", options) == 1)
  }

  @Test("All options are right when they are the answer")
  func allOptionsAreRightWhenTheyAreTheAnswer() {
    #expect(accuracy("A,B,C", .multipleChoice, "A, B, C", ["option_count": "3", "partial_credit": "true"]) == 1)
  }

  @Test(
    "Names are compared in normal form",
    arguments: [
      ("Diabetic retinopathy", "diabetic retinopathy", true),
      ("The diabetic-retinopathy.", "Diabetic Retinopathy", true),
      ("DR", "diabetic retinopathy", true), ("diabetic retinopathy", "DR", true),
      ("AMD", "age-related macular degeneration", true),
      ("Severe NPDR", "severe non-proliferative diabetic retinopathy", true),
      ("Primary open-angle glaucoma (POAG)", "POAG", true), ("Stargardt's disease", "Stargardt disease", true),
      ("Sjogren syndrome", "Sjögren syndrome", true), ("macular oedema", "macular edema", true),
      ("VKH", "Vogt-Koyanagi-Harada", true),
      ("glaucoma", "cataract", false), ("glaucoma or cataract", "glaucoma", false), ("not glaucoma", "glaucoma", false),
      ("glaucoma (cataract)", "cataract", false), ("", "glaucoma", false), ("the", "glaucoma", false),
      ("()", "glaucoma", false),
      ("retinopathy", "diabetic retinopathy", false),
    ])
  func namesAreComparedNormalised(_ answer: String, _ reference: String, _ isRight: Bool) {
    #expect(accuracy(answer, .openEnded, reference) == (isRight ? 1 : 0))
  }

  @Test("Aliases count as the name")
  func aliasesCountAsTheName() {
    let options = ["aliases": "choked disc\npapilloedema"]
    #expect(accuracy("Choked disc", .openEnded, "papilledema", options) == 1)
    #expect(accuracy("disc", .openEnded, "papilledema", options) == 0)
  }

  @Test(
    "Fuzzy accuracy is token F1",
    arguments: [
      ("diabetic retinopathy", 1), ("retinopathy", 2.0 / 3), ("proliferative diabetic retinopathy", 0.8),
      ("retinopathy retinopathy retinopathy", 0.4), ("glaucoma", 0), ("", 0),
    ] as [(String, Float)])
  func fuzzyIsTokenF1(_ answer: String, _ expected: Float) {
    let score = accuracy(answer, .openEnded, "diabetic retinopathy", ["fuzzy": "true"])
    #expect(abs(score - expected) < 1e-6)
  }
}
