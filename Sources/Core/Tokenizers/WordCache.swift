/// The tokens of words seen lately.
///
/// Text repeats its words, and most are short. So a slot holds one word of up to 16 bytes and its tokens, in place,
/// and a word that falls on a taken slot replaces what was there: the size is fixed, nothing is evicted, nothing
/// allocated.
package struct WordCache {
  /// The most bytes, and the most tokens, of a word that fits a slot.
  private static let wordCountMax = 16
  private static let tokenCountMax = 8
  private static let slotBits: UInt64 = 13

  private struct Key: Equatable {
    var low: UInt64 = 0
    var high: UInt64 = 0
    /// A word may end in zero bytes, which the other two fields do not show.
    var count: UInt64 = 0

    var slot: Int {
      let mixed = (low ^ high &* 0xD6E8_FEB8_6659_FD93) &* 0x9E37_79B9_7F4A_7C15
      return Int(((mixed ^ mixed >> 32) &* 0x9E37_79B9_7F4A_7C15) >> (64 - WordCache.slotBits))
    }
  }

  private struct Slot {
    /// Count 0 where free: no word is empty.
    var key = Key()
    var tokens = SIMD8<Int32>(repeating: 0)
    var tokenCount = 0
  }

  private var slots = [Slot](repeating: Slot(), count: 1 << slotBits)

  package init() {}

  /// Appends the tokens of `word`, taking them from `encode` when they are not known.
  @inline(__always)
  package mutating func tokens(
    of word: UnsafeBufferPointer<UInt8>, into output: inout [Int32],
    encode: (UnsafeBufferPointer<UInt8>, inout [Int32]) -> Void
  ) {
    guard word.count <= Self.wordCountMax else { return encode(word, &output) }
    var key = Key(count: UInt64(word.count))
    withUnsafeMutableBytes(of: &key) { $0.copyBytes(from: word) }
    let index = key.slot
    if slots[index].key == key {
      for i in 0..<slots[index].tokenCount { output.append(slots[index].tokens[i]) }
      return
    }
    let start = output.count
    encode(word, &output)
    let count = output.count - start
    guard count <= Self.tokenCountMax else { return }
    var slot = Slot(key: key, tokenCount: count)
    for i in 0..<count { slot.tokens[i] = output[start + i] }
    slots[index] = slot
  }
}
