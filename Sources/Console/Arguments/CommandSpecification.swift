/// The options and operands of a subcommand, as data: one table for parsing, help and error messages.

/// One option of a command: `--name VALUE` or `--name=VALUE`, or a flag when it takes no value.
public struct OptionSpecification: Equatable, Sendable {
  /// The option's name, without the dashes.
  public var name: String
  /// The placeholder of its value in the help text; nil makes it a flag.
  public var value: String?
  /// One sentence for the help text.
  public var summary: String
  public var isRequired: Bool
  /// Whether it may be given several times.
  public var repeats = false
  /// Earlier names, which are still accepted and not shown.
  public var aliases: [String] = []

  /// An option that takes a value.
  public static func option(
    _ name: String, _ value: String, _ summary: String, required: Bool = false, aliases: [String] = []
  ) -> Self {
    Self(name: name, value: value, summary: summary, isRequired: required, aliases: aliases)
  }

  /// An option that takes a value and may be given several times.
  public static func list(_ name: String, _ value: String, _ summary: String) -> Self {
    Self(name: name, value: value, summary: summary, isRequired: false, repeats: true)
  }

  /// An option without a value.
  public static func flag(_ name: String, _ summary: String) -> Self {
    Self(name: name, value: nil, summary: summary, isRequired: false)
  }

  var syntax: String { value.map { "--\(name) \($0)" } ?? "--\(name)" }
}

/// Words that belong to no option.
public enum OperandSpecification: Equatable, Sendable {
  case none
  /// Exactly one, required.
  case one(name: String, summary: String)
  /// At most one.
  case optional(name: String, summary: String)
  /// Any number.
  case many(name: String, summary: String)

  var help: (syntax: String, summary: String)? {
    switch self {
    case .none: nil
    case .one(let name, let summary): (name, summary)
    case .optional(let name, let summary): ("[\(name)]", summary)
    case .many(let name, let summary): ("[\(name) ...]", summary)
    }
  }
}

/// A subcommand.
public struct CommandSpecification: Equatable, Sendable {
  public var name: String
  /// One line for the list of commands.
  public var summary: String
  public var options: [OptionSpecification]
  public var operands: OperandSpecification
  /// Paragraphs below the options in `fovea help NAME`; examples above all.
  public var notes: [String]

  public init(
    _ name: String, _ summary: String, options: [OptionSpecification] = [], operands: OperandSpecification = .none,
    notes: [String] = []
  ) {
    self.name = name
    self.summary = summary
    self.options = options
    self.operands = operands
    self.notes = notes
  }

  /// The text of `fovea help NAME`, a line an element.
  public var help: [String] {
    var usage = "usage: fovea \(name)"
    for option in options where option.isRequired { usage += " \(option.syntax)" }
    if options.contains(where: { !$0.isRequired }) { usage += " [options]" }
    if let operand = operands.help { usage += " \(operand.syntax)" }
    var lines = [usage, "", summary]
    var rows = options.map { ($0.syntax, $0.summary + ($0.isRequired ? " Required." : "")) }
    if let operand = operands.help { rows.insert((operand.syntax, operand.summary), at: 0) }
    if !rows.isEmpty {
      lines.append("")
      lines += Self.table(rows)
    }
    for note in notes { lines += [""] + note.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) }
    return lines
  }

  /// Two columns, the second one wrapped at 100 columns in all.
  public static func table(_ rows: [(String, String)]) -> [String] {
    let left = min(30, rows.map(\.0.count).max() ?? 0) + 4
    var lines: [String] = []
    for (name, summary) in rows {
      var line = "  " + name
      if line.count + 2 > left {
        lines.append(line)
        line = ""
      }
      line += String(repeating: " ", count: left - line.count)
      for word in summary.split(separator: " ") {
        if line.count + word.count > 100 {
          lines.append(line)
          line = String(repeating: " ", count: left)
        }
        line += (line.last == " " ? "" : " ") + word
      }
      lines.append(line)
    }
    return lines
  }
}
