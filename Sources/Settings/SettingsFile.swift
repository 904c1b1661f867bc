import Prompts
import Reinforcement
import SettingKeys
import Support
import Tasks
import Tensor

/// Reads `RunSettings` from a YAML file and dotted overrides.
///
/// Later sources win: defaults, the preset, the file, the overrides. The preset applies first wherever it stands, so
/// the order of keys means nothing. Every error names the file and line, or the override, that is to be fixed.
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

  /// Loads settings like `load(path:overrides:)`, from text that has been read; `file` names it in errors.
  public static func load(yaml: [UInt8], file: String, overrides: [String] = []) throws -> RunSettings {
    var entries: [Entry] = []
    if let root = try YAMLParser.parse(yaml, file: file) { try collect(root, under: "", into: &entries) }
    try checkThatEachKeyIsThereOnce(entries)
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
    var key: SettingKey<RunSettings>
    /// "FILE:LINE:COLUMN" or "override KEY".
    var place: String
    var value: YAMLNode
  }

  /// The keys by path, former paths included.
  private static let keys = Dictionary(
    uniqueKeysWithValues: RunSettings.keys.flatMap { key in ([key.path] + key.formerPaths).map { ($0, key) } })

  private static func apply(_ entry: Entry, to settings: inout RunSettings) throws {
    guard entry.key.apply(entry.value, to: &settings) else {
      throw InputError(
        "read settings", at: "\(entry.place): \(entry.key.path)", expected: entry.key.type, found: entry.value.summary)
    }
  }

  /// The parser refuses a path that stands twice in a file; this refuses a key that stands there by two of its paths.
  private static func checkThatEachKeyIsThereOnce(_ entries: [Entry]) throws {
    var places: [String: String] = [:]
    for entry in entries {
      if let first = places.updateValue(entry.place, forKey: entry.key.path) {
        throw InputError(
          "read settings", at: entry.place, expected: "each key once",
          found: "\(entry.key.path) again, by an earlier name (first at \(first))")
      }
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
    if let moved = RunSettings.keys.first(where: { $0.components.last.map(String.init) == last }) { return moved.path }
    var candidates: [String] = []
    for key in RunSettings.keys {
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
