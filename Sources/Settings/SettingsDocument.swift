import SettingKeys

/// The settings as text: of a run, and of the documentation.
extension RunSettings {
  /// YAML with every key and value; it loads back to equal settings.
  public func described() -> String {
    var text = ""
    var open: [Substring] = []
    for key in RunSettings.keys {
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

  /// The path of every key and its value as YAML, in the order of the documentation.
  public var values: [(path: String, text: String)] { Self.keys.map { ($0.path, $0.described(in: self)) } }

  /// The first key that has another value in `other`, with both values as YAML; nil when there is none.
  /// - Parameter isCompared: whether the key of a path counts.
  public func firstDifference(
    from other: RunSettings, where isCompared: (_ path: String) -> Bool = { _ in true }
  ) -> (path: String, mine: String, other: String)? {
    zip(values, other.values).first { isCompared($0.path) && $0.text != $1.text }.map { ($0.path, $0.text, $1.text) }
  }

  /// docs/SETTINGS.md: a table for each section, every key with its type, default and reason.
  public static func documentation() -> String {
    let defaults = RunSettings()
    var text = """
      # Settings

      One YAML file (`fovea train --config FILE`) and dotted overrides on the command line
      (`rollout.group_size=4 task.name=gsm8k`). Later wins: defaults, preset, file, overrides. `algorithm.preset`
      applies first wherever it stands, so the order of keys means nothing. Unknown keys, wrong types, values out of
      range and impossible combinations are refused with the file, line and column and, for a misspelt key, a
      suggestion. `--dry-run` prints every value as it would be used; the run directory keeps the same text.

      A value of text may stand without quotes. YAML's anchors and aliases are refused. Where a reason starts with the
      names of tasks, only those tasks read the key; for other tasks it is allowed and changes nothing.

      """
    var section = ""
    for key in keys {
      let name = key.components.dropLast().joined(separator: ".")
      if name != section {
        section = name
        text += "\n## \(name)\n\n| key | value | default | what and why |\n|---|---|---|---|\n"
      }
      let cells = ["`\(key.components.last!)`", key.type, "`\(key.described(in: defaults))`", explained(key)]
      text += "| " + cells.map { $0.split(separator: "|").joined(separator: "\\|") }.joined(separator: " | ") + " |\n"
    }
    return text
  }

  /// The reason, after the tasks that read the key and before its earlier names.
  private static func explained(_ key: SettingKey<RunSettings>) -> String {
    let tasks = key.tasks.isEmpty ? "" : key.tasks.joined(separator: ", ") + ": "
    let former = key.formerPaths.map { " Formerly `\($0)`, which is still read." }.joined()
    return tasks + key.reason + former
  }
}
