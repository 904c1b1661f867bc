import Evaluation
import Prompts
import Tasks
import Testing

@Suite("Scores")
struct ScoreTests {
  @Test("Kappa of grades is scikit-learn's, and its interval NumPy's over the same resamples", arguments: 0..<6)
  func kappa(index: Int) {
    let expected = EvaluationOracle.shared.kappa[index]
    let pairs = expected.pairs.map { QuadraticKappa.Pair(right: $0[0], given: $0[1], count: expected.grades) }
    let value = QuadraticKappa.value(pairs)
    let interval = Bootstrap(seed: expected.seed, replicateCount: expected.replicates)
      .interval(count: pairs.count) { QuadraticKappa.value($0.map { pairs[$0] }) }
    guard let wanted = expected.value, let low = expected.low, let high = expected.high else {
      #expect(value == nil)
      #expect(interval == nil)
      return
    }
    #expect(value.map { abs($0 - wanted) < 1e-9 } == true, "\(value ?? .nan), not \(wanted)")
    #expect(interval.map { abs($0.lowerBound - low) < 1e-9 } == true)
    #expect(interval.map { abs($0.upperBound - high) < 1e-9 } == true)
  }

  @Test("The interval of a mean is NumPy's over the same resamples", arguments: 0..<3)
  func bootstrap(index: Int) throws {
    let expected = EvaluationOracle.shared.bootstrap[index]
    let bootstrap = Bootstrap(seed: expected.seed, replicateCount: 200, level: expected.level)
    let interval = try #require(
      bootstrap.interval(count: expected.values.count) { indices in
        indices.reduce(0) { $0 + expected.values[$1] } / Double(indices.count)
      })
    #expect(abs(interval.lowerBound - expected.low) < 1e-12)
    #expect(abs(interval.upperBound - expected.high) < 1e-12)
  }

  @Test("An answer that is not a grade counts as the farthest one")
  func noGrade() {
    #expect((0..<5).map { QuadraticKappa.Pair(right: $0, given: nil, count: 5).given } == [4, 4, 4, 0, 0])
  }

  @Test("Multiple choice, exact and partial, is scikit-learn's", arguments: 0..<12)
  func multipleChoice(index: Int) {
    let expected = EvaluationOracle.shared.partial[index]
    let evaluationSet = EvaluationSet(WrittenPrompts([("multiple_choice", expected.right, "", "")]))
    let answer = evaluationSet.answers([expected.given])[0]
    var reward = answer.prompt.reward
    reward.options["option_count"] = "6"
    #expect(Double(Scorer.accuracy(text: answer.text, reward, isStrict: true)) == expected.exact)
    // All letters together say nothing.
    let partial = expected.everything && expected.exact == 0 ? 0 : expected.partial
    #expect(abs(Double(Scorer.accuracy(text: answer.text, reward, isStrict: false)) - partial) < 1e-6)
  }
}

@Suite("A scoreboard")
struct ScoreboardTests {
  private func row(
    _ board: Scoreboard, _ measure: Scoreboard.Measure, modality: String? = nil, domain: String? = nil,
    type: QuestionType? = nil
  ) throws -> Scoreboard.Row {
    let part = Scoreboard.Part(modality: modality, domain: domain, type: type)
    return try #require(board.rows.first { $0.part == part && $0.measure == measure })
  }

  private let prompts = WrittenPrompts([
    ("true_false", "A", "CFP", "in_domain"), ("true_false", "B", "CFP", "in_domain"),
    ("multiple_choice", "A, C", "CFP", "out_of_domain"), ("open_ended", "macular hole", "OCT", "in_domain"),
  ])

  @Test("has cells, margins and the whole, a value for each model, and the difference from the first")
  func parts() throws {
    let evaluationSet = EvaluationSet(prompts)
    let board = Scoreboard(
      [
        ("first", evaluationSet.answers(["A", "A", "A, B", "a hole"])),
        ("second", evaluationSet.answers(["A", "B", "A, C", "Macular hole"])),
      ], bootstrap: Bootstrap(seed: 1, replicateCount: 50))
    let cell = try row(board, .accuracy, modality: "CFP", domain: "in_domain", type: .trueFalse)
    #expect(cell.count == 2)
    #expect(cell.values.map { $0?.value } == [0.5, 1])
    #expect(cell.values[1]?.interval == 1...1)
    let choice = try row(board, .partial, modality: "CFP", domain: "out_of_domain", type: .multipleChoice)
    #expect(choice.values.compactMap { $0.map { ($0.value * 300).rounded() } } == [100, 300])
    let fuzzy = try row(board, .fuzzy, modality: "OCT", domain: "in_domain", type: .openEnded)
    #expect(fuzzy.values.compactMap { $0.map { ($0.value * 300).rounded() } } == [200, 300])
    #expect(try row(board, .accuracy, modality: "CFP").count == 3)
    #expect(try row(board, .accuracy).values.map { $0?.value } == [0.25, 1])
    #expect(try row(board, .difference).values.map { $0?.value } == [0, 0.75])
    #expect(try row(board, .difference).values[0]?.interval == 0...0)
    #expect(try row(board, .format).values.map { $0?.value } == [1, 1])
  }

  @Test("is one row of accuracy and one of format where nothing divides the evaluation set")
  func single() {
    let evaluationSet = EvaluationSet(WrittenPrompts([("number", "3", "", ""), ("number", "4", "", "")]))
    let board = Scoreboard(
      [("it", evaluationSet.answers(["3", "5"]))], bootstrap: Bootstrap(seed: 1, replicateCount: 20))
    #expect(board.rows.map(\.measure) == [.accuracy, .format])
    #expect(board.lines.count == 3)
    #expect(board.lines[0].hasPrefix("questions  n  measure"))
    #expect(board.lines[1].hasPrefix("all        2  accuracy  0.500 ["))
  }

  @Test("shows the kappa of grades, in which silence is a wrong answer")
  func grades() throws {
    let prompts = WrittenPrompts(
      (0..<5).map { ("single_choice", "\("ABCDE".map(String.init)[$0])", "CFP", "in_domain") }, grades: true)
    let evaluationSet = EvaluationSet(prompts)
    let board = Scoreboard(
      [
        ("right", evaluationSet.answers(["A", "B", "C", "D", "E"])),
        ("silent", evaluationSet.answers(["A", "B", "C", "D", ""])),
      ],
      bootstrap: Bootstrap(seed: 1, replicateCount: 50))
    let values = try #require(board.rows.first { $0.measure == .kappa }).values
    #expect(values[0]?.value == 1)
    let wrong = QuadraticKappa.value(
      [(0, 0), (1, 1), (2, 2), (3, 3), (4, 0)].map { QuadraticKappa.Pair(right: $0, given: $1, count: 5) })
    #expect(values[1]?.value == wrong)
  }

  @Test("is the same whenever it is made")
  func repeatable() {
    let evaluationSet = EvaluationSet(prompts)
    let boards = (0..<2).map { _ in
      Scoreboard(
        [("it", evaluationSet.answers(["A", "A", "A", "hole"]))], bootstrap: Bootstrap(seed: 4, replicateCount: 100))
    }
    #expect(boards[0].lines == boards[1].lines)
  }
}
