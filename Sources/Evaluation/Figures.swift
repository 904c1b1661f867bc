import Prompts
import Tasks

/// A named measurement of one model or one run. Names are those of a table's rows; docs/COMMANDS.md explains them.
public struct Figure: Equatable, Sendable {
  /// What the names of accuracies begin with: of the whole evaluation set, and "accuracy basic" and so on of its parts.
  package static let accuracy = "accuracy"

  public var name: String
  public var value: Double

  public init(_ name: String, _ value: Double) {
    self.name = name
    self.value = value
  }
}

extension [Answer] {
  /// The accuracy of the whole evaluation set and of each domain, question type and modality, where it has several,
  /// strictly as in a `Scoreboard`; then the share of answers in the form, and the mean length of an answer.
  public var figures: [Figure] {
    func mean(_ answers: [Answer], _ value: (Answer) -> Double) -> Double {
      answers.reduce(0) { $0 + value($1) } / Double(Swift.max(1, answers.count))
    }
    func accuracy(_ answers: [Answer]) -> Double {
      mean(answers) { Double(Scorer.accuracy(text: $0.text, $0.prompt.reward, isStrict: true)) }
    }
    var figures = [Figure(Figure.accuracy, accuracy(self))]
    let margins: [(Answer) -> String] = [
      { $0.prompt.annotation.domain ?? "" }, { $0.prompt.reward.kind }, { $0.prompt.annotation.modality ?? "" },
    ]
    for margin in margins {
      let parts = Dictionary(grouping: self, by: margin).filter { !$0.key.isEmpty }
      guard parts.count > 1 else { continue }
      for (name, answers) in parts.sorted(by: { $0.key < $1.key }) {
        figures.append(Figure("\(Figure.accuracy) \(name)", accuracy(answers)))
      }
    }
    figures.append(Figure("format", mean(self) { Double($0.format) }))
    figures.append(Figure("completion tokens", mean(self) { Double($0.tokenCount ?? 0) }))
    return figures
  }
}
