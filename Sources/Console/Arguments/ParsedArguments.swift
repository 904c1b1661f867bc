/// A command line that a command could not be made of. The process says it in one line and ends with `ExitCode.usage`.
public struct UsageError: Error, Equatable, Sendable, CustomStringConvertible {
  public var message: String
  /// A suggestion, shown in a second line.
  public var hint: String?

  public init(_ message: String, hint: String? = nil) {
    self.message = message
    self.hint = hint
  }

  public var description: String { message + (hint.map { "\n  \($0)" } ?? "") }
}

/// The words of a command line, sorted by a `CommandSpecification`.
///
/// Invariant: it holds only options that the specification names, every required one among them, each at most once
/// unless it repeats, with a value exactly when it takes one, and as many operands as the specification allows.
public struct ParsedArguments: Equatable, Sendable {
  public let command: CommandSpecification
  private var values: [String: [String]] = [:]
  private var flags: Set<String> = []
  /// The words that belong to no option, in order.
  public private(set) var operands: [String] = []

  /// Sorts the words after the command's name. `--` ends the options.
  public init(_ words: [String], for command: CommandSpecification) throws {
    self.command = command
    var index = words.startIndex
    var optionsEnded = false
    while index < words.endIndex {
      let word = words[index]
      index += 1
      if optionsEnded || !word.hasPrefix("-") || word == "-" || Self.isNumber(word) {
        operands.append(word)
      } else if word == "--" {
        optionsEnded = true
      } else {
        try take(option: word, from: words, at: &index)
      }
    }
    try check()
  }

  private static func isNumber(_ word: String) -> Bool { Double(word) != nil }

  private mutating func take(option word: String, from words: [String], at index: inout Int) throws {
    let parts = word.drop { $0 == "-" }.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    let given = parts.first.map(String.init) ?? ""
    let option = command.options.first { $0.name == given } ?? command.options.first { $0.aliases.contains(given) }
    guard word.hasPrefix("--"), let option else {
      let near = nearest(to: given, among: command.options.map(\.name))
      throw UsageError(
        "fovea \(command.name) has no option \(word.split(separator: "=").first ?? "")",
        hint: near.map { "did you mean --\($0)?" } ?? "fovea help \(command.name) lists its options")
    }
    let name = option.name
    if values[name] != nil && !option.repeats || flags.contains(name) { throw UsageError("--\(name) is given twice") }
    guard let placeholder = option.value else {
      if parts.count > 1 { throw UsageError("--\(name) takes no value") }
      flags.insert(name)
      return
    }
    if parts.count > 1 {
      values[name, default: []].append(String(parts[1]))
    } else {
      guard index < words.endIndex else { throw UsageError("--\(name) needs a value: --\(name) \(placeholder)") }
      values[name, default: []].append(words[index])
      index += 1
    }
  }

  private func check() throws {
    let help = "fovea help \(command.name) shows how it is used"
    for option in command.options where option.isRequired && values[option.name] == nil {
      throw UsageError("fovea \(command.name) needs \(option.syntax)", hint: help)
    }
    switch command.operands {
    case .none:
      if let word = operands.first { throw UsageError("fovea \(command.name) takes no \"\(word)\"", hint: help) }
    case .one(let name, _):
      if operands.isEmpty { throw UsageError("fovea \(command.name) needs \(name)", hint: help) }
      if operands.count > 1 {
        throw UsageError("fovea \(command.name) takes one \(name), not \(operands.count)", hint: help)
      }
    case .optional(let name, _):
      if operands.count > 1 {
        throw UsageError("fovea \(command.name) takes one \(name), not \(operands.count)", hint: help)
      }
    case .many: break
    }
  }

  /// Whether the flag was given.
  public func has(_ flag: String) -> Bool { flags.contains(flag) }

  /// The option's text, or nil when it was not given.
  public subscript(_ option: String) -> String? { values[option]?.first }

  /// Every text of an option that may be given several times, in order.
  public func all(_ option: String) -> [String] { values[option] ?? [] }

  /// The text of a required option.
  public func required(_ option: String) -> String {
    guard let value = self[option] else { preconditionFailure("--\(option) is not a required option") }
    return value
  }

  /// The option as a whole number of the range, or nil when it was not given.
  public func integer(_ option: String, in range: ClosedRange<Int>) throws -> Int? {
    guard let text = self[option] else { return nil }
    guard let value = Int(text), range.contains(value) else {
      let bound =
        range.upperBound == .max ? "at least \(range.lowerBound)" : "\(range.lowerBound) to \(range.upperBound)"
      throw UsageError("--\(option) takes a whole number, \(bound), not \"\(text)\"")
    }
    return value
  }

  /// The option as a number of the range, or nil when it was not given.
  public func number(_ option: String, in range: ClosedRange<Double>) throws -> Double? {
    guard let text = self[option] else { return nil }
    guard let value = Double(text), range.contains(value) else {
      throw UsageError("--\(option) takes a number, \(range.lowerBound) to \(range.upperBound), not \"\(text)\"")
    }
    return value
  }
}
