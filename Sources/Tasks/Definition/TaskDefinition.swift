import SettingKeys
import Support

/// A task: its name, the settings that it reads, and how its dataset is made.
///
/// A new task is a file of its own, which holds its dataset, its options and its definition, and one line in `all`. The
/// names that `task.name` takes, the keys of the settings, docs/SETTINGS.md and the check for a missing file follow
/// from the table.
public struct TaskDefinition: Sendable {
  /// The value of `task.name`: "gsm8k".
  public let name: String
  /// The task's questions, in a few words.
  public let summary: String
  /// What `task.train_file` must be: "a JSONL file". nil for a task that makes its own questions and reads no file.
  public let trainFile: String?
  /// A notice to show wherever the task's questions are shown.
  public let notice: String?
  /// The options that the task has for itself, with their defaults.
  package let options: any TaskOptions
  /// The keys that the task reads besides those of every task.
  let keys: [SettingKey<TaskSettings>]
  private let make: @Sendable (TaskSettings, UInt64) throws -> any PromptDataset

  /// - Parameters:
  ///   - shared: keys that other tasks read, too.
  ///   - own: keys of the task's own options.
  ///   - make: the dataset of a run seed.
  package init<Options: TaskOptions>(
    _ name: String, _ summary: String, trainFile: String? = nil, notice: String? = nil,
    shared: [SettingKey<TaskSettings>] = [], own: [SettingKey<Options>],
    make: @escaping @Sendable (TaskSettings, Options, _ seed: UInt64) throws -> any PromptDataset
  ) {
    self.name = name
    self.summary = summary
    self.trainFile = trainFile
    self.notice = notice
    options = Options()
    keys = shared + own.map { $0.lifted(get: { $0[Options.self] }, set: { $0[Options.self] = $1 }) }
    self.make = { try make($0, $0[Options.self], $1) }
  }

  /// A task without options of its own.
  package init(
    _ name: String, _ summary: String, trainFile: String? = nil, notice: String? = nil,
    shared: [SettingKey<TaskSettings>],
    make: @escaping @Sendable (TaskSettings, _ seed: UInt64) throws -> any PromptDataset
  ) {
    self.init(
      name, summary, trainFile: trainFile, notice: notice, shared: shared, own: [SettingKey<NoOptions>](),
      make: { settings, _, seed in try make(settings, seed) })
  }
}

extension TaskDefinition {
  /// The task's dataset.
  /// - Throws: `InputError` as `makeDataset` does.
  package func dataset(_ settings: TaskSettings, seed: UInt64) throws -> any PromptDataset {
    if let file = trainFile, settings.trainFile.isEmpty {
      throw InputError("make dataset", at: "task.train_file", expected: file, found: "nothing")
    }
    return try make(settings, seed)
  }
}
