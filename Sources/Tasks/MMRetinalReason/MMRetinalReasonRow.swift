import Imaging
import Prompts
import Support

/// A row of MM-Retinal-Reason: images, a question, its answer, and how it is found.
///
/// `{"image": [...], "conversations": [{"from": "human", "value": ...}, {"from": "gpt", "value": ...}], "reason":
/// ...}`, for complex reasoning also `pmcid`, `title` and `caption`. Optional keys say what is otherwise inferred:
/// `modality`, `domain`, `type` (a question type) and `aliases` (other right answers to an open-ended question).
public struct MMRetinalReasonRow: Equatable, Sendable {
  public enum ImageSource: Equatable, Sendable {
    case path(String)
    case encoded([UInt8])
  }

  public var question: String
  public var answer: String
  public var reason: String?
  public var type: QuestionType
  public var modality: Modality
  public var domain: Domain
  public var images: [ImageSource]
  public var pmcid: String?
  public var title: String?
  public var caption: String?
  /// Option letters from A; 0 for open-ended questions, and where the question does not list them.
  public var optionCount: Int
  public var aliases: [String]

  /// The largest size of a question, an answer or a reason.
  static let textByteCountMax = 1 << 20
}

/// Reads rows; every refusal names the key.
struct MMRetinalReasonRowReader {
  /// What the file's name says of all of its rows.
  private let fileSubset: Subset
  private let fileType: QuestionType?
  private let place: String

  /// - Parameter path: the file, whose name may give modality, domain and question type.
  init(path: String) {
    place = path
    let name = path.split(separator: "/").last.map(String.init) ?? ""
    fileSubset = Subset(name: name)
    let words = name.lowercased()
    fileType =
      words.contains("true_false") || words.contains("judg")
      ? .trueFalse
      : words.contains("single")
        ? .singleChoice
        : words.contains("multi_choice") || words.contains("multiple")
          ? .multipleChoice : words.contains("complex") ? .openEnded : nil
  }

  func row(_ bytes: [UInt8], index: Int) throws -> MMRetinalReasonRow {
    let place = "\(place), row \(index)"
    let json = try JSON.parse(bytes, place: place)
    guard json.object != nil else {
      throw InputError("read row", at: place, expected: "an object", found: json.kind)
    }
    let reader = Fields(json: json, place: place)
    let (question, given) = try reader.conversation()
    let options = OptionList(in: question)
    let aliases = try reader.texts("aliases")
    let (type, answer) = try type(of: given, options, reader)
    let pmcid = try reader.text("pmcid")
    let images = try reader.images()
    let placeholderCount = PromptImage.placeholderCount(in: question)
    guard placeholderCount == 0 || placeholderCount == images.count else {
      throw reader.failure(
        "conversations[0].value", "\(PromptImage.placeholder) \(images.count) times, or never",
        "\(placeholderCount) times")
    }
    var subset = Subset(
      modality: try reader.named("modality") ?? .unknown, domain: try reader.named("domain") ?? .unknown)
    if pmcid != nil { subset = subset.completed(by: Subset(modality: .complex)) }
    subset = subset.completed(by: fileSubset)
    for case .path(let path) in images { subset = subset.completed(by: Subset(imagePath: path)) }
    return MMRetinalReasonRow(
      question: question, answer: answer, reason: try reader.text("reason"), type: type, modality: subset.modality,
      domain: subset.domain, images: images, pmcid: pmcid, title: try reader.text("title"),
      caption: try reader.text("caption"), optionCount: type == .openEnded ? 0 : options.count, aliases: aliases)
  }

  /// The question type, and the answer as it is scored: letters sorted and joined, or the name.
  private func type(
    of given: String, _ options: OptionList, _ reader: Fields
  ) throws -> (QuestionType, String) {
    let stated: QuestionType? = try reader.named("type") ?? fileType
    let letters = Scorer.optionLetters(given)
    let type: QuestionType
    switch stated {
    case let stated?: type = stated
    case nil where letters == nil || options.count == 0: type = .openEnded
    case nil: type = (letters?.count ?? 0) > 1 ? .multipleChoice : options.isTrueFalse ? .trueFalse : .singleChoice
    }
    switch type {
    case .number: throw reader.failure("type", "a question type of this data", "number")
    case .openEnded:
      guard !EntityName(given).words.isEmpty, !given.contains("\n") else {
        throw reader.failure("conversations[1].value", "a name with letters or digits, on one line", given)
      }
      return (type, given)
    case .trueFalse, .singleChoice, .multipleChoice:
      let most = options.count == 0 ? 26 : options.count
      guard let letters, Set(letters).count == letters.count,
        letters.allSatisfy({ Int($0) - Int(UInt8(ascii: "A")) < most })
      else {
        throw reader.failure(
          "conversations[1].value", "option letters, A to \(OptionList.letter(most - 1)), each once", given)
      }
      guard letters.count == 1 || type == .multipleChoice else {
        throw reader.failure("conversations[1].value", "one letter for \(type.rawValue)", "\(letters.count) letters")
      }
      return (type, letters.sorted().map { String(UnicodeScalar($0)) }.joined(separator: ","))
    }
  }

  /// The keys of a row.
  private struct Fields {
    let json: JSON
    let place: String

    func failure(_ key: String, _ expected: String, _ found: String) -> InputError {
      InputError(
        "read row", at: "\(place): \(key)", expected: expected,
        found: found.utf8.count <= 60 ? found : "\(found.prefix(60).replacing("\n", with: " "))...")
    }

    /// nil when absent, null or blank.
    func text(_ key: String) throws -> String? {
      guard let value = json[key], value != .null else { return nil }
      return try text(value, key)
    }

    func text(_ value: JSON?, _ key: String) throws -> String? {
      guard let text = value?.string else { throw failure(key, "text", value?.kind ?? "nothing") }
      guard text.utf8.count <= MMRetinalReasonRow.textByteCountMax else {
        throw failure(key, "at most \(MMRetinalReasonRow.textByteCountMax) bytes", "\(text.utf8.count)")
      }
      let trimmed = text.trimmed
      return trimmed.isEmpty ? nil : trimmed
    }

    func texts(_ key: String) throws -> [String] {
      guard let value = json[key], value != .null else { return [] }
      guard let items = value.array, items.count <= 64 else { throw failure(key, "a list of texts", value.kind) }
      return try items.compactMap { try text($0, key) }
    }

    /// A case by its raw value, whatever its letters' case.
    func named<Value: RawRepresentable<String> & CaseIterable>(_ key: String) throws -> Value? {
      guard let name = try text(key) else { return nil }
      guard let value = Value.allCases.first(where: { $0.rawValue.lowercased() == name.lowercased() }) else {
        throw failure(key, Value.allCases.map(\.rawValue).joined(separator: ", "), name)
      }
      return value
    }

    /// The question and the answer, without tags around it.
    func conversation() throws -> (question: String, answer: String) {
      let key = "conversations"
      guard let turns = json[key]?.array, turns.count == 2 else {
        throw failure(key, "two turns", json[key]?.kind ?? "nothing")
      }
      var values: [String] = []
      for (index, role) in ["human", "gpt"].enumerated() {
        guard turns[index]["from"]?.string == role else {
          throw failure("\(key)[\(index)].from", role, turns[index]["from"]?.kind ?? "nothing")
        }
        guard let value = try text(turns[index]["value"], "\(key)[\(index)].value") else {
          throw failure("\(key)[\(index)].value", "text", "nothing but white space")
        }
        values.append(value)
      }
      let answer = Response(values[1]).answer?.trimmed ?? values[1]
      guard !answer.isEmpty else { throw failure("\(key)[1].value", "an answer", "an empty answer block") }
      return (values[0], answer)
    }

    /// Paths, or files in base64. An image may stand alone, without a list.
    func images() throws -> [MMRetinalReasonRow.ImageSource] {
      let items = json["image"]?.array ?? json["image"]?.string.map { [.string($0)] } ?? []
      guard (1...PromptImage.countMax).contains(items.count) else {
        throw failure(
          "image", "1 to \(PromptImage.countMax) images",
          json["image"]?.array.map { "\($0.count)" } ?? json["image"]?.kind ?? "nothing")
      }
      return try items.enumerated().map { index, item in
        let key = "image[\(index)]"
        guard let text = item.string, !text.isEmpty else { throw failure(key, "a path or base64", item.kind) }
        guard let encoded = Self.base64Part(of: text) else {
          guard text.utf8.count <= 4096, !text.utf8.contains(0) else {
            throw failure(key, "a path or the base64 of a JPEG or PNG file", "\(text.utf8.count) bytes of neither")
          }
          return .path(text)
        }
        // Four characters hold three bytes.
        guard encoded.utf8.count <= PromptImage.byteCountMax / 3 * 4 + 4 else {
          throw failure(key, "an image of at most \(PromptImage.byteCountMax) bytes", "a larger one")
        }
        guard let bytes = Base64.decode(encoded) else { throw failure(key, "base64", "text that is not") }
        return .encoded(bytes)
      }
    }

    /// What follows "data:...;base64,", or the whole text when it begins as JPEG or PNG files do in base64; nil for a
    /// path.
    private static func base64Part(of text: String) -> Substring? {
      if text.hasPrefix("data:") {
        guard let comma = text.prefix(200).firstIndex(of: ",") else { return nil }
        return text[text.index(after: comma)...]
      }
      return text.hasPrefix("/9j/") || text.hasPrefix("iVBORw0KGgo") ? text[...] : nil
    }
  }
}

/// The options that a question lists: "A. ...", "B) ...", "(C) ...", "D: ...", each once, in order, from A.
struct OptionList: Equatable {
  private(set) var count = 0
  /// There are two, and they say true and false, or yes and no, or right and wrong.
  private(set) var isTrueFalse = false

  static func letter(_ index: Int) -> Character { Character(UnicodeScalar(UInt8(ascii: "A") + UInt8(index))) }

  init(in question: String) {
    let bytes = Array(question.utf8)
    var starts: [Int] = []
    for at in bytes.indices where starts.count < 26 && bytes[at] == UInt8(ascii: "A") + UInt8(starts.count) {
      let before = at == 0 ? UInt8(ascii: " ") : bytes[at - 1]
      let after = at + 1 < bytes.count ? bytes[at + 1] : 0
      if " \n\t(,;:".utf8.contains(before), ".):".utf8.contains(after) { starts.append(at + 2) }
    }
    // One label alone is a word, or the end of a sentence ("vitamin A.").
    count = starts.count >= 2 ? starts.count : 0
    if count == 2 {
      let parts = [bytes[starts[0]..<max(starts[0], starts[1] - 2)], bytes[starts[1]...]].map { part in
        String(decoding: part, as: UTF8.self).lowercased().filter(\.isLetter)
      }
      isTrueFalse = [["true", "false"], ["yes", "no"], ["right", "wrong"], ["correct", "incorrect"]].contains(parts)
    }
  }
}
