import Architecture
import ModelFiles
import Processors
import Prompts
import Support
import Tokenizers
import Training

/// The examples of supervised training: a task's prompts with the completion that the data writes for them, as tokens and pixels.
///
/// Which examples a step gets is a pure function of the data cursor and the run seed, as the draws of reinforcement learning
/// are, and so is which of them show their reasoning. Prompts without a written completion, and those that are longer than the
/// model's context, are passed over.
public struct Demonstrations: Sendable {
  /// What the assistant is shown to say.
  public enum Content: Sendable {
    /// The images' caption, asked for in a sentence: multimodal alignment.
    case captions
    /// Reasoning and answer, to the task's own prompt.
    case answers
  }

  /// Draws in a row that may be passed over.
  static let passedOverMax = 10_000
  static let captionRequest = "Describe what is seen."

  private let dataset: any PromptDataset
  private let content: Content
  private let reasonedShare: Double
  private let tokenizer: Tokenizer
  private let processor: PromptProcessor
  private let positionsMax: Int

  /// - Parameters:
  ///   - reasonedShare: 0 ... 1, of the answers: those that show how they are found. The others think nothing, and answer.
  ///   - place: names the model in errors.
  /// - Throws: `InputError` as `PromptProcessor` does.
  public init(
    _ dataset: any PromptDataset, _ content: Content, reasonedShare: Double = 1, model: ModelDescription, place: String
  ) throws {
    self.dataset = dataset
    self.content = content
    self.reasonedShare = reasonedShare
    tokenizer = model.tokenizer
    processor = try PromptProcessor(model, place: place)
    positionsMax = model.config.maxPositions
  }

  /// The next examples of training.
  /// - Parameter cursor: the first draw to look at; moved behind the last one looked at.
  /// - Returns: `count` examples of one completion each.
  /// - Throws: `InputError` for images that the model cannot see, and for data without anything to show.
  public func next(_ count: Int, from cursor: inout UInt64) throws -> [TrainingGroup] {
    var examples: [TrainingGroup] = []
    var passedOver = 0
    while examples.count < count {
      let prompt = dataset.trainingPrompt(at: cursor)
      cursor += 1
      if let example = try example(prompt, place: "training prompt \(prompt.id)") {
        examples.append(example)
        passedOver = 0
      } else {
        passedOver += 1
        try checkThatThereAreSome(after: passedOver)
      }
    }
    return examples
  }

  /// Examples of the held-out prompts of a range; fewer than there are prompts where some are passed over.
  public func heldOut(_ range: Range<Int>) throws -> [TrainingGroup] {
    try range.compactMap { try example(dataset.heldOutPrompt(at: $0), place: "held-out prompt \($0)") }
  }

  private func checkThatThereAreSome(after passedOver: Int) throws {
    guard passedOver < Self.passedOverMax else {
      throw InputError(
        "draw demonstrations", at: "the task's training prompts",
        expected:
          "\(content == .captions ? "captions" : "reasoning and answers") of at most \(positionsMax) tokens with the prompt",
        found: "none among \(passedOver) prompts")
    }
  }

  private func example(_ prompt: Prompt, place: String) throws -> TrainingGroup? {
    guard let (messages, completion) = chat(prompt) else { return nil }
    let encoded = try processor.encode(messages, images: prompt.images, place: place)
    let tokens = try tokenizer.encodeTurn(completion)
    guard encoded.tokens.count + tokens.count <= positionsMax else { return nil }
    return TrainingGroup(promptTokens: encoded.tokens, completions: [tokens], images: encoded.images)
  }

  private func chat(_ prompt: Prompt) -> (messages: [ChatMessage], completion: String)? {
    switch content {
    case .answers:
      return prompt.annotation.completion.map { written in
        (prompt.messages, isReasoned(prompt) ? written : Response.text(thinking: "", answer: prompt.reward.reference))
      }
    case .captions:
      guard let caption = prompt.annotation.caption else { return nil }
      let images = String(repeating: PromptImage.placeholder, count: prompt.images.count)
      return ([ChatMessage(role: "user", content: "\(images)\n\(Self.captionRequest)")], caption)
    }
  }

  private func isReasoned(_ prompt: Prompt) -> Bool {
    var random = RandomStream(seed: prompt.id, purpose: .demonstration)
    return Double(random.uniform()) < reasonedShare
  }
}
