import Foundation
import Prompts
import Reinforcement
import SettingKeys
import Settings
import Support
import Tasks
import Tensor
import Testing

private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..")

private func load(_ yaml: String, _ overrides: [String] = []) throws -> RunSettings {
  try SettingsFile.load(yaml: Array(yaml.utf8), file: "run.yaml", overrides: overrides)
}

@Suite struct SettingsTableTests {
  /// Every leaf of RunSettings, as a dotted snake_case path.
  private func paths(_ value: Any, _ prefix: String = "") -> [String] {
    let mirror = Mirror(reflecting: value)
    guard mirror.displayStyle == .struct else { return [String(prefix.dropLast())] }
    guard !mirror.children.isEmpty, !(value is String) else { return [String(prefix.dropLast())] }
    return mirror.children.flatMap { child in
      let name = (child.label ?? "?").reduce(into: "") { text, character in
        text += character.isUppercase ? "_" + character.lowercased() : String(character)
      }
      return paths(child.value, prefix + name + ".")
    }
  }

  @Test("Every field of the settings and of every task's options has a key, and every key a field")
  func fieldsAndKeys() {
    let fields =
      paths(RunSettings()).filter { !$0.hasPrefix("task.own") }
      + TaskDefinition.all.map(\.options).filter { !($0 is NoOptions) }.flatMap { paths($0, "task.") }
    #expect(Set(fields) == Set(RunSettings.keys.map(\.path)))
    #expect(Set(fields).count == fields.count)
  }

  @Test("No path, former ones included, names two keys")
  func uniquePaths() {
    let paths = RunSettings.keys.flatMap { [$0.path] + $0.formerPaths }
    #expect(Set(paths).count == paths.count)
  }

  @Test("A key that only some tasks read says which, and every task has what its definition lists")
  func tasksOfKeys() throws {
    func tasks(_ path: String) throws -> [String] {
      try #require(RunSettings.keys.first { $0.path == path }).tasks
    }
    #expect(try tasks("task.terms") == ["arithmetic"])
    #expect(try tasks("task.question_types") == ["mm_retinal_reason", "retinamnist", "synthetic-fundus"])
    #expect(try tasks("task.name").isEmpty)
    #expect(try tasks("run.seed").isEmpty)
  }

  @Test("A key of another task is read and kept, and named as unused when it changes something")
  func unusedTaskKeys() throws {
    #expect(RunSettings().unusedTaskKeys.isEmpty)
    let settings = try load("task: {name: synthetic-fundus, terms: 3, largest_operand: 20, image_size: 32}")
    #expect(settings.unusedTaskKeys == ["task.terms"])
    #expect(try load(settings.described()) == settings)
    #expect(try load(settings.described(), ["task.name=arithmetic"]).unusedTaskKeys == ["task.image_size"])
  }

  @Test("The default preset is the default")
  func theDefaultPresetIsTheDefault() throws {
    #expect(try SettingsFile.load(path: nil) == RunSettings())
    var settings = RunSettings()
    settings.apply(preset: settings.algorithm.preset)
    #expect(settings == RunSettings())
  }

  @Test("Described settings load back equal")
  func describedSettingsLoadBackEqual() throws {
    #expect(try load(RunSettings().described()) == RunSettings())
    var random = RandomStream(seed: 11, purpose: .test)
    let pieces: [String] = [
      "a", "\"", "\\", "\n", "\t", ":", " #", "é", "眼", "\u{2028}", "\u{85}", "\u{FEFF}", "\u{1}", "👁",
    ]
    func text() -> String {
      (0..<Int(random.integer(below: 12) + 1)).map { _ in pieces.randomElement(using: &random)! }.joined()
    }
    for _ in 0..<100 {
      var settings = RunSettings()
      settings.apply(preset: Preset.all.randomElement(using: &random)!.name)
      settings.run.name = "run" + text()
      settings.run.seed = random.next()
      settings.task.systemPrompt = random.next() % 2 == 0 ? nil : text()
      settings.task.questionTemplate = "{question}" + text()
      settings.task.trainFile = text()
      settings.task[ArithmeticOptions.self].terms = Int(random.integer(below: 7)) + 2
      settings.task[MMRetinalReasonOptions.self].skipBadRows = random.next() % 2 == 0
      settings.rollout.stopStrings = (0..<Int(random.integer(below: 4))).map { _ in text() }
      settings.rollout.sampling.temperature = random.uniform() + 0.01
      settings.algorithm.loss.importanceCap = random.next() % 2 == 0 ? nil : random.uniform() * 3 + 0.1
      settings.algorithm.shaping.lambda = random.uniform()
      settings.optimizer.learningRate = Double(random.uniform()) * 1e-5
      settings.optimizer.epsilon = 1e-12
      settings.farm.leaseTimeoutSeconds = Double(random.uniform()) * 1e5 + 1
      #expect(try load(settings.described()) == settings)
    }
  }

  /// Run with FOVEA_WRITE_DOCS=1 to write the file anew.
  @Test("The documentation lists every key")
  func theDocumentationListsEveryKey() throws {
    let file = root.appendingPathComponent("docs/SETTINGS.md")
    if ProcessInfo.processInfo.environment["FOVEA_WRITE_DOCS"] == "1" {
      try RunSettings.documentation().write(to: file, atomically: true, encoding: .utf8)
    }
    let text = try String(contentsOf: file, encoding: .utf8)
    #expect(
      text == RunSettings.documentation(), "write it anew: FOVEA_WRITE_DOCS=1 swift test --filter SettingsTableTests")
    for key in RunSettings.keys { #expect(text.contains("`\(key.path.split(separator: ".").last!)`")) }
  }

  @Test("The configs of the repository load", arguments: ["arithmetic", "gsm8k", "retinamnist", "fundus"])
  func theConfigsOfTheRepositoryLoad(_ name: String) throws {
    let settings = try SettingsFile.load(path: root.appendingPathComponent("configs/\(name).yaml").path)
    #expect(settings.task.name.hasSuffix(name))
  }
}

@Suite struct SettingsFileTests {
  @Test("Values are read from the file")
  func valuesAreReadFromTheFile() throws {
    let settings = try load(
      """
      rollout:
        group_size: 4
        sampling: {temperature: 0.7, top_k: 5}
        stop_strings: ["</answer>", '#']
      task:
        system_prompt: |
          Two
          lines
      farm: {listen: tcp://*:5555}
      algorithm: {shaping: {level: group}, loss: {importance_cap: 2}}
      optimizer:
      """)
    #expect(settings.rollout.groupSize == 4)
    #expect(settings.rollout.sampling.temperature == 0.7)
    #expect(settings.rollout.sampling.topK == 5)
    #expect(settings.rollout.stopStrings == ["</answer>", "#"])
    #expect(settings.task.systemPrompt == "Two\nlines\n")
    #expect(settings.farm.listen == "tcp://*:5555")
    #expect(settings.algorithm.shaping.level == .group)
    #expect(settings.algorithm.loss.importanceCap == 2)
  }

  @Test("Explicit keys override the preset, whatever the order")
  func explicitKeysOverrideThePresetWhateverTheOrder() throws {
    for yaml in [
      "algorithm: {preset: dapo, loss: {clip_high: 0.5}}", "algorithm: {loss: {clip_high: 0.5}, preset: dapo}",
    ] {
      let settings = try load(yaml)
      #expect(settings.algorithm.loss.clipHigh == 0.5)
      #expect(settings.algorithm.loss.aggregation == .token)
      #expect(settings.algorithm.dynamicSampling)
    }
    let settings = try load("algorithm: {loss: {clip_high: 0.5}, preset: dapo}", ["algorithm.preset=rloo"])
    #expect(settings.algorithm.loss.clipHigh == 0.5)
    #expect(settings.algorithm.advantage.baseline == .leaveOneOut)
    #expect(!settings.algorithm.dynamicSampling)
  }

  @Test("Inexact rollouts turn the importance weights on unless they are set")
  func inexactRolloutsTurnTheImportanceWeightsOnUnlessSomeoneSetsThem() throws {
    let settings = try load("rollout: {precision: int8}")
    #expect(settings.rollout.precision == .int8)
    #expect(settings.algorithm.loss.importanceCap == 2)
    #expect(try load(settings.described()) == settings)
    let off = try load("algorithm: {loss: {importance_cap: null}}", ["rollout.precision=int8"])
    #expect(off.algorithm.loss.importanceCap == nil)
    #expect(try load(off.described()) == off)
    #expect(
      try load("rollout: {precision: int8}", ["algorithm.loss.importance_cap=5"]).algorithm.loss.importanceCap == 5)
    #expect(try load("rollout: {precision: exact}").algorithm.loss.importanceCap == nil)
  }

  @Test("Every preset fills the settings and leaves the shaping", arguments: Preset.all)
  func everyPresetFillsTheSettingsAndLeavesTheShaping(_ preset: Preset) throws {
    let settings = try load("algorithm: {preset: \(preset.name)}")
    #expect(settings.algorithm.loss == preset.loss)
    #expect(settings.algorithm.advantage == preset.advantage)
    #expect(settings.algorithm.shaping == ShapingSettings())
  }

  @Test("Overrides win and the last one counts")
  func overridesWinAndTheLastOneCounts() throws {
    let settings = try load(
      "rollout: {group_size: 4}",
      [
        "rollout.group_size=6", "rollout.group_size=8", "task.operations=-", "farm.listen=tcp://*:1",
        "task.system_prompt=Answer: yes", "task.train_file=", "rollout.stop_strings=[a, b]",
        "algorithm.loss.importance_cap=null", "run.name=\"x\\ty\"",
      ])
    #expect(settings.rollout.groupSize == 8)
    #expect(settings.task[ArithmeticOptions.self].operations == "-")
    #expect(settings.farm.listen == "tcp://*:1")
    #expect(settings.task.systemPrompt == "Answer: yes")
    #expect(settings.rollout.stopStrings == ["a", "b"])
    #expect(settings.algorithm.loss.importanceCap == nil)
    #expect(settings.run.name == "x\ty")
    #expect(try load("", ["task.system_prompt=null"]).task.systemPrompt == nil)
  }

  @Test("Names and words of earlier versions are read, and written as the present ones")
  func formerNames() throws {
    let yaml = """
      farm: {patience_seconds: 40, survivors_min: 3, stragglers: shrink}
      algorithm: {shaping: {level: sample}}
      """
    for settings in [
      try load(yaml),
      try load(
        "",
        [
          "farm.patience_seconds=40", "farm.survivors_min=3", "farm.stragglers=shrink",
          "algorithm.shaping.level=sample",
        ]),
    ] {
      #expect(settings.farm.timeoutSeconds == 40)
      #expect(settings.farm.partialGroupMin == 3)
      #expect(settings.farm.stragglers == .partial)
      #expect(settings.algorithm.shaping.level == .group)
      let text = settings.described()
      #expect(text.contains("timeout_seconds: 40"))
      #expect(text.contains("level: group"))
      #expect(!text.contains("patience"))
      #expect(!text.contains("survivors"))
      #expect(!text.contains("shrink"))
      #expect(try load(text) == settings)
    }
    #expect(try load(yaml, ["farm.timeout_seconds=50"]).farm.timeoutSeconds == 50)
  }

  @Test("The first difference of two runs is named with both values, among the keys that are asked about")
  func firstDifference() throws {
    let (one, other) = (try load("run: {steps: 3, seed: 2}"), try load("run: {steps: 4}\nfarm: {workers: 5}"))
    let difference = try #require(one.firstDifference(from: other) { $0 != "run.seed" })
    #expect(difference == ("run.steps", "3", "4"))
    #expect(one.firstDifference(from: other) { $0.hasPrefix("model.") } == nil)
  }

  struct Refusal: Sendable, CustomTestStringConvertible {
    var yaml: String
    var overrides: [String] = []
    /// What the message must contain.
    var parts: [String]
    var testDescription: String { yaml + overrides.joined(separator: " ") }
  }

  static let refusals: [Refusal] = [
    Refusal(
      yaml: "run:\n  steps: 3\nrollout:\n  gruop_size: 4",
      parts: ["run.yaml:4:3", "rollout.group_size", "rollout.gruop_size"]),
    Refusal(yaml: "group_size: 4", parts: ["run.yaml:1:1", "rollout.group_size"]),
    Refusal(yaml: "rolout: {group_size: 4}", parts: ["run.yaml:1:1", "did you mean rollout"]),
    Refusal(yaml: "rollout.group_size: 4", parts: ["run.yaml:1:1", "rollout.group_size"]),
    Refusal(yaml: "zzzzzzzz: 4", parts: ["expected a known key, found zzzzzzzz"]),
    Refusal(yaml: "rollout:\n  group_size: four", parts: ["run.yaml:2:3", "rollout.group_size", "an integer", "four"]),
    Refusal(yaml: "rollout: {group_size: 4.5}", parts: ["an integer", "4.5"]),
    Refusal(yaml: "rollout: {group_size: \"4\"}", parts: ["an integer", "the text \"4\""]),
    Refusal(yaml: "rollout: {group_size: 99999999999999999999}", parts: ["an integer", "99999999999999999999"]),
    Refusal(yaml: "rollout: {group_size: [4]}", parts: ["an integer", "a list"]),
    Refusal(yaml: "rollout: {group_size: }", parts: ["an integer", "nothing"]),
    Refusal(yaml: "rollout: 4", parts: ["run.yaml:1:10: rollout", "a section", "4"]),
    Refusal(yaml: "- 4", parts: ["a section of keys", "a list"]),
    Refusal(yaml: "rollout: {group_size: 1}", parts: ["rollout.group_size", "2 ... 1024", "1"]),
    Refusal(yaml: "algorithm: {shaping: {lambda: 1.5}}", parts: ["lambda", "at least 0 and at most 1", "1.5"]),
    Refusal(yaml: "algorithm: {shaping: {lambda: -0.1}}", parts: ["lambda", "-0.1"]),
    Refusal(yaml: "algorithm: {shaping: {lambda: nan}}", parts: ["lambda", "nan"]),
    Refusal(yaml: "algorithm: {shaping: {lambda: .inf}}", parts: ["lambda", ".inf"]),
    Refusal(yaml: "algorithm: {shaping: {gamma: 1}}", parts: ["gamma", "at least 0 and less than 1"]),
    Refusal(yaml: "algorithm: {shaping: {kappa: 1}}", parts: ["kappa", "more than 1"]),
    Refusal(yaml: "algorithm: {shaping: {kind: uatd}}", parts: ["shaping.kind", "none, uadt, entropy_bonus", "uatd"]),
    Refusal(yaml: "algorithm: {loss: {importance_cap: 0}}", parts: ["importance_cap", "more than 0", "or null"]),
    Refusal(yaml: "algorithm: {preset: ppo}", parts: ["preset", "grpo, dr_grpo, dapo, gspo, rloo", "ppo"]),
    Refusal(yaml: "farm: {workers: -1}", parts: ["farm.workers", "0 ... 1024", "-1"]),
    Refusal(yaml: "farm: {listen: 127.0.0.1}", parts: ["farm.listen", "tcp://"]),
    Refusal(yaml: "optimizer: {decay: step}", parts: ["constant, linear, cosine", "step"]),
    Refusal(yaml: "run: {name: ../x}", parts: ["run.name", "no slash"]),
    Refusal(yaml: "run: {name: null}", parts: ["run.name", "null"]),
    Refusal(yaml: "task: {operations: /}", parts: ["task.operations", "+ - *"]),
    Refusal(yaml: "task: {partial_credit: yes}", parts: ["true or false", "yes"]),
    Refusal(yaml: "task: {question_template: Solve it}", parts: ["question_template", "{question}"]),
    Refusal(yaml: "task: {held_out_share: 1}", parts: ["held_out_share", "less than 1"]),
    Refusal(yaml: "rollout: {sampling: {temperature: 0}}", parts: ["temperature", "more than 0"]),
    Refusal(yaml: "rollout: {stop_strings: [\"\"]}", parts: ["stop_strings", "none empty"]),
    Refusal(
      yaml: "algorithm:\n  updates_per_step: 3", parts: ["run.yaml:2:3: algorithm.updates_per_step", "divisor", "is 8"]),
    Refusal(yaml: "task:\n  name: gsm8k", parts: ["task.train_file", "JSONL", "gsm8k"]),
    Refusal(yaml: "task: {name: retinamnist}", parts: ["task.train_file", "an npz file", "retinamnist"]),
    Refusal(yaml: "task: {name: poetry}", parts: ["task.name", "arithmetic, gsm8k", "synthetic-fundus", "poetry"]),
    Refusal(
      yaml: "farm:\n  timeout_seconds: 1\n  patience_seconds: 2",
      parts: ["run.yaml:3:3", "each key once", "farm.timeout_seconds again", "run.yaml:2:3"]),
    Refusal(yaml: "algorithm: {shaping: {level: samples}}", parts: ["one of sequence, group", "samples"]),
    Refusal(yaml: "farm: {patience_seconds: 0}", parts: ["run.yaml:1:8: farm.timeout_seconds", "more than 0"]),
    Refusal(yaml: "task: {accuracy_weight: 0, format_weight: 0}", parts: ["both 0"]),
    Refusal(yaml: "run: {seed: 1}\nrun: {steps: 2}", parts: ["run.yaml:2:1", "each key once", "run.yaml:1:1"]),
    Refusal(yaml: "run: {seed: 1, seed: 2}", parts: ["each key once", "seed again"]),
    Refusal(yaml: "run: &a {seed: 1}\nmodel: *a", parts: ["run.yaml:2:8", "alias"]),
    Refusal(yaml: "run: {seed: 1", parts: ["run.yaml:", "YAML"]),
    Refusal(yaml: "run:\n\tseed: 1", parts: ["run.yaml:2:1", "YAML"]),
    Refusal(yaml: "run: {}\n---\nrun: {}", parts: ["one document"]),
    Refusal(yaml: "? [a]\n: b", parts: ["a key", "a list"]),
    Refusal(yaml: "", overrides: ["rollout.group_size"], parts: ["override rollout.group_size", "KEY=VALUE"]),
    Refusal(yaml: "", overrides: ["rollout.group_size=x"], parts: ["override rollout.group_size", "an integer", "x"]),
    Refusal(
      yaml: "", overrides: ["rollout.grup_size=2"],
      parts: ["override rollout.grup_size", "did you mean rollout.group_size"]),
    Refusal(yaml: "", overrides: ["rollout=2"], parts: ["override rollout", "which is a section"]),
    Refusal(yaml: "", overrides: ["rollout.group_size="], parts: ["an integer", "nothing"]),
    Refusal(yaml: "", overrides: ["algorithm.shaping.lambda=2"], parts: ["override algorithm.shaping.lambda"]),
  ]

  @Test("Bad settings are refused with their place", arguments: refusals)
  func badSettingsAreRefusedWithTheirPlace(_ refusal: Refusal) throws {
    let error = #expect(throws: InputError.self) { try load(refusal.yaml, refusal.overrides) }
    let message = error?.description ?? ""
    for part in refusal.parts { #expect(message.contains(part), "\(message)") }
    #expect(!message.contains("\n"))
  }

  @Test("Deep nesting, alias bombs and huge files are refused")
  func deepNestingAliasBombsAndHugeFilesAreRefused() {
    let deep = String(repeating: "[", count: 100_000)
    #expect(throws: InputError.self) { try load("run: " + deep) }
    #expect(throws: InputError.self) { try load(String(repeating: "{a: ", count: 1000)) }
    var bomb = "a0: &a0 [x, x]\n"
    for i in 1..<40 { bomb += "a\(i): &a\(i) [*a\(i - 1), *a\(i - 1)]\n" }
    #expect(throws: InputError.self) { try load(bomb) }
    #expect(throws: InputError.self) { try load("run: {name: " + String(repeating: "x", count: 2 << 20) + "}") }
    #expect(throws: InputError.self) {
      try load("rollout: {stop_strings: [" + String(repeating: "a,", count: 20_000) + "]}")
    }
  }

  @Test("A file cut or corrupted anywhere is read or refused")
  func aFileCutOrCorruptedAnywhereIsReadOrRefused() {
    let bytes = Array(RunSettings().described().utf8)
    for count in stride(from: 0, to: bytes.count, by: 7) {
      _ = try? SettingsFile.load(yaml: Array(bytes.prefix(count)), file: "cut.yaml")
    }
    var random = RandomStream(seed: 5, purpose: .test)
    for _ in 0..<300 {
      var corrupted = bytes
      for _ in 0..<3 {
        corrupted[Int(random.integer(below: UInt64(bytes.count)))] = UInt8(random.integer(below: 256))
      }
      _ = try? SettingsFile.load(yaml: corrupted, file: "corrupted.yaml")
    }
    #expect(throws: InputError.self) { try SettingsFile.load(yaml: [0xFF, 0xC0, 0x80], file: "bytes.yaml") }
  }

  @Test("A path that is no readable file is refused", arguments: ["/nowhere/run.yaml", "/", "/dev/zero", "a\0b"])
  func whatIsNoFileIsRefused(_ path: String) {
    #expect(throws: InputError.self) { try SettingsFile.load(path: path) }
  }
}
