import Prompts
import Support

/// The built-in task: sums, differences and products of whole numbers, as hard as the settings say.
///
/// Training problems are drawn anew for every cursor from those that are not held out. The held-out problems and the worked
/// examples are the same for every seed.
struct ArithmeticDataset: PromptDataset {
  /// Short, because every prompt token is computed for every group; the examples carry the format.
  static let systemPrompt = "Answer as <think>working</think><answer>number</answer>."
  /// Distinct held-out problems at most.
  static let heldOutCountMax = 1024

  private let settings: TaskSettings
  private let seed: UInt64
  private let template: PromptTemplate
  private let heldOut: [ArithmeticProblem]
  private let examples: [ArithmeticProblem]
  /// What a cursor gets when no draw of its stream can be used.
  private let fallback: ArithmeticProblem

  init(_ settings: TaskSettings, seed: UInt64) throws {
    func refusal(_ key: String, expected: String, found: String) -> InputError {
      InputError("make dataset", at: "task.\(key)", expected: expected, found: found)
    }
    guard (2...8).contains(settings.terms) else {
      throw refusal("terms", expected: "2 ... 8", found: "\(settings.terms)")
    }
    guard (2...1_000_000).contains(settings.largestOperand) else {
      throw refusal("largest_operand", expected: "2 ... 1000000", found: "\(settings.largestOperand)")
    }
    guard !settings.operations.isEmpty, settings.operations.allSatisfy({ "+-*".contains($0) }) else {
      throw refusal("operations", expected: "characters of + - *", found: settings.operations)
    }
    var largest = settings.largestOperand
    for _ in 1..<settings.terms where settings.operations.contains("*") {
      let (product, overflows) = largest.multipliedReportingOverflow(by: settings.largestOperand)
      guard !overflows, product <= Int.max / 8 else {
        throw refusal(
          "largest_operand", expected: "products of \(settings.terms) operands that fit 60 bits",
          found: "\(settings.largestOperand)")
      }
      largest = product
    }

    let share = HeldOutShare(share: settings.heldOutShare)
    let operations = Array(settings.operations)
    var random = RandomStream(seed: 0, purpose: .data, .max, .max)
    var seen: Set<String> = []
    var heldOut: [ArithmeticProblem] = []
    var examples: [ArithmeticProblem] = []
    var fallback: ArithmeticProblem?
    var drawsWithoutNews = 0
    while drawsWithoutNews < 5000, heldOut.count < Self.heldOutCountMax {
      let problem = ArithmeticProblem(
        termCount: settings.terms, largestOperand: settings.largestOperand, operations: operations, using: &random)
      drawsWithoutNews += 1
      guard seen.insert(problem.text).inserted else { continue }
      if share.contains(problem.text) {
        heldOut.append(problem)
        drawsWithoutNews = 0
      } else if examples.count < settings.examples,
        problem.operations[0] == operations[examples.count % operations.count]
      {
        examples.append(problem)
      } else if fallback == nil {
        fallback = problem
      }
    }
    guard let fallback, !heldOut.isEmpty else {
      throw refusal(
        "largest_operand", expected: "enough problems to train on and to hold out a share of \(settings.heldOutShare)",
        found: "\(seen.count) problems")
    }
    self.settings = settings
    self.seed = seed
    self.heldOut = heldOut
    self.examples = examples
    self.fallback = fallback
    template = PromptTemplate(settings, systemPrompt: Self.systemPrompt, examples: examples.map(\.question))
  }

  var heldOutCount: Int { heldOut.count }

  func heldOutPrompt(at index: Int) -> Prompt { template.prompt(id: UInt64(index), heldOut[index].question) }

  func trainingPrompt(at cursor: UInt64) -> Prompt {
    let share = HeldOutShare(share: settings.heldOutShare)
    let operations = Array(settings.operations)
    var random = RandomStream(
      seed: seed, purpose: .data, UInt32(truncatingIfNeeded: cursor >> 32), UInt32(truncatingIfNeeded: cursor))
    for _ in 0..<1000 {
      let problem = ArithmeticProblem(
        termCount: settings.terms, largestOperand: settings.largestOperand, operations: operations, using: &random)
      if !share.contains(problem.text), !examples.contains(problem) {
        return template.prompt(id: cursor, problem.question)
      }
    }
    return template.prompt(id: cursor, fallback.question)
  }
}
