/// What the policy is asked, and how its completions are scored. Settings that several tasks share are fields; those
/// that a single task has for itself are a type of their own in that task's file, which the subscript takes.
public struct TaskSettings: Equatable, Sendable {
  /// The name of a `TaskDefinition`.
  public var name = "arithmetic"
  /// The file to train on, in the format of the task; empty for tasks that make their own questions.
  public var trainFile = ""
  /// The file to evaluate on. Where it is empty, a share of the training file is held out by hash.
  public var heldOutFile = ""
  public var heldOutShare = 0.1
  /// nil takes the task's own.
  public var systemPrompt: String?
  /// The user's turn; "{question}" stands for the question. nil takes the task's own.
  public var questionTemplate: String?
  /// Worked examples in front of each question, as earlier turns of the chat.
  public var examples = 2
  public var accuracyWeight: Float = 1
  public var formatWeight: Float = 0.1
  /// Multiple choice: the share of right letters counts.
  public var partialCredit = false
  /// Open-ended questions: token F1 counts.
  public var fuzzy = false
  /// The questions about images that are asked, by modality, domain and question type; an empty list selects all.
  public var modalities: [String] = []
  public var domains: [String] = []
  public var questionTypes: [String] = []
  /// The share of demonstrations that show their reasoning. The others only answer.
  public var reasonedShare = 1.0
  private var own = OptionsByType()

  public init() {}

  /// The settings that a single task has for itself.
  package subscript<Options: TaskOptions>(_ type: Options.Type) -> Options {
    get { own[type] }
    set { own[type] = newValue }
  }
}

/// The settings that a task has for itself, with their defaults. They stand in the task's own file.
package protocol TaskOptions: Equatable, Sendable {
  init()
}

/// The options of a task whose settings are all shared ones.
package struct NoOptions: TaskOptions {
  package init() {}
}

/// One value of each type of options. A value that equals the defaults is not stored, so that equality is that of the
/// values.
private struct OptionsByType: Equatable, Sendable {
  private var changed: [ObjectIdentifier: any TaskOptions] = [:]

  subscript<Options: TaskOptions>(_ type: Options.Type) -> Options {
    get { changed[ObjectIdentifier(type)] as? Options ?? Options() }
    set { changed[ObjectIdentifier(type)] = newValue == Options() ? nil : newValue }
  }

  static func == (a: Self, b: Self) -> Bool {
    func isEqual<Options: TaskOptions>(_ one: Options, _ other: (any TaskOptions)?) -> Bool { one == other as? Options }
    return a.changed.count == b.changed.count && a.changed.allSatisfy { isEqual($1, b.changed[$0]) }
  }
}
