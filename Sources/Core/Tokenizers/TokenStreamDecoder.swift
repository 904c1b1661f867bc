/// Decodes tokens one by one, as they are sampled.
///
/// A token may end inside a character. Such bytes are held back until the next tokens complete them or show that they
/// are broken, so that the texts put together are exactly what `Tokenizer.decode` gives for all tokens at once.
public struct TokenStreamDecoder: Sendable {
  private let tokenizer: Tokenizer
  private let skipSpecial: Bool
  private var repair = LossyUTF8()
  private var output: [UInt8] = []

  /// - Parameter skipSpecial: whether special tokens have no text.
  public init(_ tokenizer: Tokenizer, skipSpecial: Bool = false) {
    self.tokenizer = tokenizer
    self.skipSpecial = skipSpecial
  }

  /// The text that this token completes; "" when it ends inside a character.
  public mutating func push(_ token: Int32) -> String { push(CollectionOfOne(token)) }

  /// The text that these tokens complete.
  public mutating func push(_ tokens: some Sequence<Int32>) -> String {
    for token in tokens where !(skipSpecial && tokenizer.isSpecial(token)) {
      repair.push(tokenizer.byteSlice(of: token), into: &output)
    }
    return takeOutput()
  }

  /// U+FFFD when the tokens ended inside a character, else "". The decoder starts afresh.
  public mutating func finish() -> String {
    repair.finish(into: &output)
    return takeOutput()
  }

  private mutating func takeOutput() -> String {
    defer { output.removeAll(keepingCapacity: true) }
    return String(decoding: output, as: UTF8.self)
  }
}
