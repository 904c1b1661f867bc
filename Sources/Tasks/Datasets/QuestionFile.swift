import Prompts
import Support

/// JSONL files of questions: one object a line, blank lines skipped. Keys that are not listed are ignored.
///
/// gsm8k: `question`, `answer` (reasoning, then "#### " and the number). multiple_choice: `question`, `options` (a list
/// of 2 to 26 texts), `answer` ("B", "A,C" or ["A", "C"]), optionally `type` (true_false, single_choice,
/// multiple_choice; without it, one letter means single_choice) and `reason`. true_false may leave out `options` (A is
/// True, B is False) and give true or false as `answer`. open_ended: `question`, `answer`, optionally `aliases` (other
/// right answers) and `reason`.
enum QuestionFile {
  static let lineByteCountMax = 1 << 20
  static let byteCountMax = 1 << 30
  static let rowCountMax = 5_000_000

  /// Every question of a file, in order.
  /// - Throws: `InputError` with the file, the line, the key, what was expected and what was found.
  static func load(_ path: String, _ format: QuestionFormat) throws -> [Question] {
    var questions: [Question] = []
    try TextFile.forEachLine(
      path, operation: "read task data", lineByteCountMax: lineByteCountMax, byteCountMax: byteCountMax
    ) { line, bytes in
      guard !bytes.allSatisfy({ [0x20, 0x09].contains($0) }) else { return }
      guard questions.count < rowCountMax else {
        throw InputError("read task data", at: path, expected: "at most \(rowCountMax) rows", found: "more")
      }
      let row = Row(json: try JSON.parse(bytes, place: "\(path):\(line)"), place: "\(path):\(line)")
      let question =
        switch format {
        case .gsm8k: try row.gsm8k()
        case .multipleChoice: try row.choice()
        case .openEnded: try row.openEnded()
        }
      questions.append(question)
    }
    return questions
  }

  /// One line.
  private struct Row {
    var json: JSON
    var place: String

    func failure(_ key: String, expected: String, found: String) -> InputError {
      InputError("read task data", at: "\(place): \(key)", expected: expected, found: found)
    }

    /// Text that is not blank.
    func text(_ key: String) throws -> String {
      guard json.object != nil else {
        throw InputError("read task data", at: place, expected: "an object", found: json.summary)
      }
      guard let text = json[key]?.string, text.contains(where: { !$0.isWhitespace }) else {
        throw failure(key, expected: "text", found: json[key]?.summary ?? "nothing")
      }
      return text
    }

    func reason() throws -> String? { json["reason"] == nil || json["reason"] == .null ? nil : try text("reason") }

    func gsm8k() throws -> Question {
      let question = try text("question")
      let answer = try text("answer")
      let marker = "#### "
      let parts = answer.split(separator: marker, omittingEmptySubsequences: false)
      let number = parts.last.map { $0.trimmed } ?? ""
      guard parts.count >= 2, DecimalNumber.last(in: number) != nil else {
        throw failure("answer", expected: "\"#### \" and a number at the end", found: JSON.string(answer).summary)
      }
      return Question(
        text: question, reasoning: parts.dropLast().joined(separator: marker).withoutCalculatorNotes.trimmed,
        answer: number, type: .number)
    }

    func choice() throws -> Question {
      let question = try text("question")
      let given = try json["type"] == nil ? nil : text("type")
      let type = given.flatMap { QuestionType(rawValue: $0) }
      guard given == nil || [.trueFalse, .singleChoice, .multipleChoice].contains(type) else {
        throw failure(
          "type", expected: "true_false, single_choice or multiple_choice", found: JSON.string(given ?? "").summary)
      }
      let options = try options(isTrueFalse: type == .trueFalse)
      let letters = try letters(options: options, isTrueFalse: type == .trueFalse)
      guard letters.count == 1 || type == .multipleChoice || type == nil else {
        throw failure("answer", expected: "one letter", found: "\(letters.count) letters")
      }
      let list = options.enumerated().map { "\(optionLetter($0)). \($1)" }.joined(separator: "\n")
      return Question(
        text: "\(question)\n\(list)", reasoning: try reason(), answer: letters.sorted().joined(separator: ", "),
        type: type ?? (letters.count == 1 ? .singleChoice : .multipleChoice),
        options: [Scorer.Option.optionCount: "\(options.count)"])
    }

    private func optionLetter(_ index: Int) -> String { String(UnicodeScalar(UInt8(ascii: "A") + UInt8(index))) }

    private func options(isTrueFalse: Bool) throws -> [String] {
      if isTrueFalse, json["options"] == nil { return ["True", "False"] }
      let expected = "a list of 2 to 26 texts"
      guard let items = json["options"]?.array, (2...26).contains(items.count) else {
        throw failure("options", expected: expected, found: json["options"]?.summary ?? "nothing")
      }
      return try items.map { item in
        guard let text = item.string?.trimmed, !text.isEmpty else {
          throw failure("options", expected: expected, found: item.summary)
        }
        return text
      }
    }

    private func letters(options: [String], isTrueFalse: Bool) throws -> Set<String> {
      let answer = json["answer"] ?? .null
      if isTrueFalse, let index = truth(answer), index < options.count { return [optionLetter(index)] }
      let text = answer.array.map { $0.map { $0.string ?? "?" }.joined(separator: ",") } ?? answer.string
      guard let letters = text.flatMap({ Scorer.optionLetters($0) }), Set(letters).count == letters.count,
        letters.allSatisfy({ Int($0) - Int(UInt8(ascii: "A")) < options.count })
      else {
        throw failure(
          "answer", expected: "option letters, A to \(optionLetter(options.count - 1)), each once",
          found: answer.summary)
      }
      return Set(letters.map { String(UnicodeScalar($0)) })
    }

    /// The option that true or false stands for: A is true.
    private func truth(_ answer: JSON) -> Int? {
      switch answer.bool ?? answer.string.flatMap({ Bool($0.lowercased()) }) {
      case true?: 0
      case false?: 1
      case nil: nil
      }
    }

    func openEnded() throws -> Question {
      let question = try text("question")
      let answer = try text("answer").trimmed
      var names = [answer]
      if let aliases = json["aliases"], aliases != .null {
        guard let texts = aliases.array?.compactMap({ $0.string }), texts.count == aliases.array?.count else {
          throw failure("aliases", expected: "a list of texts", found: aliases.summary)
        }
        names += texts
      }
      guard names.allSatisfy({ !EntityName($0).words.isEmpty && !$0.contains("\n") }) else {
        throw failure(
          "answer", expected: "names with letters or digits, on one line", found: JSON.string(answer).summary)
      }
      let aliases = names.dropFirst().joined(separator: "\n")
      return Question(
        text: question, reasoning: try reason(), answer: answer, type: .openEnded,
        options: aliases.isEmpty ? [:] : [Scorer.Option.aliases: aliases])
    }
  }
}

extension JSON {
  /// The value's kind, as errors name it.
  fileprivate var summary: String {
    switch self {
    case .null: "null"
    case .bool(let value): "\(value)"
    case .integer(let value): "\(value)"
    case .number(let value): "\(value)"
    case .string(let text): "the text \"\(text.prefix(60).replacing("\n", with: " "))\""
    case .array(let items): "a list of \(items.count)"
    case .object: "an object"
    }
  }
}

extension StringProtocol {
  /// The text without white space at the ends.
  var trimmed: String {
    let start = drop { $0.isWhitespace }
    return String(start.prefix(start.count - start.reversed().prefix { $0.isWhitespace }.count))
  }

  /// The text without GSM8K's calculator annotations: "16 - 3 = <<16-3=13>>13" is "16 - 3 = 13".
  fileprivate var withoutCalculatorNotes: String {
    var result = ""
    var rest = String(self)[...]
    while let start = rest.firstRange(of: "<<"), let end = rest[start.upperBound...].firstRange(of: ">>") {
      result += rest[..<start.lowerBound]
      rest = rest[end.upperBound...]
    }
    return result + rest
  }
}
