import Support

/// The tokens of a tokenizer as bytes, and the way back from bytes to ids.
///
/// All bytes lie in one array, and a table of open addressing finds the id of a byte string without allocating. Only
/// tokens written in the byte alphabet can be found, because merges make no others; decoding knows them all.
package struct Vocabulary: Sendable {
  /// Bytes of all tokens, one after the other.
  private let arena: [UInt8]
  /// Token i is arena[starts[i] ..< starts[i + 1]].
  private let starts: [UInt32]
  /// Ids, -1 where free; at most half full.
  private let slots: [Int32]

  package var count: Int { starts.count - 1 }

  /// - Parameters:
  ///   - tokens: index is id; "" where an id has no token.
  /// - Throws: `InputError` for no tokens, too many, too many bytes, or a token that occurs twice.
  package init(tokens: [String], place: String) throws {
    guard 1...TokenizerDefinition.tokenCountMax ~= tokens.count else {
      throw InputError(
        "read vocabulary", at: place, expected: "1 to \(TokenizerDefinition.tokenCountMax) tokens",
        found: "\(tokens.count)")
    }
    var arena: [UInt8] = []
    var starts: [UInt32] = [0]
    starts.reserveCapacity(tokens.count + 1)
    var slots = [Int32](repeating: -1, count: Self.slotCount(for: tokens.count))
    var outside: [[UInt8]: Int] = [:]
    for (id, token) in tokens.enumerated() {
      let decoded = ByteAlphabet.decode(token)
      let bytes = decoded ?? Array(token.utf8)
      guard arena.count + bytes.count <= 1 << 30 else {
        throw InputError(
          "read vocabulary", at: "\(place), token \(id)", expected: "at most 1 GiB of tokens", found: "more")
      }
      arena += bytes
      starts.append(UInt32(arena.count))
      if bytes.isEmpty { continue }
      let earlier: Int?
      if decoded != nil {
        let slot = arena.withUnsafeBufferPointer { arena in
          Self.slot(of: UnsafeBufferPointer(rebasing: arena[(arena.count - bytes.count)...]), slots, starts, arena)
        }
        earlier = slots[slot] < 0 ? nil : Int(slots[slot])
        slots[slot] = Int32(id)
      } else {
        earlier = outside.updateValue(id, forKey: bytes)
      }
      if let earlier {
        throw InputError(
          "read vocabulary", at: "\(place), token \(id)", expected: "each token once",
          found: "\(token.debugDescription) again, first as token \(earlier)")
      }
    }
    self.arena = arena
    self.starts = starts
    self.slots = slots
  }

  /// The bytes of a token; empty for an id that has none or is outside the vocabulary.
  package func bytes(of id: Int32) -> ArraySlice<UInt8> {
    guard id >= 0, Int(id) < count else { return [] }
    return arena[Int(starts[Int(id)])..<Int(starts[Int(id) + 1])]
  }

  /// The token that is exactly these bytes.
  package func id(of bytes: UnsafeBufferPointer<UInt8>) -> Int32? {
    if bytes.isEmpty { return nil }
    let id = arena.withUnsafeBufferPointer { slots[Self.slot(of: bytes, slots, starts, $0)] }
    return id < 0 ? nil : id
  }

  package func id(of bytes: [UInt8]) -> Int32? {
    bytes.withUnsafeBufferPointer { id(of: $0) }
  }

  private static func slotCount(for count: Int) -> Int {
    var capacity = 16
    while capacity < count * 2 { capacity *= 2 }
    return capacity
  }

  /// Where `bytes` is, or the free slot where it would be.
  private static func slot(
    of bytes: UnsafeBufferPointer<UInt8>, _ slots: [Int32], _ starts: [UInt32], _ arena: UnsafeBufferPointer<UInt8>
  ) -> Int {
    // Seeded by the process, so that no file can be made whose tokens all collide.
    var hasher = Hasher()
    hasher.combine(bytes: UnsafeRawBufferPointer(bytes))
    let mask = slots.count - 1
    var slot = hasher.finalize() & mask
    while slots[slot] >= 0 {
      let id = Int(slots[slot])
      let token = arena[Int(starts[id])..<Int(starts[id + 1])]
      if token.count == bytes.count, token.elementsEqual(bytes) { break }
      slot = (slot + 1) & mask
    }
    return slot
  }
}
