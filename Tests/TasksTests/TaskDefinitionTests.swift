import Foundation
import Prompts
import SettingKeys
import Support
import Tasks
import Testing

@Suite("The table of tasks")
struct TaskDefinitionTests {
  @Test("Every task has a name and keys of its own")
  func names() {
    let names = TaskDefinition.all.map(\.name)
    #expect(Set(names).count == names.count)
    #expect(names.contains(TaskSettings().name))
    let paths = TaskDefinition.keys.map(\.path)
    #expect(Set(paths).count == paths.count)
  }

  @Test("A task that reads a file refuses to be made without one, and one that does not is made from its defaults")
  func files() throws {
    for definition in TaskDefinition.all {
      var settings = TaskSettings()
      settings.name = definition.name
      guard let file = definition.trainFile else {
        #expect(try makeDataset(settings, seed: 1).heldOutCount > 0)
        continue
      }
      let error = #expect(throws: InputError.self) { try makeDataset(settings, seed: 1) }
      #expect(error?.place == "task.train_file")
      #expect(error?.expected == file)
    }
  }

  @Test("Options of one task change neither those of another nor equality once they are the defaults again")
  func options() {
    var settings = TaskSettings()
    settings[ArithmeticOptions.self].terms = 5
    #expect(settings[ArithmeticOptions.self].terms == 5)
    #expect(settings[FundusOptions.self] == FundusOptions())
    #expect(settings != TaskSettings())
    var other = TaskSettings()
    other[FundusOptions.self].imageSize = 32
    #expect(settings != other)
    settings[ArithmeticOptions.self].terms = ArithmeticOptions().terms
    #expect(settings == TaskSettings())
  }

  /// A task as somebody would add it: a file with this, and its line in `TaskDefinition.all`.
  private struct Echo: PromptDataset {
    struct Options: TaskOptions {
      var word = "yes"
    }

    static let definition = TaskDefinition(
      "echo", "one word, to be said again", shared: [],
      own: [.text("word", \.word, "text", "The word.")], make: { _, options, _ in Echo(options: options) })

    var options: Options
    let heldOutCount = 1

    func trainingPrompt(at cursor: UInt64) -> Prompt {
      Prompt(
        id: cursor, messages: [ChatMessage(role: "user", content: options.word)],
        reward: RewardSpecification(kind: "open_ended", reference: options.word))
    }

    func heldOutPrompt(at index: Int) -> Prompt { trainingPrompt(at: UInt64(index)) }
  }

  @Test("A new task needs a dataset, its options and a definition")
  func newTask() throws {
    var settings = TaskSettings()
    settings[Echo.Options.self].word = "eye"
    #expect(Echo.definition.name == "echo")
    #expect(try Echo.definition.dataset(settings, seed: 1).trainingPrompt(at: 0).reward.reference == "eye")
  }

  @Test("docs/TASKS.md has a row for every task")
  func documentation() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..")
    let text = try String(contentsOf: root.appendingPathComponent("docs/TASKS.md"), encoding: .utf8)
    for definition in TaskDefinition.all { #expect(text.contains("\n| `\(definition.name)` |"), "\(definition.name)") }
  }
}
