import Evaluation
import Support

/// The figures of a model on an evaluation set, as they are kept in a file, so that the model is asked once.
public struct EvaluationRecord: Equatable, Sendable {
  /// The model's folder or file.
  public var model: String
  /// The number of prompts asked.
  public var prompts: Int
  public var figures: [Figure]

  public init(model: String, prompts: Int, figures: [Figure]) {
    self.model = model
    self.prompts = prompts
    self.figures = figures
  }

  /// - Returns: nil for anything but such a record.
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
