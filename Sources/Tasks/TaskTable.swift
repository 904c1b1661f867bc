import SettingKeys
import Support

extension TaskDefinition {
  /// Every task, in the order of the documentation.
  public static let all: [TaskDefinition] = [
    ArithmeticDataset.definition,
    QuestionFormat.gsm8k.definition,
    QuestionFormat.multipleChoice.definition,
    QuestionFormat.openEnded.definition,
    MMRetinalReasonDataset.definition,
    RetinaMNISTDataset.definition,
    FundusDataset.definition,
  ]

  /// The task of that name, or nil.
  public static func named(_ name: String) -> TaskDefinition? { all.first { $0.name == name } }

  /// Every key of the tasks' settings, once: those that every task reads, then the others in the order of `all`.
  public static let keys: [SettingKey<TaskSettings>] = {
    var keys = SettingKey<TaskSettings>.ofEveryTask
    for key in all.flatMap(\.keys) where !keys.contains(where: { $0.path == key.path }) {
      keys.append(key.read(by: all.filter { $0.keys.contains { $0.path == key.path } }.map(\.name)))
    }
    return keys
  }()
}

/// The dataset that the settings name.
/// - Parameter seed: the run seed; chooses the training prompts, never the split.
/// - Throws: `InputError` for a missing or unreadable file, bad rows, and settings that leave nothing to train on or
///   hold out.
public func makeDataset(_ settings: TaskSettings, seed: UInt64) throws -> any PromptDataset {
  guard let definition = TaskDefinition.named(settings.name) else {
    throw InputError(
      "make dataset", at: "task.name", expected: "one of \(TaskDefinition.all.map(\.name).joined(separator: ", "))",
      found: settings.name)
  }
  return try definition.dataset(settings, seed: seed)
}
