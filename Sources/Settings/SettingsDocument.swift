extension SettingKey {
  /// docs/SETTINGS.md: a table for each section, every key with its type, default and reason.
  public static func documentation() -> String {
    let defaults = RunSettings()
    var text = """
      # Settings

      One YAML file (`fovea train --config FILE`) and dotted overrides on the command line
      (`rollout.group_size=4 task.name=gsm8k`). Later wins: defaults, preset, file, overrides. `algorithm.preset` applies
      first wherever it stands, so the order of keys means nothing. Unknown keys, wrong types, values out of range and
      impossible combinations are refused with the file, line and column and, for a misspelt key, a suggestion.
      `--dry-run` prints every value as it would be used; the run directory keeps the same text.

      A value of text may stand without quotes. YAML's anchors and aliases are refused.

      """
    var section = ""
    for key in all {
      let name = key.components.dropLast().joined(separator: ".")
      if name != section {
        section = name
        text += "\n## \(name)\n\n| key | value | default | what and why |\n|---|---|---|---|\n"
      }
      let cells = ["`\(key.components.last!)`", key.type, "`\(key.described(in: defaults))`", key.reason]
      text += "| " + cells.map { $0.split(separator: "|").joined(separator: "\\|") }.joined(separator: " | ") + " |\n"
    }
    return text
  }
}
