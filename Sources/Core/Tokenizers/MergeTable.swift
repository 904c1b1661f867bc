import Support

/// The merges of a byte-level BPE: which pair of neighbouring tokens becomes which token, and how early.
///
/// A hash table of open addressing, keyed by the two ids in one word. What a lookup gives is one word too, rank above
/// id, so that the smaller of two values is the merge that comes first.
package struct MergeTable: Sendable {
  /// A rank (upper half) and the id that the pair becomes (lower half).
  package typealias Value = UInt64
  /// The value of pairs that do not merge; greater than every other.
  package static let none = Value.max
  /// The most merges that a tokenizer may have.
  package static let countMax = 1 << 22

  private let entries: [(key: UInt64, value: Value)]
  private let shift: UInt64

  /// - Parameter merges: "left right" in the byte alphabet, most preferred first; of equal pairs the last counts.
  /// - Throws: `InputError` for a merge that is not two words, or whose parts or result are no tokens.
  package init(_ merges: [String], vocabulary: Vocabulary, place: String) throws {
    guard merges.count <= Self.countMax else {
      throw InputError(
        "read merges", at: place, expected: "at most \(Self.countMax) merges", found: "\(merges.count)")
    }
    var bits: UInt64 = 4
    while 1 << bits < merges.count * 2 { bits += 1 }
    shift = 64 - bits
    var entries = [(key: UInt64, value: Value)](repeating: (Self.free, Self.none), count: 1 << bits)
    for (rank, merge) in merges.enumerated() {
      func invalid(_ expected: String) -> InputError {
        InputError("read merges", at: "\(place), merge \(rank)", expected: expected, found: merge.debugDescription)
      }
      let parts = merge.utf8.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
      guard parts.count == 2, let left = ByteAlphabet.decode(Substring(parts[0])),
        let right = ByteAlphabet.decode(Substring(parts[1])), !left.isEmpty, !right.isEmpty
      else { throw invalid("two tokens of the byte alphabet with one space between") }
      guard let first = vocabulary.id(of: left), let second = vocabulary.id(of: right) else {
        throw invalid("two tokens of the vocabulary")
      }
      guard let joined = vocabulary.id(of: left + right) else {
        throw invalid("a pair that makes a token of the vocabulary")
      }
      let key = Self.key(first, second)
      entries[Self.slot(of: key, entries, shift)] = (key, Value(rank) << 32 | Value(UInt32(bitPattern: joined)))
    }
    self.entries = entries
  }

  /// The merge of `first` followed by `second`; `none` when they do not merge.
  @inline(__always)
  package func value(_ first: Int32, _ second: Int32) -> Value {
    entries[Self.slot(of: Self.key(first, second), entries, shift)].value
  }

  /// The id in a value.
  @inline(__always)
  package static func id(_ value: Value) -> Int32 { Int32(truncatingIfNeeded: value) }

  /// No pair of ids has this key, because ids are not negative.
  private static let free = UInt64.max

  @inline(__always)
  private static func key(_ first: Int32, _ second: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: first)) << 32 | UInt64(UInt32(bitPattern: second))
  }

  /// Where `key` is, or the free slot where it would be.
  @inline(__always)
  private static func slot(of key: UInt64, _ entries: [(key: UInt64, value: Value)], _ shift: UInt64) -> Int {
    // The high half of a product with an odd constant depends on every bit of the key (Fibonacci hashing).
    var slot = Int(((key ^ key >> 29) &* 0x9E37_79B9_7F4A_7C15) >> shift)
    while entries[slot].key != key, entries[slot].key != free { slot = (slot + 1) & (entries.count - 1) }
    return slot
  }
}
