/// The tokens of a completion with the step of their entropies, broken into lines of a width.
///
/// A token that does not fit the rest of a line begins the next one; one that is longer than a line is cut. A line feed
/// is shown and ends the line. Control characters become "?".
struct ShadedText: Equatable {
  struct Piece: Equatable {
    var text: String
    /// nats
    var entropy: Float
  }

  private(set) var lines: [[Piece]] = [[]]
  private let width: Int
  private var column = 0

  /// - Parameters:
  ///   - tokenTexts: the text of each token; "" has none and is left out.
  ///   - entropies: of each token, nats.
  ///   - width: columns, at least 1.
  init(_ tokenTexts: [String], entropies: [Float], width: Int) {
    precondition(
      tokenTexts.count == entropies.count && width > 0, "\(tokenTexts.count) tokens, \(entropies.count) entropies")
    self.width = width
    for (part, entropy) in zip(tokenTexts, entropies) {
      let parts = part.split(separator: "\n", omittingEmptySubsequences: false)
      for (index, part) in parts.enumerated() {
        let isBroken = index < parts.count - 1
        add(StyledLine.printable(String(part)) + (isBroken ? "⏎" : ""), entropy)
        if isBroken { breakLine() }
      }
    }
    if lines.count > 1, lines[lines.count - 1].isEmpty { lines.removeLast() }
  }

  private mutating func add(_ text: String, _ entropy: Float) {
    if column > 0, column + text.columns > width { breakLine() }
    var rest = Substring(text)
    while !rest.isEmpty {
      var part = ""
      while let next = rest.first, part.isEmpty || (part + String(next)).columns <= width {
        part.append(rest.removeFirst())
      }
      lines[lines.count - 1].append(Piece(text: part, entropy: entropy))
      column += part.columns
      if !rest.isEmpty { breakLine() }
    }
  }

  private mutating func breakLine() {
    lines.append([])
    column = 0
  }
}
