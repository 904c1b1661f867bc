/// The blocks of a completion: `<think> ... </think><answer> ... </answer>`.
///
/// Works on bytes, so that no combining character can hide a tag, in one pass. Whatever is ambiguous has no answer: an
/// answer counts only when the completion has one answer block, outside the thinking.
struct Response {
  private enum Tag: String, CaseIterable {
    case thinkStart = "<think>"
    case thinkEnd = "</think>"
    case answerStart = "<answer>"
    case answerEnd = "</answer>"
  }

  /// The completion is one think block and then one answer block, with nothing but white space around them.
  let isWellFormed: Bool
  /// What the only answer block holds; nil when there is none, several, or an unclosed one.
  let answer: String?

  init(_ text: String) {
    let bytes = Array(text.utf8)
    let tags = Self.tags(bytes)
    let kinds = tags.map(\.tag)
    func isBlank(_ range: Range<Int>) -> Bool { bytes[range].allSatisfy { [0x20, 0x09, 0x0A, 0x0D].contains($0) } }

    isWellFormed =
      kinds == Tag.allCases && isBlank(0..<tags[0].range.lowerBound)
      && isBlank(tags[1].range.upperBound..<tags[2].range.lowerBound)
      && isBlank(tags[3].range.upperBound..<bytes.count)

    answer =
      if let start = kinds.firstIndex(of: .answerStart), kinds.count(where: { $0 == .answerStart }) == 1,
        kinds.count(where: { $0 == .answerEnd }) == 1, start + 1 < kinds.count, kinds[start + 1] == .answerEnd,
        start == 0 || kinds[start - 1] == .thinkEnd
      {
        String(decoding: bytes[tags[start].range.upperBound..<tags[start + 1].range.lowerBound], as: UTF8.self)
      } else {
        nil
      }
  }

  /// A completion of the form that `isWellFormed` asks for.
  static func text(thinking: String, answer: String) -> String {
    "<think>\(thinking)</think><answer>\(answer)</answer>"
  }

  private static let spellings = Tag.allCases.map { (tag: $0, bytes: Array($0.rawValue.utf8)) }

  private static func tags(_ bytes: [UInt8]) -> [(tag: Tag, range: Range<Int>)] {
    var found: [(tag: Tag, range: Range<Int>)] = []
    for start in bytes.indices where bytes[start] == UInt8(ascii: "<") {
      for (tag, spelling) in spellings where bytes[start...].starts(with: spelling) {
        found.append((tag, start..<start + spelling.count))
      }
    }
    return found
  }
}
