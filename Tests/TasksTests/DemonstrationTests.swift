import Foundation
import FoveaTesting
import Prompts
import Support
import Tasks
import Testing
import Training

@Suite("Demonstrations")
struct DemonstrationTests {
  private func demonstrations(
    _ settings: TaskSettings = TaskSettings(), _ content: Demonstrations.Content = .answers, reasonedShare: Double = 1,
    maxPositions: Int = 2048
  ) throws -> Demonstrations {
    try Demonstrations(
      makeDataset(settings, seed: 1), content, reasonedShare: reasonedShare,
      model: ByteModel.description(maxPositions: maxPositions), place: "byte model")
  }

  private func text(_ tokens: [Int32]) -> String {
    String(decoding: tokens.filter { $0 < 256 }.map(UInt8.init), as: UTF8.self)
  }

  @Test("show what the prompt asks, then the written answer and the end of the turn, which alone are trained")
  func arithmetic() throws {
    var cursor: UInt64 = 0
    let example = try #require(try demonstrations().next(1, from: &cursor).first)
    #expect(example.promptTokens.first == ByteModel.turnStart && text(example.promptTokens).hasSuffix("assistant\n"))
    let completion = try #require(example.completions.first)
    #expect(example.completions.count == 1 && completion.last == ByteModel.turnEnd)
    #expect(completion.dropLast().allSatisfy { $0 < 256 })
    let prompt = try makeDataset(TaskSettings(), seed: 1).trainingPrompt(at: 0)
    let score = Scorer.score(text: text(completion), prompt.reward)
    #expect(score.accuracy == 1 && score.format == 1)
    #expect(text(example.promptTokens).contains(try #require(prompt.messages.last).content))
  }

  @Test("are a pure function of the cursor, however many are drawn at once")
  func cursor() throws {
    let demonstrations = try demonstrations()
    var (whole, parts) = (UInt64(5), UInt64(5))
    let together = try demonstrations.next(6, from: &whole)
    let apart = try (0..<3).flatMap { _ in try demonstrations.next(2, from: &parts) }
    #expect(together == apart && whole == 11 && parts == 11)
  }

  @Test("show their reasoning in the share that is asked for, and are right without it too", arguments: [0, 0.4, 1])
  func reasonedShare(_ share: Double) throws {
    var cursor: UInt64 = 0
    let examples = try demonstrations(reasonedShare: share).next(400, from: &cursor)
    var reasoned = 0
    for (id, example) in examples.enumerated() {
      let completion = text(try #require(example.completions.first))
      let score = Scorer.score(
        text: completion, try makeDataset(TaskSettings(), seed: 1).trainingPrompt(at: UInt64(id)).reward)
      #expect(score.accuracy == 1 && score.format == 1, "\(completion)")
      reasoned += completion.hasPrefix("<think></think>") ? 0 : 1
    }
    // Three standard deviations of a binomial at 0.4 are 29.
    #expect(abs(Double(reasoned) - 400 * share) <= (share == 0.4 ? 29 : 0), "\(reasoned) of 400")
    var again: UInt64 = 0
    #expect(try demonstrations(reasonedShare: share).next(400, from: &again) == examples)
  }

  private func file(_ rows: [String]) throws -> TemporaryDataFile {
    try TemporaryDataFile(Array(rows.joined(separator: "\n").utf8), "jsonl")
  }

  private func row(_ index: Int, reason: String?) -> String {
    let reason = reason.map { ", \"reason\": \"\($0)\"" } ?? ""
    return "{\"question\": \"Question \(index)?\", \"options\": [\"one\", \"two\"], \"answer\": \"A\"\(reason)}"
  }

  @Test("pass over rows without reasoning, and rows that are longer than the model's context")
  func passedOver() throws {
    let rows = (0..<60).map {
      row($0, reason: $0 % 3 == 0 ? "Because." : $0 % 3 == 1 ? nil : String(repeating: "long ", count: 300))
    }
    let file = try file(rows)
    var settings = TaskSettings()
    settings.name = "multiple_choice"
    settings.trainFile = file.path
    settings.examples = 0
    let demonstrations = try demonstrations(settings, maxPositions: 600)
    var cursor: UInt64 = 0
    let examples = try demonstrations.next(15, from: &cursor)
    #expect(cursor > 30)
    for example in examples {
      #expect(text(example.completions[0]) == "<think>Because.</think><answer>A</answer>")
    }
  }

  @Test("of data that shows nothing are refused instead of being looked for without end")
  func none() throws {
    let file = try file((0..<40).map { row($0, reason: nil) })
    var settings = TaskSettings()
    settings.name = "multiple_choice"
    settings.trainFile = file.path
    settings.examples = 0
    let demonstrations = try demonstrations(settings)
    var cursor: UInt64 = 0
    let error = #expect(throws: InputError.self) { try demonstrations.next(1, from: &cursor) }
    #expect(error?.expected.contains("reasoning and answers") == true)
    #expect(try demonstrations.heldOut(0..<1).isEmpty)
  }
}
