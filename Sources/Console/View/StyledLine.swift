/// One line for a terminal: text whose parts know what they mean, cut to a width before any escape sequence is added.
///
/// Invariant: no control character gets in, wherever the text comes from, so a peer's name cannot move the cursor.
public struct StyledLine: Equatable, Sendable {
  /// The meaning of a part of a line; colour is one way to show it.
  public enum Style: Sendable {
    case plain, title, faint, good, warning, bad, accent
    /// Black on a step of `EntropyScale`.
    case shade(Int)

    var code: String? {
      switch self {
      case .plain: nil
      case .title: "1"
      case .faint: "2"
      case .good: "32"
      case .warning: "33"
      case .bad: "31"
      case .accent: "36"
      case .shade(let level): "38;5;16;48;5;\(EntropyScale.colours[level])"
      }
    }
  }

  private var parts: [(text: String, style: Style)] = []

  public init(_ text: String = "", _ style: Style = .plain) { add(text, style) }

  public static func == (a: Self, b: Self) -> Bool { a.rendered(colour: true) == b.rendered(colour: true) }

  /// Appends text; control characters become "?".
  public mutating func add(_ text: String, _ style: Style = .plain) {
    if text.isEmpty { return }
    parts.append((Self.printable(text), style))
  }

  /// The text with "?" for each control character.
  static func printable(_ text: String) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.map { isControl($0) ? "?" : $0 }))
  }

  /// Appends text filled with spaces to `width` columns, or cut to it; numbers go to the right edge.
  public mutating func add(_ text: String, _ style: Style = .plain, width: Int, right: Bool = false) {
    let cut = text.cut(toColumns: width)
    let space = String(repeating: " ", count: max(0, width - cut.columns))
    if right { add(space) }
    add(cut, style)
    if !right { add(space) }
  }

  /// Appends the parts of another line.
  public mutating func add(_ other: StyledLine) { parts += other.parts }

  /// Columns that the line takes on a terminal.
  public var columns: Int { parts.reduce(0) { $0 + $1.text.columns } }

  /// The text alone, without spaces at its end.
  public var text: String {
    var text = parts.map(\.text).joined()
    while text.last == " " { text.removeLast() }
    return text
  }

  /// The line for a terminal, at most `width` columns, with SGR sequences when `colour`.
  public func rendered(width: Int = .max, colour: Bool) -> String {
    var result = ""
    var left = width
    for (text, style) in parts {
      let cut = text.cut(toColumns: left)
      left -= cut.columns
      if colour, let code = style.code, !cut.isEmpty {
        result += "\u{1B}[\(code)m\(cut)\u{1B}[0m"
      } else {
        result += cut
      }
      if cut.count < text.count { break }
    }
    return result
  }

  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate: true
    default: false
    }
  }
}

extension String {
  /// Columns on a terminal: 2 for wide East Asian characters and emoji, 0 for combining marks, else 1.
  public var columns: Int { reduce(0) { $0 + $1.columns } }

  /// The longest beginning of at most this number of columns; its last column is "…" when something was cut off.
  public func cut(toColumns width: Int) -> String {
    if width <= 0 { return "" }
    if utf8.count <= width || columns <= width { return self }
    var result = ""
    var left = width - 1
    for character in self {
      left -= character.columns
      if left < 0 { break }
      result.append(character)
    }
    return result + "…"
  }
}

extension Character {
  fileprivate var columns: Int {
    guard let first = unicodeScalars.first else { return 0 }
    if first.isASCII { return 1 }
    if first.properties.generalCategory == .nonspacingMark { return 0 }
    switch first.value {
    case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F,
      0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1FAFF, 0x20000...0x3FFFD:
      return 2
    default: return 1
    }
  }
}
