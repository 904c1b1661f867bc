import Prompts
import Support
import Tasks

/// A named measurement of one model or one run. Names are those of a table's rows; docs/COMMANDS.md tells them.
public struct Figure: Equatable, Sendable {
  /// What the names of accuracies begin with: of the whole exam, and "accuracy basic" and so on of its parts.
  static let accuracy = "accuracy"

  public var name: String
  public var value: Double

  public init(_ name: String, _ value: Double) {
    self.name = name
    self.value = value
  }
}

extension [Answer] {
  /// The accuracy of the whole exam and of each domain, question type and modality, where it has several, strictly as in a
  /// `Scoreboard`; then the share of answers in the form, and the mean length of an answer.
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

/// What a model got in an exam, as it is kept in a file, so that it is asked once.
public struct ExamRecord: Equatable, Sendable {
  /// Its folder or file.
  public var model: String
  /// Prompts asked.
  public var prompts: Int
  public var figures: [Figure]

  public init(model: String, prompts: Int, figures: [Figure]) {
    self.model = model
    self.prompts = prompts
    self.figures = figures
  }

  /// - Returns: nil for what is no such record.
  public init?(_ json: JSON) {
    guard let model = json["model"]?.string, let prompts = json["prompts"]?.int, let rows = json["figures"]?.array
    else { return nil }
    let figures = rows.compactMap { row in
      row["name"]?.string.flatMap { name in row["value"]?.double.map { Figure(name, $0) } }
    }
    guard figures.count == rows.count else { return nil }
    self.init(model: model, prompts: prompts, figures: figures)
  }

  public var json: JSON {
    .object([
      "model": .string(model), "prompts": .integer(Int64(prompts)),
      "figures": .array(figures.map { .object(["name": .string($0.name), "value": .number($0.value)]) }),
    ])
  }
}
