/// One key of the settings: its path, its type and range, its place in `RunSettings`, and why its default is what it is.
///
/// The table `SettingKey.all` is the only list of keys; reading, `RunSettings.described()` and docs/SETTINGS.md follow it.
public struct SettingKey: Sendable {
  /// Dotted, in snake_case: "rollout.group_size".
  public let path: String
  /// What a value must be, in the words of an error: "an integer, 2 ... 1024".
  public let type: String
  /// What it does and why the default is what it is.
  public let reason: String
  /// Whether an override's value is taken as it stands instead of being read as YAML.
  let isText: Bool
  /// Puts the value into the settings; false when it is not of the type.
  let read: @Sendable (YAMLNode, inout RunSettings) -> Bool
  /// The value as YAML, which `read` takes back unchanged.
  let write: @Sendable (RunSettings) -> String

  /// The value of this key, as YAML.
  public func described(in settings: RunSettings) -> String { write(settings) }

  /// The sections above the key, and its own name.
  var components: [Substring] { path.split(separator: ".") }
}

/// A place in the settings.
typealias Field<Value> = any WritableKeyPath<RunSettings, Value> & Sendable

extension SettingKey {
  /// A key of any type: `parse` gives nil for what is not of the type.
  private static func key<Value>(
    _ path: String, _ field: Field<Value>, _ type: String, isText: Bool = false, _ reason: String,
    parse: @escaping @Sendable (YAMLNode) -> Value?, format: @escaping @Sendable (Value) -> String
  ) -> SettingKey {
    SettingKey(
      path: path, type: type, reason: reason, isText: isText,
      read: { node, settings in
        guard let value = parse(node) else { return false }
        settings[keyPath: field] = value
        return true
      },
      write: { format($0[keyPath: field]) })
  }

  static func integer(
    _ path: String, _ field: Field<Int>, _ range: ClosedRange<Int>, _ reason: String
  ) -> SettingKey {
    key(
      path, field, "an integer, \(range.lowerBound) ... \(range.upperBound)", reason,
      parse: { node in plain(node).flatMap { Int($0) }.flatMap { range.contains($0) ? $0 : nil } },
      format: { "\($0)" })
  }

  static func seed(_ path: String, _ field: Field<UInt64>, _ reason: String) -> SettingKey {
    key(
      path, field, "an integer, 0 or more, of 64 bits", reason, parse: { plain($0).flatMap { UInt64($0) } },
      format: { "\($0)" })
  }

  /// A finite number within `range`.
  static func number<Value: BinaryFloatingPoint & LosslessStringConvertible & Sendable>(
    _ path: String, _ field: Field<Value>, _ range: NumberRange, _ reason: String
  ) -> SettingKey {
    key(
      path, field, "a number, \(range)", reason, parse: { number($0, range) }, format: { "\($0)" })
  }

  /// A number or null.
  static func optionalNumber(
    _ path: String, _ field: Field<Float?>, _ range: NumberRange, _ reason: String
  ) -> SettingKey {
    key(
      path, field, "a number, \(range), or null", reason,
      parse: { node in isNull(node) ? .some(nil) : number(node, range).map { .some($0) } },
      format: { $0.map { "\($0)" } ?? "null" })
  }

  static func flag(_ path: String, _ field: Field<Bool>, _ reason: String) -> SettingKey {
    key(
      path, field, "true or false", reason,
      parse: { node in plain(node).flatMap { Bool($0) } }, format: { "\($0)" })
  }

  /// Text that satisfies `isValid`; `rule` says what that is.
  static func text(
    _ path: String, _ field: Field<String>, _ rule: String, _ reason: String,
    isValid: @escaping @Sendable (String) -> Bool = { _ in true }
  ) -> SettingKey {
    key(
      path, field, rule, isText: true, reason, parse: { node in text(node).flatMap { isValid($0) ? $0 : nil } },
      format: quoted)
  }

  /// Text or null.
  static func optionalText(
    _ path: String, _ field: Field<String?>, _ rule: String, _ reason: String,
    isValid: @escaping @Sendable (String) -> Bool = { _ in true }
  ) -> SettingKey {
    key(
      path, field, "\(rule), or null", isText: true, reason,
      parse: { node in isNull(node) ? .some(nil) : text(node).flatMap { isValid($0) ? .some($0) : nil } },
      format: { $0.map(quoted) ?? "null" })
  }

  static func texts(
    _ path: String, _ field: Field<[String]>, countMax: Int, _ reason: String
  ) -> SettingKey {
    key(
      path, field, "a list of at most \(countMax) texts, none empty", reason,
      parse: { node in
        guard case .sequence(let items) = node.content, items.count <= countMax else { return nil }
        let texts = items.compactMap { $0.text }.filter { !$0.isEmpty }
        return texts.count == items.count ? texts : nil
      },
      format: { "[" + $0.map(quoted).joined(separator: ", ") + "]" })
  }

  static func choice<Value: RawRepresentable<String> & CaseIterable & Sendable>(
    _ path: String, _ field: Field<Value>, _ reason: String
  ) -> SettingKey {
    key(
      path, field, oneOf(Value.allCases.map(\.rawValue)), reason,
      parse: { $0.text.flatMap { Value(rawValue: $0) } }, format: { $0.rawValue })
  }

  /// Some of the values, each once and at least one.
  static func choices<Value: RawRepresentable<String> & CaseIterable & Hashable & Sendable>(
    _ path: String, _ field: Field<[Value]>, _ reason: String
  ) -> SettingKey {
    key(
      path, field, "a list of some of \(Value.allCases.map(\.rawValue).joined(separator: ", "))", reason,
      parse: { node in
        guard case .sequence(let items) = node.content else { return nil }
        let values = items.compactMap { $0.text.flatMap { Value(rawValue: $0) } }
        return values.isEmpty || values.count != items.count || Set(values).count != values.count ? nil : values
      },
      format: { "[" + $0.map(\.rawValue).joined(separator: ", ") + "]" })
  }

  static func choice(
    _ path: String, _ field: Field<String>, among names: [String], _ reason: String
  ) -> SettingKey {
    key(
      path, field, oneOf(names), reason, parse: { $0.text.flatMap { names.contains($0) ? $0 : nil } }, format: { $0 })
  }

  private static func oneOf(_ names: [String]) -> String { "one of \(names.joined(separator: ", "))" }

  private static func plain(_ node: YAMLNode) -> String? {
    if case .scalar(let text, isPlain: true) = node.content { text } else { nil }
  }

  private static func isNull(_ node: YAMLNode) -> Bool { plain(node).map { ["null", "~", ""].contains($0) } ?? false }

  /// Any scalar but a plain null; nothing at all is empty text.
  private static func text(_ node: YAMLNode) -> String? {
    isNull(node) && node.text != "" ? nil : node.text
  }

  /// Decimal notation only: neither hexadecimal nor `inf` nor `nan`.
  private static func number<Value: BinaryFloatingPoint & LosslessStringConvertible>(
    _ node: YAMLNode, _ range: NumberRange
  ) -> Value? {
    guard let text = plain(node), text.allSatisfy({ "0123456789+-.eE".contains($0) }), let value = Value(text),
      value.isFinite, range.contains(Double(value))
    else { return nil }
    return value
  }

  /// A YAML double-quoted scalar; everything that YAML might read as a line break or refuse is escaped.
  private static func quoted(_ text: String) -> String {
    func hexadecimal(_ scalar: Unicode.Scalar) -> String {
      let digits = String(scalar.value, radix: 16, uppercase: true)
      return "\\U" + String(repeating: "0", count: 8 - digits.count) + digits
    }
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\": result += "\\\(scalar)"
      case "\n": result += "\\n"
      case "\t": result += "\\t"
      case " "..."~", "\u{A1}"..."\u{2027}", "\u{202A}"..."\u{D7FF}": result.unicodeScalars.append(scalar)
      default: result += hexadecimal(scalar)
      }
    }
    return result + "\""
  }
}

/// An interval of numbers, each end open or closed, as errors and the documentation spell it.
struct NumberRange: Sendable, CustomStringConvertible {
  var lower: Double
  var upper: Double
  var includesLower = true
  var includesUpper = true

  func contains(_ value: Double) -> Bool {
    (includesLower ? value >= lower : value > lower) && (includesUpper ? value <= upper : value < upper)
  }

  /// At least / more than, at most / less than.
  static func closed(_ lower: Double, _ upper: Double) -> Self { Self(lower: lower, upper: upper) }
  static func halfOpen(_ lower: Double, _ upper: Double) -> Self {
    Self(lower: lower, upper: upper, includesUpper: false)
  }
  static func above(_ lower: Double, upTo upper: Double) -> Self {
    Self(lower: lower, upper: upper, includesLower: false)
  }
  static func between(_ lower: Double, _ upper: Double) -> Self {
    Self(lower: lower, upper: upper, includesLower: false, includesUpper: false)
  }

  var description: String {
    func text(_ value: Double) -> String { Int(exactly: value).map { "\($0)" } ?? "\(value)" }
    return "\(includesLower ? "at least" : "more than") \(text(lower)) and "
      + "\(includesUpper ? "at most" : "less than") \(text(upper))"
  }
}
