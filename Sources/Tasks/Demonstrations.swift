import Prompts
import Support

/// The examples of supervised training: a task's prompts with the completions that its data writes for them.
///
/// The example of a data cursor is a pure function of the cursor and the run seed, as the prompts of reinforcement
/// learning are, and so is whether it shows its reasoning.
public struct Demonstrations: Sendable {
  /// The completion to learn.
  public enum Content: Sendable {
    /// The images' caption, asked for in a sentence: multimodal alignment.
    case captions
    /// Reasoning and answer, to the task's own prompt.
    case answers

    /// The content in the words of an error.
    public var summary: String { self == .captions ? "captions" : "reasoning and answers" }
  }

  static let captionRequest = "Describe what is seen."

  public let content: Content
  private let dataset: any PromptDataset
  private let reasonedShare: Double

  /// - Parameter reasonedShare: 0 ... 1, of the answers: those that show how they are found. The others have an empty
  ///   think block.
  public init(_ dataset: any PromptDataset, _ content: Content, reasonedShare: Double = 1) {
    self.dataset = dataset
    self.content = content
    self.reasonedShare = reasonedShare
  }

  /// The demonstration for the training prompt of a cursor; nil when the data writes no completion for it.
  public func training(at cursor: UInt64) -> Demonstration? { demonstration(dataset.trainingPrompt(at: cursor)) }

  /// The demonstration for a held-out prompt, 0 ..< `heldOutCount` of the dataset; nil when the data writes no
  /// completion for it.
  public func heldOut(at index: Int) -> Demonstration? { demonstration(dataset.heldOutPrompt(at: index)) }

  private func demonstration(_ prompt: Prompt) -> Demonstration? {
    switch content {
    case .answers:
      return prompt.annotation.completion.map { written in
        Demonstration(
          messages: prompt.messages, images: prompt.images,
          completion: isReasoned(prompt) ? written : Response.text(thinking: "", answer: prompt.reward.reference))
      }
    case .captions:
      guard let caption = prompt.annotation.caption else { return nil }
      let images = String(repeating: PromptImage.placeholder, count: prompt.images.count)
      let request = ChatMessage(role: "user", content: "\(images)\n\(Self.captionRequest)")
      return Demonstration(messages: [request], images: prompt.images, completion: caption)
    }
  }

  private func isReasoned(_ prompt: Prompt) -> Bool {
    var random = RandomStream(seed: prompt.id, purpose: .demonstration)
    return Double(random.uniform()) < reasonedShare
  }
}

/// A chat and what the assistant is shown to say to it.
public struct Demonstration: Equatable, Sendable {
  public var messages: [ChatMessage]
  /// The images in the order of their placeholders in the messages.
  public var images: [PromptImage]
  public var completion: String
}
