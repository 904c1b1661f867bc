import Prompts
import Tasks
import Testing

/// Two scores of which one has another name, and one that is no number.
private struct TwoScores: Reward {
  let name = "two"
  func score(_ completion: String, of prompt: RewardSpecification) -> [NamedScore] {
    [NamedScore("zeal", 0.5), NamedScore("beauty", .nan)]
  }
}

@Suite("Rewards score by name")
struct RewardTests {
  private static let right = "<think>x</think><answer>5</answer>"

  @Test("A prompt is scored by the rewards that its weights name, in ascending order of names")
  func builtIn() {
    var prompt = RewardSpecification(kind: "number", reference: "5", weights: ["format": 0.1, "accuracy": 1])
    #expect(
      RewardSet.builtIn.scores(of: Self.right, for: prompt) == [NamedScore("accuracy", 1), NamedScore("format", 1)])
    prompt.weights = ["format": 1]
    #expect(RewardSet.builtIn.scores(of: "5", for: prompt) == [NamedScore("format", 0)])
    prompt.weights = [:]
    #expect(RewardSet.builtIn.scores(of: Self.right, for: prompt).isEmpty)
  }

  @Test("The built-in rewards say what the scorer says, in any text")
  func scorer() {
    let prompt = RewardSpecification(kind: "number", reference: "5", weights: ["accuracy": 0.7, "format": 0.1])
    for text in [Self.right, "<answer>5</answer>", "<think>x</think><answer>6</answer>", "5", ""] {
      let scores = RewardSet.builtIn.scores(of: text, for: prompt)
      let expected = Scorer.score(text: text, prompt)
      #expect(scores.map(\.value) == [expected.accuracy, expected.format])
      #expect(prompt.reward(of: scores) == 0.7 * expected.accuracy + 0.1 * expected.format)
      #expect(prompt.reward(of: scores) == expected.reward)
    }
  }

  @Test("A reward that nobody has, and a score that is no number, are failures with a cause and not zeros")
  func failures() {
    let prompt = RewardSpecification(kind: "number", reference: "5", weights: ["two": 1, "judge": 2, "zeal": 3])
    let scores = RewardSet([TwoScores()]).scores(of: Self.right, for: prompt)
    #expect(scores.map(\.name) == ["beauty", "judge", "zeal"])
    #expect(scores.map(\.value) == [nil, nil, 0.5])
    #expect(scores.map(\.cause.isEmpty) == [false, false, true])
    #expect(prompt.reward(of: scores) == 1.5)
  }

  @Test("The reward is the weighted sum of the scores that are numbers")
  func weightedSum() {
    let prompt = RewardSpecification(kind: "", reference: "", weights: ["a": 2, "b": 10, "c": 0])
    #expect(prompt.reward(of: [NamedScore("a", 0.25), NamedScore("b", failed: "timeout"), NamedScore("c", 7)]) == 0.5)
    #expect(prompt.reward(of: [NamedScore("d", 1)]) == 0)
    #expect(prompt.reward(of: []) == 0)
  }
}
