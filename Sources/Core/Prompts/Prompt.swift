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
  /// The scores that are wanted, by name, and the weight of each in the reward; a weight of 0 measures only.
  public var weights: [String: Float]
  /// Settings of the kind, for example "partial_credit" or "fuzzy", and their values.
  public var options: [String: String]

  public init(
    kind: String, reference: String, weights: [String: Float] = ["accuracy": 1, "format": 0],
    options: [String: String] = [:]
  ) {
    self.kind = kind
    self.reference = reference
    self.weights = weights
    self.options = options
  }
}

/// What the data of a task says about a prompt beyond the question. It stays with the role that has the data and is
/// never sent: the stages before reinforcement learning learn from it, and an evaluation groups its table by it.
public struct PromptAnnotation: Equatable, Sendable {
  /// How the images were taken, as `task.modalities` names it: "CFP". nil without images.
  public var modality: String?
  /// Where the question belongs, as `task.domains` names it.
  public var domain: String?
  /// What the image shows, for aligning images with words.
  public var caption: String?
  /// A right completion with its reasoning, for supervised fine-tuning.
  public var completion: String?

  public init(modality: String? = nil, domain: String? = nil, caption: String? = nil, completion: String? = nil) {
    self.modality = modality
    self.domain = domain
    self.caption = caption
    self.completion = completion
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
  public var annotation: PromptAnnotation

  public init(
    id: UInt64, messages: [ChatMessage], images: [PromptImage] = [], reward: RewardSpecification,
    annotation: PromptAnnotation = PromptAnnotation()
  ) {
    self.id = id
    self.messages = messages
    self.images = images
    self.reward = reward
    self.annotation = annotation
  }
}
