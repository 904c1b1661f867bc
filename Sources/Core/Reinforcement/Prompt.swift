/// What is asked and how it is scored: the part of a task that travels through the farm.

/// A chat turn.
public struct ChatMessage: Equatable, Hashable, Sendable {
  /// "system", "user" or "assistant".
  public var role: String
  public var content: String
  public init(role: String, content: String) {
    self.role = role
    self.content = content
  }
}

/// How a completion is scored; `Tasks` owns the meaning.
public struct RewardSpecification: Equatable, Sendable {
  /// A question type: "number", "true_false", "single_choice", "multiple_choice", "open_ended".
  public var kind: String
  /// The reference answer.
  public var reference: String
  public var accuracyWeight: Float
  public var formatWeight: Float
  /// Settings of the kind, for example "partial_credit" or "fuzzy", and their values.
  public var options: [String: String]

  public init(
    kind: String, reference: String, accuracyWeight: Float = 1, formatWeight: Float = 0, options: [String: String] = [:]
  ) {
    self.kind = kind
    self.reference = reference
    self.accuracyWeight = accuracyWeight
    self.formatWeight = formatWeight
    self.options = options
  }
}

/// One prompt of a task: what the policy is asked, and how its answer is scored.
public struct Prompt: Equatable, Sendable {
  /// Identifies the prompt within its split; part of the random key of its samples.
  public var id: UInt64
  public var messages: [ChatMessage]
  /// In the order of their placeholders in the messages; at most `PromptImage.countMax`.
  public var images: [PromptImage]
  public var reward: RewardSpecification

  public init(id: UInt64, messages: [ChatMessage], images: [PromptImage] = [], reward: RewardSpecification) {
    self.id = id
    self.messages = messages
    self.images = images
    self.reward = reward
  }
}
