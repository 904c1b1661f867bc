import Prompts
import SettingKeys
import Support

/// The built-in task `arithmetic`: sums, differences and products of whole numbers, as hard as the settings say.
///
/// Training problems are made anew for every cursor, from those that are not held out. The held-out problems and the
/// worked examples are the same for every seed.
struct ArithmeticDataset: PromptDataset {
  static let definition = TaskDefinition(
    "arithmetic", "sums, differences and products of whole numbers, built in", shared: [.heldOutShare, .examples],
    own: [
      .integer("terms", \.terms, 2...8, "Operands of a problem. 2 is the easiest."),
      .integer(
        "largest_operand", \.largestOperand, 2...1_000_000,
        "The largest operand; the smallest is 1. With 20 a small model starts well below an accuracy of 1."),
      .text(
        "operations", \.operations, "distinct characters of + - *",
        "The operations of the problems; * binds tighter. Products are far harder for a small model.",
        isValid: { !$0.isEmpty && Set($0).count == $0.count && $0.allSatisfy { "+-*".contains($0) } }),
    ],
    make: { try ArithmeticDataset($0, $1, seed: $2) })

  /// Short, because every prompt token is computed for every group; the examples carry the format.
  static let systemPrompt = "Answer as <think>working</think><answer>number</answer>."
  /// Distinct held-out problems at most.
  static let heldOutCountMax = 1024

  private let options: ArithmeticOptions
  private let share: HeldOutShare
  private let seed: UInt64
  private let template: PromptTemplate
  private let heldOut: [ArithmeticProblem]
  private let examples: [ArithmeticProblem]
  /// The problem of a cursor whose stream gives none that can be asked.
  private let fallback: ArithmeticProblem

  /// - Throws: `InputError` for options that are out of range, or leave nothing to train on or to hold out.
  init(_ settings: TaskSettings, _ options: ArithmeticOptions, seed: UInt64) throws {
    func refusal(_ key: String, expected: String, found: String) -> InputError {
      InputError("make dataset", at: "task.\(key)", expected: expected, found: found)
    }
    guard (2...8).contains(options.terms) else {
      throw refusal("terms", expected: "2 ... 8", found: "\(options.terms)")
    }
    guard (2...1_000_000).contains(options.largestOperand) else {
      throw refusal("largest_operand", expected: "2 ... 1000000", found: "\(options.largestOperand)")
    }
    guard !options.operations.isEmpty, options.operations.allSatisfy({ "+-*".contains($0) }) else {
      throw refusal("operations", expected: "characters of + - *", found: options.operations)
    }
    var largest = options.largestOperand
    for _ in 1..<options.terms where options.operations.contains("*") {
      let (product, overflows) = largest.multipliedReportingOverflow(by: options.largestOperand)
      guard !overflows, product <= Int.max / 8 else {
        throw refusal(
          "largest_operand", expected: "products of \(options.terms) operands that fit 60 bits",
          found: "\(options.largestOperand)")
      }
      largest = product
    }

    let share = HeldOutShare(share: settings.heldOutShare)
    let operations = Array(options.operations)
    var random = RandomStream(seed: 0, purpose: .data, .max, .max)
    var seen: Set<String> = []
    var heldOut: [ArithmeticProblem] = []
    var examples: [ArithmeticProblem] = []
    var fallback: ArithmeticProblem?
    var attemptsWithoutNews = 0
    while attemptsWithoutNews < 5000, heldOut.count < Self.heldOutCountMax {
      let problem = ArithmeticProblem(
        termCount: options.terms, largestOperand: options.largestOperand, operations: operations, using: &random)
      attemptsWithoutNews += 1
      guard seen.insert(problem.text).inserted else { continue }
      if share.contains(problem.text) {
        heldOut.append(problem)
        attemptsWithoutNews = 0
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
    self.options = options
    self.share = share
    self.seed = seed
    self.heldOut = heldOut
    self.examples = examples
    self.fallback = fallback
    template = PromptTemplate(settings, systemPrompt: Self.systemPrompt, examples: examples.map(\.question))
  }

  var heldOutCount: Int { heldOut.count }

  func heldOutPrompt(at index: Int) -> Prompt { template.prompt(id: UInt64(index), heldOut[index].question) }

  func trainingPrompt(at cursor: UInt64) -> Prompt {
    let operations = Array(options.operations)
    var random = RandomStream(
      seed: seed, purpose: .data, UInt32(truncatingIfNeeded: cursor >> 32), UInt32(truncatingIfNeeded: cursor))
    for _ in 0..<1000 {
      let problem = ArithmeticProblem(
        termCount: options.terms, largestOperand: options.largestOperand, operations: operations, using: &random)
      if !share.contains(problem.text), !examples.contains(problem) {
        return template.prompt(id: cursor, problem.question)
      }
    }
    return template.prompt(id: cursor, fallback.question)
  }
}

/// How hard the problems of `arithmetic` are.
package struct ArithmeticOptions: TaskOptions {
  /// Operands of a problem.
  package var terms = 2
  package var largestOperand = 20
  /// The operations that occur, each a character.
  package var operations = "+-"

  package init() {}
}
