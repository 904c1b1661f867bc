import Support

/// Byte-pair merging inside one word.
///
/// The rule: as long as two neighbours merge, the pair of lowest rank is merged first, of equal ranks the leftmost.
/// Short words look for that pair by going over all of them, which is fastest for a few symbols; long ones keep the
/// pairs in a heap over a linked list, so that a word of n bytes takes n log n steps whatever is in it. Both give the
/// same tokens.
///
/// Holds the buffers of one caller; its results depend on nothing but its arguments.
package struct WordEncoder {
  /// The longest word, in bytes, that is merged by going over all pairs.
  package static let shortCountMax = 40

  /// The symbols of the word; merged in place.
  private var ids: [Int32] = []
  /// Merge value of symbol i and its right neighbour.
  private var values: [MergeTable.Value] = []
  /// Neighbours of symbol i in the linked list; -1 at the ends.
  private var previous: [Int32] = []
  private var next: [Int32] = []
  private var heap = BinaryHeap<MergingPair>()

  package init() {}

  /// Appends the tokens of `word` to `output`.
  ///
  /// - Parameters:
  ///   - byteIDs: the token of each byte; bytes that have none (-1) are left out.
  package mutating func encode(
    _ word: UnsafeBufferPointer<UInt8>, byteIDs: [Int32], merges: borrowing MergeTable, into output: inout [Int32]
  ) {
    ids.removeAll(keepingCapacity: true)
    for byte in word {
      let id = byteIDs[Int(byte)]
      if id >= 0 { ids.append(id) }
    }
    if ids.count <= Self.shortCountMax {
      mergeShort(merges)
      output += ids
    } else {
      mergeLong(merges)
      var symbol: Int32 = 0
      while symbol >= 0 {
        output.append(ids[Int(symbol)])
        symbol = next[Int(symbol)]
      }
    }
  }

  private mutating func mergeShort(_ merges: borrowing MergeTable) {
    guard ids.count > 1 else { return }
    values.removeAll(keepingCapacity: true)
    for i in 0..<ids.count - 1 { values.append(merges.value(ids[i], ids[i + 1])) }
    while true {
      var best = MergeTable.none
      var at = 0
      for i in 0..<values.count where values[i] < best { (best, at) = (values[i], i) }
      if best == MergeTable.none { return }
      ids[at] = MergeTable.id(best)
      ids.remove(at: at + 1)
      values.remove(at: at)
      if at > 0 { values[at - 1] = merges.value(ids[at - 1], ids[at]) }
      if at < values.count { values[at] = merges.value(ids[at], ids[at + 1]) }
    }
  }

  private mutating func mergeLong(_ merges: borrowing MergeTable) {
    let count = ids.count
    values.removeAll(keepingCapacity: true)
    previous.removeAll(keepingCapacity: true)
    next.removeAll(keepingCapacity: true)
    heap.removeAll()
    for i in 0..<count {
      let last = i == count - 1
      previous.append(Int32(i) - 1)
      next.append(last ? -1 : Int32(i) + 1)
      values.append(last ? MergeTable.none : merges.value(ids[i], ids[i + 1]))
      push(Int32(i))
    }
    while let entry = heap.pop() {
      let left = Int(entry.symbol)
      // The pair may have changed since it was pushed; its present state is in the heap as well.
      guard values[left] == entry.value else { continue }
      let right = Int(next[left])
      ids[left] = MergeTable.id(entry.value)
      values[right] = MergeTable.none
      next[left] = next[right]
      if next[left] >= 0 { previous[Int(next[left])] = Int32(left) }
      revalue(left, merges)
      if previous[left] >= 0 { revalue(Int(previous[left]), merges) }
    }
  }

  private mutating func revalue(_ symbol: Int, _ merges: borrowing MergeTable) {
    let right = next[symbol]
    values[symbol] = right < 0 ? MergeTable.none : merges.value(ids[symbol], ids[Int(right)])
    push(Int32(symbol))
  }

  /// Takes a pair into the heap, if it merges.
  private mutating func push(_ symbol: Int32) {
    let value = values[Int(symbol)]
    if value != MergeTable.none { heap.push(MergingPair(value: value, symbol: symbol)) }
  }
}

/// A pair that merges: the lowest rank first, of equal ranks the leftmost.
private struct MergingPair: Comparable {
  var value: MergeTable.Value
  var symbol: Int32

  @inline(__always)
  static func < (a: Self, b: Self) -> Bool { a.value < b.value || (a.value == b.value && a.symbol < b.symbol) }
}
