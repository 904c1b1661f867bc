/// One key of the settings: its path, its type and range, its place in `Settings`, and why its default is what it is.
///
/// A table of keys is the only list of what can be set; reading, writing and docs/SETTINGS.md follow it. A part of the
/// settings (a task, a stage of training) has a table of its own with its own `Settings`, and the whole takes it in
/// with `within`.
public struct SettingKey<Settings: Sendable>: Sendable {
  /// Dotted, in snake_case: "rollout.group_size".
  public let path: String
  /// The expected value, as errors name it: "an integer, 2 ... 1024".
  public let type: String
  /// The effect of the setting, and the reason for its default.
  public let reason: String
  /// The paths that it had in earlier versions; they are still read, and never written.
  public private(set) var formerPaths: [String] = []
  /// The tasks that read it; empty for a key that every run reads.
  public private(set) var tasks: [String] = []
  /// Whether an override's value is taken as it stands instead of being read as YAML.
  package let isText: Bool
  private let read: @Sendable (YAMLNode, inout Settings) -> Bool
  private let write: @Sendable (Settings) -> String

  /// - Parameters:
  ///   - read: puts the value into the settings; false when it is not of the type.
  ///   - write: the value as YAML, which `read` takes back unchanged.
  package init(
    path: String, type: String, reason: String, isText: Bool,
    read: @escaping @Sendable (YAMLNode, inout Settings) -> Bool, write: @escaping @Sendable (Settings) -> String
  ) {
    self.path = path
    self.type = type
    self.reason = reason
    self.isText = isText
    self.read = read
    self.write = write
  }

  /// The value of this key, as YAML.
  public func described(in settings: Settings) -> String { write(settings) }

  /// Puts a value into the settings.
  /// - Returns: false when the value is not of the key's type; then the settings are as before.
  package func apply(_ value: YAMLNode, to settings: inout Settings) -> Bool { read(value, &settings) }

  /// The sections above the key, and its own name.
  package var components: [Substring] { path.split(separator: ".") }

  /// This key, which earlier versions knew by another path.
  package func formerly(_ path: String) -> SettingKey {
    var key = self
    key.formerPaths.append(path)
    return key
  }

  /// This key, as one that only these tasks read.
  package func read(by tasks: [String]) -> SettingKey {
    var key = self
    key.tasks = tasks
    return key
  }

  /// The key as one of larger settings: "terms" of a task is "task.terms" of a run.
  package func within<Whole: Sendable>(
    _ section: String, _ field: any WritableKeyPath<Whole, Settings> & Sendable
  ) -> SettingKey<Whole> {
    lifted("\(section).", get: { $0[keyPath: field] }, set: { $0[keyPath: field] = $1 })
  }

  /// The key as one of larger settings, which hold those of this key where `get` and `set` say.
  /// - Parameter prefix: is put in front of the path.
  package func lifted<Whole: Sendable>(
    _ prefix: String = "", get: @escaping @Sendable (Whole) -> Settings,
    set: @escaping @Sendable (inout Whole, Settings) -> Void
  ) -> SettingKey<Whole> {
    var key = SettingKey<Whole>(
      path: prefix + path, type: type, reason: reason, isText: isText,
      read: { [read] node, whole in
        var part = get(whole)
        guard read(node, &part) else { return false }
        set(&whole, part)
        return true
      },
      write: { [write] in write(get($0)) })
    key.formerPaths = formerPaths.map { prefix + $0 }
    key.tasks = tasks
    return key
  }
}
