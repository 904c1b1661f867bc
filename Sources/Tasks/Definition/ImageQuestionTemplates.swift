import Prompts
import Support

/// The wording of questions about images: one system prompt, and a template a question type that repeats the tags and
/// states the answer's form. It follows the released evaluation in structure; `task.system_prompt` and
/// `task.question_template` replace it.
///
/// Images stand behind the text, as that evaluation sends them, unless the question has placeholders of its own.
struct ImageQuestionTemplates: Sendable {
  private let templates: [QuestionType: PromptTemplate]

  static let systemPrompt =
    "You are an ophthalmologist. Think about the images and the question first, then answer. Write the reasoning in "
    + "<think> </think> and the answer in <answer> </answer>: <think>reasoning</think><answer>answer</answer>"

  init(_ settings: TaskSettings) {
    let forms: [QuestionType: String] = [
      .trueFalse: "the letter of the right statement (for example A). One is right.",
      .singleChoice: "the letter of the right option (for example B). Only one is right; look at all of them.",
      .multipleChoice:
        "the letters of all right options, joined by commas without spaces (for example B,E,F). Several may be right; "
        + "look at all of them.",
      .openEnded: "the name of the disease or entity, and nothing else.",
    ]
    templates = forms.mapValues { form in
      PromptTemplate(
        settings, systemPrompt: Self.systemPrompt,
        questionTemplate:
          "{question}\nFirst write your reasoning in <think> </think>, then in <answer> </answer> \(form)",
        examples: [])
    }
  }

  /// - Parameter question: of a type that can be asked about images; a number cannot.
  func prompt(id: UInt64, _ question: Question) -> Prompt {
    guard let template = templates[question.type] else { preconditionFailure("no template for \(question.type)") }
    return template.prompt(id: id, question)
  }
}

/// The values that a list of names in the settings means; an empty list means all.
/// - Parameter key: names the setting in errors.
/// - Throws: `InputError` for a name that means none. Case makes no difference.
func namedCases<Value: RawRepresentable<String> & CaseIterable & Hashable>(
  _ names: [String], _ key: String
) throws -> Set<Value> {
  if names.isEmpty { return Set(Value.allCases) }
  return Set(
    try names.map { name in
      guard let value = Value.allCases.first(where: { $0.rawValue.lowercased() == name.lowercased() }) else {
        throw InputError(
          "make dataset", at: key, expected: Value.allCases.map(\.rawValue).joined(separator: ", "), found: name)
      }
      return value
    })
}
