import Architecture
import Imaging
import ModelFiles
import Processors
import Support
import Tasks
import Tokenizers
import Training

/// Demonstrations as a model takes them: tokens and pixels.
///
/// Which examples a step gets is a pure function of the data cursor, the run seed and the model. Prompts without a
/// written completion, and examples that are longer than the model's context, are skipped.
public struct EncodedDemonstrations: SupervisedExamples, Sendable {
  /// Prompts in a row that may be skipped.
  static let skippedMax = 10_000

  private let demonstrations: Demonstrations
  private let tokenizer: Tokenizer
  private let processor: PromptProcessor
  private let positionsMax: Int

  /// - Parameter place: names the model in errors.
  /// - Throws: `InputError` as `PromptProcessor` does.
  public init(_ demonstrations: Demonstrations, model: ModelDescription, place: String) throws {
    self.demonstrations = demonstrations
    tokenizer = model.tokenizer
    processor = try PromptProcessor(model, place: place)
    positionsMax = model.config.maxPositions
  }

  /// The next examples of training.
  /// - Parameter cursor: the first prompt to look at; moved behind the last one looked at.
  /// - Returns: `count` examples of one completion each.
  /// - Throws: `InputError` for images that the model cannot see, and for data without anything to show.
  public func next(_ count: Int, from cursor: inout UInt64) throws -> [TrainingGroup] {
    var examples: [TrainingGroup] = []
    var skipped = 0
    while examples.count < count {
      let place = "training prompt \(cursor)"
      let demonstration = demonstrations.training(at: cursor)
      cursor += 1
      if let demonstration, let example = try example(demonstration, place: place) {
        examples.append(example)
        skipped = 0
      } else {
        skipped += 1
        try checkThatThereAreSome(after: skipped)
      }
    }
    return examples
  }

  /// Examples of the held-out prompts of a range; fewer than there are prompts where some are skipped.
  /// - Throws: `InputError` for images that the model cannot see.
  public func heldOut(_ range: Range<Int>) throws -> [TrainingGroup] {
    try range.compactMap { index in
      try demonstrations.heldOut(at: index).flatMap { try example($0, place: "held-out prompt \(index)") }
    }
  }

  private func checkThatThereAreSome(after skipped: Int) throws {
    guard skipped < Self.skippedMax else {
      throw InputError(
        "read demonstrations", at: "the task's training prompts",
        expected: "\(demonstrations.content.summary) of at most \(positionsMax) tokens with the prompt",
        found: "none among \(skipped) prompts")
    }
  }

  /// nil for an example that is longer than the model's context.
  private func example(_ demonstration: Demonstration, place: String) throws -> TrainingGroup? {
    let encoded = try processor.encode(demonstration.messages, images: demonstration.images, place: place)
    let tokens = try tokenizer.encodeTurn(demonstration.completion)
    guard encoded.tokens.count + tokens.count <= positionsMax else { return nil }
    return TrainingGroup(promptTokens: encoded.tokens, completions: [tokens], images: encoded.images)
  }
}
