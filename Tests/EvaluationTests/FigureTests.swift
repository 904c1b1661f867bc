import Evaluation
import Foundation
import Support
import Testing

private func isNear(_ value: Double?, _ expected: Double) -> Bool {
  value.map { abs($0 - expected) <= 1e-9 * max(1, abs(expected)) } ?? false
}

@Suite("The spread of repeated measurements")
struct SpreadTests {
  @Test("Quantiles of Student's t are SciPy's")
  func student() {
    #expect(EvaluationOracle.shared.student.count == 36)
    for expected in EvaluationOracle.shared.student {
      let value = StudentT.quantile(level: expected.level, degrees: expected.degrees)
      #expect(isNear(value, expected.quantile), "\(expected): \(value)")
    }
  }

  @Test("Mean, deviation and interval are SciPy's", arguments: 0..<4)
  func interval(index: Int) throws {
    let expected = EvaluationOracle.shared.spread[index]
    let spread = try #require(Spread(expected.values))
    #expect(spread.count == expected.values.count)
    #expect(isNear(spread.mean, expected.mean))
    #expect(isNear(spread.deviation, expected.deviation))
    let interval = try #require(spread.interval)
    #expect(isNear(interval.lowerBound, expected.low))
    #expect(isNear(interval.upperBound, expected.high))
  }

  @Test("One measurement has no interval, equal ones have one of no width, and none is no spread")
  func few() throws {
    let one = try #require(Spread([0.5]))
    #expect(one.mean == 0.5)
    #expect(one.deviation == nil)
    #expect(one.interval == nil)
    #expect(Spread([0.25, 0.25, 0.25])?.interval == 0.25...0.25)
    #expect(Spread([]) == nil)
    #expect(Spread([1, .nan]) == nil)
    #expect(Spread([.infinity]) == nil)
  }
}

@Suite("The figures of an evaluation")
struct FigureTests {
  private func names(_ figures: [Figure]) -> [String] { figures.map(\.name) }

  @Test("are strict, and divided by domain and type, where there are several")
  func parts() {
    let prompts = WrittenPrompts([
      ("single_choice", "A", "CFP", "basic"), ("single_choice", "B", "CFP", "basic"),
      ("multiple_choice", "A, C", "CFP", "complex"), ("multiple_choice", "B, C", "CFP", "complex"),
    ])
    var answers = EvaluationSet(prompts).answers(["A", "C", "A", "C, B"])
    answers[0].tokenCount = 19
    let values = Dictionary(uniqueKeysWithValues: answers.figures.map { ($0.name, $0.value) })
    #expect(
      names(answers.figures) == [
        "accuracy", "accuracy basic", "accuracy complex", "accuracy multiple_choice", "accuracy single_choice",
        "format", "completion tokens",
      ])
    #expect(values["accuracy"] == 0.5)
    #expect(values["accuracy basic"] == 0.5)
    #expect(values["accuracy complex"] == 0.5)
    #expect(values["format"] == 1)
    #expect(values["completion tokens"] == 11.5)
  }

  @Test("of a task without parts are three")
  func whole() {
    let answers = EvaluationSet(WrittenPrompts([("number", "3", "", ""), ("number", "4", "", "")])).answers(["3", "5"])
    #expect(names(answers.figures) == ["accuracy", "format", "completion tokens"])
    #expect(answers.figures[0].value == 0.5)
  }
}
