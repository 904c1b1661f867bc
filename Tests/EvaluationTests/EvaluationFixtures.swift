import Evaluation
import Foundation
import Prompts
import Settings
import Support
import Tasks

/// What scikit-learn, NumPy, SciPy and a second bootstrap say: Tests/Fixtures/evaluation, made by its make.py.
struct EvaluationOracle: Decodable {
  struct Kappa: Decodable, Sendable {
    var grades: Int
    var pairs: [[Int]]
    var value: Double?
    var seed: UInt64
    var replicates: Int
    var low, high: Double?
  }
  struct Interval: Decodable, Sendable {
    var seed: UInt64
    var level: Double
    var values: [Double]
    var mean, low, high: Double
  }
  struct Choice: Decodable, Sendable {
    var right, given: String
    var everything: Bool
    var exact, partial: Double
  }
  struct Student: Decodable, Sendable {
    var level: Double
    var degrees: Int
    var quantile: Double
  }
  struct Repeated: Decodable, Sendable {
    var values: [Double]
    var mean, deviation, low, high: Double
  }
  var kappa: [Kappa]
  var bootstrap: [Interval]
  var partial: [Choice]
  var student: [Student]
  var spread: [Repeated]

  static let shared: EvaluationOracle = {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("Fixtures/evaluation/evaluation.json")
    do {
      return try JSONDecoder().decode(EvaluationOracle.self, from: Data(contentsOf: file))
    } catch { fatalError("\(file.path): \(error)") }
  }()
}

/// Prompts that a test writes down.
struct WrittenPrompts: PromptDataset {
  var prompts: [Prompt]
  var heldOutCount: Int { prompts.count }
  func heldOutPrompt(at index: Int) -> Prompt { prompts[index] }
  func trainingPrompt(at cursor: UInt64) -> Prompt { prompts[Int(cursor) % prompts.count] }

  init(_ prompts: [Prompt]) { self.prompts = prompts }

  /// - Parameter rows: kind, reference and place of each prompt.
  init(_ rows: [(kind: String, reference: String, modality: String, domain: String)], grades: Bool = false) {
    prompts = rows.enumerated().map { index, row in
      Prompt(
        id: UInt64(index), messages: [ChatMessage(role: "user", content: "Question \(index)?")],
        reward: RewardSpecification(
          kind: row.kind, reference: row.reference, options: ["option_count": "5", "is_grade": "\(grades)"]),
        annotation: PromptAnnotation(modality: row.modality, domain: row.domain))
    }
  }
}

extension EvaluationSet {
  init(_ prompts: WrittenPrompts) { self.init(prompts, prompts: prompts.heldOutCount, settings: RunSettings()) }

  /// Answers with these words in the tags.
  func answers(_ words: [String]) -> [Answer] {
    words.enumerated().map { index, words in
      answer(index, text: "<think>So.</think><answer>\(words)</answer>", tokenCount: 9, finish: .stop)
    }
  }
}
