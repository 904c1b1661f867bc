/// Finds added tokens in a text: of those that start first, the longest; then on behind it.
///
/// A trie over the tokens' bytes. Source of the rules: `AddedVocabulary` of Hugging Face's tokenizers.
package struct AddedTokenMatcher: Sendable {
  /// The longest content, in bytes: a position of the text costs at most this number of steps.
  package static let contentCountMax = 1 << 12

  private let tokens: [AddedToken]
  /// The node that a byte leads to, by node * 256 + byte. Node 0 is the root.
  private var edges: [Int: Int] = [:]
  /// The token that ends at a node, as an index into `tokens`; -1 where none does.
  private var ends: [Int] = [-1]
  private var startsToken = [Bool](repeating: false, count: 256)

  /// - Parameters:
  ///   - tokens: of equal contents the first counts.
  ///   - content: what of a token is looked for.
  package init(_ tokens: [AddedToken], content: (AddedToken) -> [UInt8] = { Array($0.content.utf8) }) {
    self.tokens = tokens
    for (index, token) in tokens.enumerated() {
      let bytes = content(token)
      guard let first = bytes.first else { continue }
      startsToken[Int(first)] = true
      var node = 0
      for byte in bytes {
        let edge = node << 8 | Int(byte)
        if let known = edges[edge] {
          node = known
        } else {
          node = ends.count
          edges[edge] = node
          ends.append(-1)
        }
      }
      if ends[node] < 0 { ends[node] = index }
    }
  }

  /// Cuts `text`, valid UTF-8, into added tokens and what lies between; the pieces are not empty and cover the text.
  package func split(_ text: UnsafeBufferPointer<UInt8>, piece: (UnsafeBufferPointer<UInt8>, AddedToken?) -> Void) {
    var done = 0
    var position = tokens.isEmpty ? text.count : 0
    while position < text.count {
      guard startsToken[Int(text[position])], let (token, end) = longestMatch(in: text, at: position) else {
        position += 1
        continue
      }
      // A match counts as found even where its flags forbid it: nothing shorter is looked for inside.
      let start = position
      position = end
      if token.singleWord, Self.isWord(text[..<start].last(in: text)) || Self.isWord(text[end...].first(in: text)) {
        continue
      }
      var left = start
      var right = end
      if token.stripsLeft {
        while left > done, let scalar = text[..<left].last(in: text), scalar.properties.isWhitespace {
          left -= UTF8.width(scalar)
        }
      }
      if token.stripsRight {
        while let scalar = text[right...].first(in: text), scalar.properties.isWhitespace {
          right += UTF8.width(scalar)
        }
      }
      if done < left { piece(UnsafeBufferPointer(rebasing: text[done..<left]), nil) }
      piece(UnsafeBufferPointer(rebasing: text[left..<right]), token)
      done = right
      position = right
    }
    if done < text.count { piece(UnsafeBufferPointer(rebasing: text[done...]), nil) }
  }

  private func longestMatch(in text: UnsafeBufferPointer<UInt8>, at start: Int) -> (AddedToken, end: Int)? {
    var found: (AddedToken, end: Int)?
    var node = 0
    var position = start
    while position < text.count, let next = edges[node << 8 | Int(text[position])] {
      node = next
      position += 1
      if ends[node] >= 0 { found = (tokens[ends[node]], position) }
    }
    return found
  }

  /// `\w` of Unicode's regular expressions (UTS 18, annex C).
  private static func isWord(_ scalar: Unicode.Scalar?) -> Bool {
    guard let properties = scalar?.properties else { return false }
    switch properties.generalCategory {
    case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation: return true
    default: return properties.isAlphabetic || properties.isJoinControl
    }
  }
}

extension Slice<UnsafeBufferPointer<UInt8>> {
  /// The first character of valid UTF-8.
  fileprivate func first(in text: UnsafeBufferPointer<UInt8>) -> Unicode.Scalar? {
    startIndex < endIndex ? UTF8.scalar(in: text, at: startIndex) : nil
  }

  /// The last character of valid UTF-8.
  fileprivate func last(in text: UnsafeBufferPointer<UInt8>) -> Unicode.Scalar? {
    var start = endIndex - 1
    while start > startIndex, text[start] & 0xC0 == 0x80 { start -= 1 }
    return start < startIndex ? nil : UTF8.scalar(in: text, at: start)
  }
}

extension UTF8 {
  /// The character that starts at `start` of valid UTF-8.
  package static func scalar(in text: UnsafeBufferPointer<UInt8>, at start: Int) -> Unicode.Scalar {
    let lead = UInt32(text[start])
    func tail(_ offset: Int) -> UInt32 { UInt32(text[start + offset] & 0x3F) }
    let value =
      switch lead {
      case 0x00..<0x80: lead
      case 0x80..<0xE0: (lead & 0x1F) << 6 | tail(1)
      case 0xE0..<0xF0: (lead & 0x0F) << 12 | tail(1) << 6 | tail(2)
      default: (lead & 0x07) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3)
      }
    guard let scalar = Unicode.Scalar(value) else { preconditionFailure("broken UTF-8 at \(start)") }
    return scalar
  }
}
