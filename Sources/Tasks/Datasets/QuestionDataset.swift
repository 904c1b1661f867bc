import Prompts
import SettingKeys
import Support

/// Questions from JSONL files: gsm8k, multiple_choice, open_ended.
///
/// Every training question is asked once an epoch, in a new order each. No question is in both splits, also when a
/// training file repeats one of the held-out file. The worked examples are the shortest training questions that come
/// with their reasoning; they are not asked.
struct QuestionDataset: PromptDataset {
  private let training: [Question]
  private let heldOut: [Question]
  private let shuffle: EpochShuffle
  private let template: PromptTemplate

  init(_ format: QuestionFormat, _ settings: TaskSettings, seed: UInt64) throws {
    var training = try QuestionFile.load(settings.trainFile, format)
    if settings.heldOutFile.isEmpty {
      let share = HeldOutShare(share: settings.heldOutShare)
      heldOut = training.filter { share.contains($0.text) }
      training.removeAll { share.contains($0.text) }
    } else {
      heldOut = try QuestionFile.load(settings.heldOutFile, format)
      let texts = Set(heldOut.map(\.text))
      training.removeAll { texts.contains($0.text) }
    }
    let examples = Self.shortest(settings.examples, of: training)
    let exampleTexts = Set(examples.map(\.text))
    training.removeAll { exampleTexts.contains($0.text) }
    guard !training.isEmpty, !heldOut.isEmpty else {
      throw InputError(
        "make dataset", at: settings.trainFile,
        expected: "questions to train on and to hold out, besides \(examples.count) examples",
        found: "\(training.count) to train on, \(heldOut.count) held out")
    }
    self.training = training
    shuffle = EpochShuffle(count: training.count, seed: seed)
    template = PromptTemplate(settings, systemPrompt: format.systemPrompt, examples: examples)
  }

  var heldOutCount: Int { heldOut.count }

  func heldOutPrompt(at index: Int) -> Prompt { template.prompt(id: UInt64(index), heldOut[index]) }

  func trainingPrompt(at cursor: UInt64) -> Prompt {
    template.prompt(id: cursor, training[shuffle.row(at: cursor)])
  }

  /// The shortest questions with reasoning, in the file's order among equals.
  private static func shortest(_ count: Int, of questions: [Question]) -> [Question] {
    let lengths = questions.indices.filter { questions[$0].reasoning != nil }.map { index in
      (length: questions[index].text.utf8.count + questions[index].workedCompletion.utf8.count, index: index)
    }
    return lengths.sorted { ($0.length, $0.index) < ($1.length, $1.index) }.prefix(count).map { questions[$0.index] }
  }
}

/// The formats of JSONL files, each a task of its own: `QuestionFile` says what a row holds.
enum QuestionFormat: String {
  case gsm8k
  case multipleChoice = "multiple_choice"
  case openEnded = "open_ended"

  var definition: TaskDefinition {
    let (summary, scoring): (String, [SettingKey<TaskSettings>]) =
      switch self {
      case .gsm8k: ("word problems with a number as the answer", [])
      case .multipleChoice: ("true or false, single choice and multiple choice", [.partialCredit])
      case .openEnded: ("questions with a name as the answer", [.fuzzy])
      }
    return TaskDefinition(
      rawValue, summary, trainFile: "a JSONL file",
      shared: [.trainFile, .heldOutFile, .heldOutShare, .examples] + scoring,
      make: { try QuestionDataset(self, $0, seed: $1) })
  }

  var systemPrompt: String {
    switch self {
    case .gsm8k: "Answer as <think>steps</think><answer>number</answer>."
    case .multipleChoice:
      "Think first, then give the letter of the right option, or all right letters joined by commas. Answer as "
        + "<think>reasoning</think><answer>letters</answer>."
    case .openEnded: "Think first, then give the name only. Answer as <think>reasoning</think><answer>name</answer>."
    }
  }
}
