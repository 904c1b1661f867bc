import Foundation
import FoveaTesting
import Learner
import Prompts
import Support
import Tasks
import Testing
import Training

@Suite("Encoded demonstrations")
struct EncodedDemonstrationTests {
  private func demonstrations() throws -> EncodedDemonstrations {
    try EncodedDemonstrations(
      Demonstrations(makeDataset(TaskSettings(), seed: 1), .answers),
      model: ByteModel.description(maxPositions: 2048), place: "byte model")
  }

  private func text(_ tokens: [Int32]) -> String {
    String(decoding: tokens.filter { $0 < 256 }.map(UInt8.init), as: UTF8.self)
  }

  @Test("show what the prompt asks, then the written answer and the end of the turn, which alone are trained")
  func arithmetic() throws {
    var cursor: UInt64 = 0
    let example = try #require(try demonstrations().next(1, from: &cursor).first)
    #expect(example.promptTokens.first == ByteModel.turnStart)
    #expect(text(example.promptTokens).hasSuffix("assistant\n"))
    let completion = try #require(example.completions.first)
    #expect(example.completions.count == 1)
    #expect(completion.last == ByteModel.turnEnd)
    #expect(completion.dropLast().allSatisfy { $0 < 256 })
    let prompt = try makeDataset(TaskSettings(), seed: 1).trainingPrompt(at: 0)
    let score = Scorer.score(text: text(completion), prompt.reward)
    #expect(score.accuracy == 1)
    #expect(score.format == 1)
    #expect(text(example.promptTokens).contains(try #require(prompt.messages.last).content))
  }

  @Test("are a pure function of the cursor, however many are asked for at once")
  func cursor() throws {
    let demonstrations = try demonstrations()
    var (whole, parts) = (UInt64(5), UInt64(5))
    let together = try demonstrations.next(6, from: &whole)
    let apart = try (0..<3).flatMap { _ in try demonstrations.next(2, from: &parts) }
    #expect(together == apart)
    #expect(whole == 11)
    #expect(parts == 11)
  }

  /// Prompts with the completions that are given, again and again.
  private struct Rows: PromptDataset {
    var completions: [String?]
    var heldOutCount: Int { completions.count }

    func trainingPrompt(at cursor: UInt64) -> Prompt {
      Prompt(
        id: cursor, messages: [ChatMessage(role: "user", content: "Question \(cursor)?")],
        reward: RewardSpecification(kind: "single_choice", reference: "A"),
        annotation: PromptAnnotation(completion: completions[Int(cursor) % completions.count]))
    }

    func heldOutPrompt(at index: Int) -> Prompt { trainingPrompt(at: UInt64(index)) }
  }

  private func demonstrations(_ completions: [String?], maxPositions: Int) throws -> EncodedDemonstrations {
    try EncodedDemonstrations(
      Demonstrations(Rows(completions: completions), .answers),
      model: ByteModel.description(maxPositions: maxPositions), place: "byte model")
  }

  @Test("skip prompts without a written completion, and examples that are longer than the model's context")
  func skipped() throws {
    let completion = "<think>Because.</think><answer>A</answer>"
    let demonstrations = try demonstrations(
      [completion, nil, String(repeating: "long ", count: 300)], maxPositions: 600)
    var cursor: UInt64 = 0
    let examples = try demonstrations.next(15, from: &cursor)
    #expect(examples.count == 15)
    #expect(cursor == 43)
    for example in examples { #expect(text(example.completions[0]) == completion) }
    #expect(try demonstrations.heldOut(0..<3).count == 1)
  }

  @Test("of data that shows nothing are refused instead of being looked for without end")
  func none() throws {
    let demonstrations = try demonstrations([nil], maxPositions: 600)
    var cursor: UInt64 = 0
    let error = #expect(throws: InputError.self) { try demonstrations.next(1, from: &cursor) }
    #expect(error?.expected.contains("reasoning and answers") == true)
    #expect(try demonstrations.heldOut(0..<1).isEmpty)
  }
}
