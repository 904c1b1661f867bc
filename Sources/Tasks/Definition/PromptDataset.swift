import Prompts
import Support

/// The prompts of a task: an endless stream of training prompts and a fixed list of held-out ones, disjoint from them.
public protocol PromptDataset: Sendable {
  /// The training prompt of a cursor: a pure function of it and of the run seed, so that a resumed run asks exactly the
  /// same. Its `id` is the cursor, which no other training prompt of the run shares.
  func trainingPrompt(at cursor: UInt64) -> Prompt
  /// The number of held-out prompts, at least 1.
  var heldOutCount: Int { get }
  /// The same for every seed. Its `id` is the index, which must be in 0 ..< heldOutCount.
  func heldOutPrompt(at index: Int) -> Prompt
}

/// A question with everything that a prompt and its reward need.
struct Question: Equatable, Sendable {
  /// The question's text, before the template.
  var text: String
  /// How the answer is found; nil when the data does not say.
  var reasoning: String?
  /// The answer, as a right completion gives it.
  var answer: String
  var type: QuestionType
  /// `RewardSpecification.options` that the question brings.
  var options: [String: String] = [:]
  var images: [PromptImage] = []
  var modality: String?
  var domain: String?
  var caption: String?

  /// A right completion.
  var workedCompletion: String { Response.text(thinking: reasoning ?? "", answer: answer) }
}

/// Puts questions into chats: the system message, worked examples as earlier turns, the question.
struct PromptTemplate: Sendable {
  private let opening: [ChatMessage]
  private let questionTemplate: String
  private let weights: [String: Float]
  private let options: [String: String]

  /// - Parameters:
  ///   - systemPrompt: the task's own, which the settings may replace; likewise `questionTemplate`, which holds
  ///     "{question}".
  init(_ settings: TaskSettings, systemPrompt: String, questionTemplate: String = "{question}", examples: [Question]) {
    let template = settings.questionTemplate ?? questionTemplate
    self.questionTemplate = template
    let system = settings.systemPrompt ?? systemPrompt
    opening =
      (system.isEmpty ? [] : [ChatMessage(role: "system", content: system)])
      + examples.flatMap {
        [
          ChatMessage(role: "user", content: Self.fill(template, $0.text)),
          ChatMessage(role: "assistant", content: $0.workedCompletion),
        ]
      }
    weights = [AccuracyReward.name: settings.accuracyWeight, FormatReward.name: settings.formatWeight]
    options = [
      Scorer.Option.partialCredit: "\(settings.partialCredit)", Scorer.Option.fuzzy: "\(settings.fuzzy)",
    ]
  }

  func prompt(id: UInt64, _ question: Question) -> Prompt {
    var text = Self.fill(questionTemplate, question.text)
    let placeholderCount = PromptImage.placeholderCount(in: text)
    if placeholderCount < question.images.count {
      text += String(repeating: PromptImage.placeholder, count: question.images.count - placeholderCount)
    }
    return Prompt(
      id: id, messages: opening + [ChatMessage(role: "user", content: text)], images: question.images,
      reward: RewardSpecification(
        kind: question.type.rawValue, reference: question.answer, weights: weights,
        options: options.merging(question.options) { _, own in own }),
      annotation: PromptAnnotation(
        modality: question.modality, domain: question.domain, caption: question.caption,
        completion: question.reasoning.map { _ in question.workedCompletion }))
  }

  private static func fill(_ template: String, _ question: String) -> String {
    template.split(separator: "{question}", omittingEmptySubsequences: false).joined(separator: question)
  }
}
