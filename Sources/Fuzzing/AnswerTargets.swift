import Evaluation
import Prompts
import Settings
import Support
import Tasks

/// Outside bytes that an evaluation or a resumed run reads: a server's answers, a journal.
extension FuzzTarget {
  static let answers = [chat, journal]

  /// A byte that chooses, and a server's body: its list of models, or its answer to a held-out prompt.
  private static let chat = FuzzTarget("chat") { bytes in
    var input = FuzzInput(bytes)
    let isList = input.byte() % 2 == 0
    let body = input.remainder()
    promise(isOneLine(ChatEndpoint.excerpt(body)), "an error is one line")
    let json = try JSON.parse(body, place: "http://server/v1")
    if isList {
      guard let name = ChatAnswer.firstModel(json) else { throw refusal("a list of models") }
      promise(isOneLine(name), "a model's name fits a table")
    } else {
      guard let said = ChatAnswer(json) else { throw refusal("an answer") }
      let answer = evaluationSet.answer(0, text: said.text, tokenCount: said.tokenCount, finish: said.finish)
      promise([answer].metrics.values.allSatisfy { $0.isFinite && $0 >= 0 }, "measurements are numbers")
      let board = Scoreboard([("server", [answer])], bootstrap: Bootstrap(seed: 1, replicateCount: 2))
      promise(board.lines.allSatisfy(isOneLine), "a table has lines")
    }
  }

  private static let journal = FuzzTarget("journal", JournalUnderFuzz.run)

  private static let evaluationSet: EvaluationSet = {
    do {
      return EvaluationSet(try makeDataset(TaskSettings(), seed: 1), prompts: 1, settings: RunSettings())
    } catch { fatalError("\(error)") }
  }()

  private static func refusal(_ expected: String) -> InputError {
    InputError("ask a server", at: "http://server/v1", expected: expected, found: "something else")
  }

  private static func isOneLine(_ text: String) -> Bool {
    text.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control }
  }
}
