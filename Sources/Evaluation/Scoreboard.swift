import Prompts
import Tasks

/// The scores of any number of models on one evaluation set: a row for each part of the set and each measure, a value
/// with its interval for each model.
///
/// Parts are the cells of modality, domain and question type, the margins of each of the three, and the whole. Measures
/// are accuracy; of multiple choice exact and partial, of open-ended questions exact and fuzzy, of grades the quadratic
/// weighted kappa. All answers are to the same prompts, in the same order.
public struct Scoreboard: Sendable {
  public enum Measure: String, Sendable {
    case accuracy
    case exact
    /// Right letters among all that are given or wanted.
    case partial
    /// Token F1 of the name.
    case fuzzy
    case kappa = "quadratic kappa"
    case format
    /// The difference in accuracy from the first model, on the same resampled prompts.
    case difference
  }

  /// A part of the evaluation set; nil is any.
  public struct Part: Hashable, Sendable {
    public var modality: String?
    public var domain: String?
    public var type: QuestionType?

    public init(modality: String? = nil, domain: String? = nil, type: QuestionType? = nil) {
      self.modality = modality
      self.domain = domain
      self.type = type
    }
  }

  public struct Value: Equatable, Sendable {
    public var value: Double
    public var interval: ClosedRange<Double>
  }

  public struct Row: Sendable {
    public var part: Part
    public var measure: Measure
    /// Prompts.
    public var count: Int
    /// One for each model; nil where the measure is not defined.
    public var values: [Value?]
  }

  public let models: [String]
  public private(set) var rows: [Row] = []
  private let answers: [[Answer]]
  public let bootstrap: Bootstrap

  /// - Parameter results: of at least one model, all of equal length.
  public init(_ results: [(name: String, answers: [Answer])], bootstrap: Bootstrap) {
    precondition(Set(results.map(\.answers.count)).count == 1, "models with different numbers of answers")
    models = results.map(\.name)
    answers = results.map(\.answers)
    self.bootstrap = bootstrap
    for part in Self.parts(answers[0].map(\.prompt)) { add(part) }
  }

  /// Cells first, then margins that hold more than one cell, then the whole.
  private static func parts(_ prompts: [Prompt]) -> [Part] {
    let cells = prompts.compactMap { prompt in
      QuestionType(rawValue: prompt.reward.kind).map {
        Part(
          modality: prompt.annotation.modality ?? "", domain: prompt.annotation.domain ?? "", type: $0)
      }
    }
    func distinct(_ parts: [Part]) -> [Part] {
      let order: (Part) -> String = { "\($0.modality ?? "~")\t\($0.domain ?? "~")\t\($0.type?.rawValue ?? "~")" }
      return Set(parts).sorted { order($0) < order($1) }
    }
    let distinctCells = distinct(cells)
    let margins: [[Part]] = [
      distinct(cells.map { Part(modality: $0.modality) }), distinct(cells.map { Part(domain: $0.domain) }),
      distinct(cells.map { Part(type: $0.type) }),
    ]
    let isTable = distinctCells.count > 1
    return (isTable ? distinctCells : [])
      + margins.flatMap { $0.count > 1 && $0.count < distinctCells.count ? $0 : [] } + [Part()]
  }

  private mutating func add(_ part: Part) {
    let indices = answers[0].indices.filter { part.contains(answers[0][$0].prompt) }
    let types = Set(indices.map { answers[0][$0].prompt.reward.kind }.map { QuestionType(rawValue: $0) })
    func measure(_ name: Measure, _ value: @escaping (Answer) -> Double) {
      addMeans(part, name, answers.map { answers in indices.map { value(answers[$0]) } })
    }
    func accuracy(isStrict: Bool) -> (Answer) -> Double {
      { Double(Scorer.accuracy(text: $0.text, $0.prompt.reward, isStrict: isStrict)) }
    }
    switch types.count == 1 ? types.first! : nil {
    case .multipleChoice:
      measure(.exact, accuracy(isStrict: true))
      measure(.partial, accuracy(isStrict: false))
    case .openEnded:
      measure(.exact, accuracy(isStrict: true))
      measure(.fuzzy, accuracy(isStrict: false))
    default: measure(.accuracy, accuracy(isStrict: true))
    }
    if part.type != nil || types.count == 1 { addKappa(part, indices) }
    guard part == Part() else { return }
    measure(.format) { Double($0.format) }
    if models.count > 1 {
      let scores = answers.map { $0.map(accuracy(isStrict: true)) }
      addMeans(part, .difference, scores.map { mine in zip(mine, scores[0]).map { $0 - $1 } })
    }
  }

  private mutating func addMeans(_ part: Part, _ measure: Measure, _ values: [[Double]]) {
    rows.append(
      Row(
        part: part, measure: measure, count: values[0].count,
        values: values.map { values in
          let count = Double(values.count)
          return bootstrap.interval(count: values.count) { $0.reduce(0) { $0 + values[$1] } / count }.map {
            Value(value: values.reduce(0, +) / count, interval: $0)
          }
        }))
  }

  private mutating func addKappa(_ part: Part, _ indices: [Int]) {
    let pairs = answers.map { answers in
      indices.compactMap { index in
        Scorer.grade(text: answers[index].text, answers[index].prompt.reward).map {
          QuadraticKappa.Pair(right: $0.right, given: $0.given, count: $0.count)
        }
      }
    }
    guard !pairs[0].isEmpty else { return }
    rows.append(
      Row(
        part: part, measure: .kappa, count: pairs[0].count,
        values: pairs.map { pairs in
          guard let value = QuadraticKappa.value(pairs),
            let interval = bootstrap.interval(
              count: pairs.count, of: { QuadraticKappa.value($0.lazy.map { pairs[$0] }) })
          else { return nil }
          return Value(value: value, interval: interval)
        }))
  }
}

extension Scoreboard.Part {
  fileprivate func contains(_ prompt: Prompt) -> Bool {
    (modality == nil || modality == prompt.annotation.modality ?? "")
      && (domain == nil || domain == prompt.annotation.domain ?? "")
      && (type == nil || type?.rawValue == prompt.reward.kind)
  }
}
