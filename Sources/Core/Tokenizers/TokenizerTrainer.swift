import Support

/// Learns a byte-level BPE tokenizer from text.
///
/// The text is cut into words as the tokenizer will cut it; each word starts as its bytes, and the pair of neighbours
/// that occurs most often, over all words, becomes a token, again and again until the vocabulary is full or no pair
/// occurs twice. Of equally frequent pairs the one of lowest ids comes first, so the same text gives the same
/// tokenizer.
///
/// Ids and merges are those of Hugging Face's `BpeTrainer` with `min_frequency=2` and the whole byte alphabet: added
/// tokens first, then the 256 bytes in the order of their characters (`ByteAlphabet`), then one token a merge.
///
/// Source: Sennrich, Haddow and Birch, "Neural Machine Translation of Rare Words with Subword Units", 2016; over bytes
/// as in Radford et al., "Language Models are Unsupervised Multitask Learners", 2019.
public final class TokenizerTrainer {
  /// The longest word, in bytes, that is counted: longer ones are left out, so that no text makes a merge slow.
  public static let wordByteCountMax = 256

  private let preTokenizer: PreTokenizer
  private let addedTokens: [AddedToken]
  private let splitter: TextSplitter
  private let addedTokenMatcher: AddedTokenMatcher
  private let matcher = Matcher()
  /// How often each word was seen.
  private var words: [[UInt8]: Int] = [:]

  /// - Parameter addedTokens: found in the text before it is cut into words; their ids are their places in this list.
  /// - Throws: `InputError` for a pattern that does not compile.
  public init(preTokenizer: PreTokenizer = .smollm, addedTokens: [AddedToken]) throws {
    precondition(addedTokens.enumerated().allSatisfy { $1.id == Int32($0) }, "added tokens come first, in order")
    self.preTokenizer = preTokenizer
    self.addedTokens = addedTokens
    splitter = try TextSplitter(preTokenizer, place: "pre-tokenizer")
    addedTokenMatcher = AddedTokenMatcher(addedTokens)
  }

  /// Counts the words of a text.
  public func add(_ text: String) {
    var text = text
    text.withUTF8 { text in
      addedTokenMatcher.split(text) { piece, token in
        guard token == nil else { return }
        splitter.split(piece, matcher: matcher) { word in
          if word.count <= Self.wordByteCountMax { words[Array(word), default: 0] += 1 }
        }
      }
    }
  }

  /// The tokenizer of everything that was added.
  ///
  /// - Parameter vocabularySize: the most tokens, added tokens and bytes included; there are fewer when no pair is left
  ///   that occurs twice.
  public func definition(vocabularySize: Int) -> TokenizerDefinition {
    let alphabet = ByteAlphabet.scalars.sorted()
    precondition(vocabularySize >= addedTokens.count + alphabet.count, "no room for the bytes")
    var tokens = addedTokens.map(\.content) + alphabet.map { String($0) }
    var byteIDs = [Int32](repeating: 0, count: 256)
    for (byte, scalar) in ByteAlphabet.scalars.enumerated() {
      byteIDs[byte] = Int32(addedTokens.count + (alphabet.firstIndex(of: scalar) ?? 0))
    }
    var ids = Dictionary(uniqueKeysWithValues: tokens.enumerated().map { ($1, Int32($0)) })
    var merges: [String] = []
    // The order in which a dictionary gives the words does not matter: counts are sums.
    var pairs = PairCounts(words.map { word, count in (word.map { byteIDs[Int($0)] }, count) })
    while tokens.count < vocabularySize, let pair = pairs.mostFrequent() {
      let (left, right) = (tokens[Int(pair.left)], tokens[Int(pair.right)])
      // Two merges may make one token, as a + aa and aa + a do.
      let merged = ids[left + right] ?? Int32(tokens.count)
      if Int(merged) == tokens.count {
        tokens.append(left + right)
        ids[left + right] = merged
      }
      merges.append("\(left) \(right)")
      pairs.merge(pair, into: merged)
    }
    return TokenizerDefinition(tokens: tokens, merges: merges, preTokenizer: preTokenizer, addedTokens: addedTokens)
  }
}

/// Two neighbours.
private struct TokenPair: Hashable, Comparable {
  var left: Int32
  var right: Int32

  static func < (a: Self, b: Self) -> Bool { a.left < b.left || (a.left == b.left && a.right < b.right) }
}

/// The words as tokens, and how often each pair of neighbours occurs in them.
///
/// Counts are exact at all times. The queue is not: each pair is in it with at least its count, and a pair that comes
/// out with another count than it has goes back in with its own.
private struct PairCounts {
  /// The most frequent first, of equals the one of lowest ids.
  private struct Candidate: Comparable {
    var count: Int
    var pair: TokenPair

    static func < (a: Self, b: Self) -> Bool { a.count > b.count || (a.count == b.count && a.pair < b.pair) }
  }

  private var words: [(tokens: [Int32], count: Int)]
  private var counts: [TokenPair: Int] = [:]
  /// The words where a pair occurs, or did before other merges.
  private var places: [TokenPair: Set<Int>] = [:]
  private var queue = BinaryHeap<Candidate>()

  init(_ words: [(tokens: [Int32], count: Int)]) {
    self.words = words
    for index in words.indices { count(index) { _ in } }
    for (pair, count) in counts { queue.push(Candidate(count: count, pair: pair)) }
  }

  /// The next pair to merge; nil when none occurs twice.
  mutating func mostFrequent() -> TokenPair? {
    while let candidate = queue.pop() {
      let count = counts[candidate.pair] ?? 0
      if count < 2 { continue }
      if count == candidate.count { return candidate.pair }
      queue.push(Candidate(count: count, pair: candidate.pair))
    }
    return nil
  }

  /// Replaces a pair everywhere, from left to right.
  mutating func merge(_ pair: TokenPair, into merged: Int32) {
    var risen: Set<TokenPair> = []
    for index in places.removeValue(forKey: pair) ?? [] {
      let old = words[index].tokens
      for (left, right) in zip(old, old.dropFirst()) {
        counts[TokenPair(left: left, right: right), default: 0] -= words[index].count
      }
      var new: [Int32] = []
      var at = 0
      while at < old.count {
        let isPair = at + 1 < old.count && old[at] == pair.left && old[at + 1] == pair.right
        new.append(isPair ? merged : old[at])
        at += isPair ? 2 : 1
      }
      words[index].tokens = new
      count(index) { if $0.left == merged || $0.right == merged { risen.insert($0) } }
    }
    counts[pair] = nil
    for pair in risen { queue.push(Candidate(count: counts[pair] ?? 0, pair: pair)) }
  }

  private mutating func count(_ index: Int, pair: (TokenPair) -> Void) {
    let tokens = words[index].tokens
    for (left, right) in zip(tokens, tokens.dropFirst()) {
      let found = TokenPair(left: left, right: right)
      counts[found, default: 0] += words[index].count
      places[found, default: []].insert(index)
      pair(found)
    }
  }
}
