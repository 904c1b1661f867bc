/// The types of values that keys have: numbers, switches, text, lists of text, choices.
extension SettingKey {
  /// A place in the settings.
  package typealias Field<Value> = any WritableKeyPath<Settings, Value> & Sendable

  /// A key of any type.
  /// - Parameters:
  ///   - parse: gives nil for what is not of the type.
  ///   - format: writes YAML that `parse` takes back unchanged.
  package static func key<Value>(
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

  /// A whole number within `range`.
  package static func integer(
    _ path: String, _ field: Field<Int>, _ range: ClosedRange<Int>, _ reason: String
  ) -> SettingKey {
    key(
      path, field, "an integer, \(range.lowerBound) ... \(range.upperBound)", reason,
      parse: { node in plain(node).flatMap { Int($0) }.flatMap { range.contains($0) ? $0 : nil } },
      format: { "\($0)" })
  }

  /// A whole number of 64 bits, 0 or more.
  package static func seed(_ path: String, _ field: Field<UInt64>, _ reason: String) -> SettingKey {
    key(
      path, field, "an integer, 0 or more, of 64 bits", reason, parse: { plain($0).flatMap { UInt64($0) } },
      format: { "\($0)" })
  }

  /// A finite number within `range`.
  package static func number<Value: BinaryFloatingPoint & LosslessStringConvertible & Sendable>(
    _ path: String, _ field: Field<Value>, _ range: NumberRange, _ reason: String
  ) -> SettingKey {
    key(
      path, field, "a number, \(range)", reason, parse: { number($0, range) }, format: { "\($0)" })
  }

  /// A number or null.
  package static func optionalNumber(
    _ path: String, _ field: Field<Float?>, _ range: NumberRange, _ reason: String
  ) -> SettingKey {
    key(
      path, field, "a number, \(range), or null", reason,
      parse: { node in isNull(node) ? .some(nil) : number(node, range).map { .some($0) } },
      format: { $0.map { "\($0)" } ?? "null" })
  }

  /// true or false.
  package static func flag(_ path: String, _ field: Field<Bool>, _ reason: String) -> SettingKey {
    key(
      path, field, "true or false", reason,
      parse: { node in plain(node).flatMap { Bool($0) } }, format: { "\($0)" })
  }

  /// Text that satisfies `isValid`; `rule` says what that is.
  package static func text(
    _ path: String, _ field: Field<String>, _ rule: String, _ reason: String,
    isValid: @escaping @Sendable (String) -> Bool = { _ in true }
  ) -> SettingKey {
    key(
      path, field, rule, isText: true, reason, parse: { node in text(node).flatMap { isValid($0) ? $0 : nil } },
      format: quoted)
  }

  /// Text or null.
  package static func optionalText(
    _ path: String, _ field: Field<String?>, _ rule: String, _ reason: String,
    isValid: @escaping @Sendable (String) -> Bool = { _ in true }
  ) -> SettingKey {
    key(
      path, field, "\(rule), or null", isText: true, reason,
      parse: { node in isNull(node) ? .some(nil) : text(node).flatMap { isValid($0) ? .some($0) : nil } },
      format: { $0.map(quoted) ?? "null" })
  }

  /// A list of at most `countMax` texts.
  package static func texts(
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

  /// One of the values of an enumeration.
  /// - Parameter formerly: words that named a value in earlier versions; they are still read, and never written.
  package static func choice<Value: RawRepresentable<String> & CaseIterable & Sendable>(
    _ path: String, _ field: Field<Value>, formerly: [String: Value] = [:], _ reason: String
  ) -> SettingKey {
    key(
      path, field, oneOf(Value.allCases.map(\.rawValue)), reason,
      parse: { $0.text.flatMap { Value(rawValue: $0) ?? formerly[$0] } }, format: { $0.rawValue })
  }

  /// Some of the values, each once and at least one.
  package static func choices<Value: RawRepresentable<String> & CaseIterable & Hashable & Sendable>(
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

  /// One of the names of a table.
  package static func choice(
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
