import Prompts
import Support

/// A problem to be worked out: "12 + 7", "3 + 4 * 5". Products bind tighter.
struct ArithmeticProblem: Equatable, Sendable {
  var operands: [Int]
  /// One fewer than operands: "+", "-" or "*".
  var operations: [Character]

  /// Takes operands in 1 ... largest and operations at random, all equally likely.
  init(termCount: Int, largestOperand: Int, operations choices: [Character], using random: inout RandomStream) {
    operands = (0..<termCount).map { _ in Int(random.integer(below: UInt64(largestOperand))) + 1 }
    operations = (1..<termCount).map { _ in choices[Int(random.integer(below: UInt64(choices.count)))] }
  }

  /// "3 + 4 * 5"
  var text: String {
    zip(operations, operands.dropFirst()).reduce("\(operands[0])") { "\($0) \($1.0) \($1.1)" }
  }

  /// The problem with its next operation done; itself when nothing is left to do.
  private var reduced: ArithmeticProblem {
    guard !operations.isEmpty else { return self }
    let index = operations.firstIndex(of: "*") ?? 0
    var next = self
    let right = next.operands.remove(at: index + 1)
    switch next.operations.remove(at: index) {
    case "+": next.operands[index] += right
    case "-": next.operands[index] -= right
    default: next.operands[index] *= right
    }
    return next
  }

  /// The problem and what it becomes with each operation: "3 + 4 * 5", "3 + 20", "23".
  private var steps: [ArithmeticProblem] {
    var steps = [self]
    while let last = steps.last, !last.operations.isEmpty { steps.append(last.reduced) }
    return steps
  }

  var value: Int { steps.last!.operands[0] }

  /// Reasoning as short as it can be: "3 + 4 * 5 = 3 + 20 = 23".
  var question: Question {
    Question(
      text: text, reasoning: steps.map(\.text).joined(separator: " = "), answer: "\(value)", type: .number)
  }
}
