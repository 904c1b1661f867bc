import Prompts
import Reinforcement
import Support
import Tensor

/// From a YAML file and dotted overrides to `RunSettings`.
///
/// Later sources win: defaults, the preset, the file, the overrides. The preset applies first wherever it stands, so the order
/// of keys means nothing. Every error names the file and line, or the override, that is to be mended.
public enum SettingsFile {
  /// - Parameters:
  ///   - path: a YAML file; nil takes the defaults.
  ///   - overrides: "section.key=value", as on the command line; the last one of a key wins.
  /// - Throws: `InputError` for bad syntax, unknown keys, wrong types, values out of range, impossible combinations.
  public static func load(path: String?, overrides: [String] = []) throws -> RunSettings {
    guard let path else { return try load(yaml: [], file: "defaults", overrides: overrides) }
    let bytes = try Files.read(path, operation: "read settings", byteCountMax: YAMLNode.byteCountMax)
    return try load(yaml: bytes, file: path, overrides: overrides)
  }

  /// As `load(path:overrides:)`, for text that is already here; `file` names it in errors.
  public static func load(yaml: [UInt8], file: String, overrides: [String] = []) throws -> RunSettings {
    var entries: [Entry] = []
    if let root = try YAMLParser.parse(yaml, file: file) { try collect(root, under: "", into: &entries) }
    entries += try overrides.map(entry(override:))

    var settings = RunSettings()
    for entry in entries where entry.key.path == "algorithm.preset" { try apply(entry, to: &settings) }
    settings.apply(preset: settings.algorithm.preset)
    var places: [String: String] = [:]
    for entry in entries {
      try apply(entry, to: &settings)
      places[entry.key.path] = entry.place
    }
    if settings.rollout.precision != .exact, places["algorithm.loss.importance_cap"] == nil {
      settings.algorithm.loss.importanceCap = RunSettings.inexactImportanceCap
    }
    try settings.checkCombinations(places: places)
    return settings
  }

  /// A value that someone gave for a key.
  private struct Entry {
    var key: SettingKey
    /// "FILE:LINE:COLUMN" or "override KEY".
    var place: String
    var value: YAMLNode
  }

  private static let keys = Dictionary(uniqueKeysWithValues: SettingKey.all.map { ($0.path, $0) })

  private static func apply(_ entry: Entry, to settings: inout RunSettings) throws {
    guard entry.key.read(entry.value, &settings) else {
      throw InputError(
        "read settings", at: "\(entry.place): \(entry.key.path)", expected: entry.key.type, found: entry.value.summary)
    }
  }

  private static func collect(_ node: YAMLNode, under prefix: String, into entries: inout [Entry]) throws {
    guard case .mapping(let members) = node.content else {
      if case .scalar("", isPlain: true) = node.content { return }
      let name = prefix.isEmpty ? "" : ": \(prefix.dropLast())"
      throw InputError("read settings", at: node.place + name, expected: "a section of keys", found: node.summary)
    }
    for (name, place, value) in members {
      let path = prefix + name
      if !name.contains("."), let key = keys[path] {
        entries.append(Entry(key: key, place: place, value: value))
      } else if !name.contains("."), keys.keys.contains(where: { $0.hasPrefix(path + ".") }) {
        try collect(value, under: path + ".", into: &entries)
      } else {
        throw unknownKey(path, place: place)
      }
    }
  }

  private static func entry(override: String) throws -> Entry {
    guard let equals = override.firstIndex(of: "=") else {
      throw InputError(
        "read settings", at: "override \(override)", expected: "KEY=VALUE, for example rollout.group_size=4",
        found: "no =")
    }
    let path = String(override[..<equals])
    let text = String(override[override.index(after: equals)...])
    let place = "override \(path)"
    guard let key = keys[path] else { throw unknownKey(path, place: place) }
    if key.isText, !text.hasPrefix("\""), !text.hasPrefix("'") {
      return Entry(key: key, place: place, value: YAMLNode(content: .scalar(text, isPlain: true), place: place))
    }
    let nothing = YAMLNode(content: .scalar("", isPlain: true), place: place)
    return Entry(key: key, place: place, value: try YAMLParser.parse(Array(text.utf8), file: place) ?? nothing)
  }

  private static func unknownKey(_ path: String, place: String) -> InputError {
    if keys.keys.contains(where: { $0.hasPrefix(path + ".") }) {
      return InputError("read settings", at: place, expected: "a key", found: "\(path), which is a section")
    }
    let expected = suggestion(for: path).map { "a known key (did you mean \($0)?)" } ?? "a known key"
    return InputError("read settings", at: place, expected: expected, found: path)
  }

  /// The known key or section that looks most like `path`; nil when none does.
  static func suggestion(for path: String) -> String? {
    let last = path.split(separator: ".").last.map(String.init) ?? path
    // A key written in the wrong section, or without one.
    if let moved = SettingKey.all.first(where: { $0.components.last.map(String.init) == last }) { return moved.path }
    var candidates: [String] = []
    for key in SettingKey.all {
      let parts = key.components
      for depth in 1...parts.count {
        let candidate = parts.prefix(depth).joined(separator: ".")
        if !candidates.contains(candidate) { candidates.append(candidate) }
      }
    }
    let scored = candidates.map { candidate in
      let name = candidate.split(separator: ".").last.map(String.init) ?? candidate
      return (candidate, min(editDistance(path, candidate), editDistance(last, name)))
    }
    guard let best = scored.min(by: { $0.1 < $1.1 }), best.1 <= max(2, last.count / 3) else { return nil }
    return best.0
  }
}

extension RunSettings {
  /// `importance_cap` when workers are inexact and nobody sets it. Source: truncated importance sampling for quantized
  /// rollouts, Yao et al., 2025, "Your Efficient RL Framework Secretly Brings You Off-Policy RL Training", and Liu, Yao et al.,
  /// 2025, "FlashRL".
  static let inexactImportanceCap: Float = 2

  /// Starts the algorithm's fields from a preset. The name must be one of `Preset.all`.
  public mutating func apply(preset name: String) {
    guard let preset = Preset.named(name) else { preconditionFailure("no preset named \(name)") }
    algorithm.preset = name
    algorithm.advantage = preset.advantage
    algorithm.loss = preset.loss
    algorithm.dynamicSampling = preset.dynamicSampling
  }

  /// Refuses what every key allows alone but not together.
  /// - Parameter places: where each key's value comes from; a key that is missing has its default.
  func checkCombinations(places: [String: String]) throws {
    func refuse(_ path: String, expected: String, found: String) -> InputError {
      InputError("read settings", at: "\(places[path] ?? "default"): \(path)", expected: expected, found: found)
    }
    if rollout.promptsPerStep % algorithm.updatesPerStep != 0 {
      throw refuse(
        "algorithm.updates_per_step",
        expected: "a divisor of rollout.prompts_per_step, which is \(rollout.promptsPerStep)",
        found: "\(algorithm.updatesPerStep)")
    }
    if !task.isBuiltIn, task.trainFile.isEmpty {
      throw refuse("task.train_file", expected: "a JSONL file, for task.name is \(task.name)", found: "nothing")
    }
    if task.accuracyWeight == 0, task.formatWeight == 0 {
      throw refuse(
        "task.accuracy_weight", expected: "a reward: accuracy_weight or format_weight above 0", found: "both 0")
    }
  }

  /// The learning rate of each step.
  public var schedule: Schedule {
    guard let decay = Schedule.Decay(rawValue: optimizer.decay) else {
      preconditionFailure("no decay named \(optimizer.decay)")
    }
    return Schedule(
      peak: optimizer.learningRate, warmupSteps: optimizer.warmupSteps, decay: decay,
      floor: optimizer.learningRateFloor, totalSteps: run.steps)
  }

  /// The learning rate of each step of a stage of supervised training.
  public func schedule(of stage: Stage) -> Schedule {
    Schedule(
      peak: stage.learningRate, warmupSteps: stage.warmupSteps, decay: stage.decay,
      floor: optimizer.learningRateFloor, totalSteps: stage.steps)
  }

  /// YAML with every key and value; it loads back to equal settings.
  public func described() -> String {
    var text = ""
    var open: [Substring] = []
    for key in SettingKey.all {
      let sections = Array(key.components.dropLast())
      let shared = zip(open, sections).prefix { $0 == $1 }.count
      for depth in shared..<sections.count {
        text += String(repeating: "  ", count: depth) + "\(sections[depth]):\n"
      }
      open = sections
      text += String(repeating: "  ", count: sections.count) + "\(key.components.last!): \(key.described(in: self))\n"
    }
    return text
  }
}
