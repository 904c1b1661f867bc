import Support

/// The order of rows in each epoch, as a pure function of the cursor: every row once an epoch, a new order each.
///
/// A Feistel network whose round function is Philox permutes the next power of four above `count`; values outside the
/// rows are permuted again, which leaves a permutation of the rows. Nothing is stored, so resuming needs only the
/// cursor.
struct EpochShuffle: Sendable {
  /// Rows, at least 1.
  let count: Int
  /// The run seed.
  let seed: UInt64

  /// The row, 0 ..< count, of a cursor.
  func row(at cursor: UInt64) -> Int {
    let epoch = cursor / UInt64(count)
    var value = cursor % UInt64(count)
    repeat { value = permuted(value, epoch: epoch) } while value >= UInt64(count)
    return Int(value)
  }

  private func permuted(_ value: UInt64, epoch: UInt64) -> UInt64 {
    let bitCount = UInt64.bitWidth - UInt64(count - 1).leadingZeroBitCount
    let halfBits = UInt64(max(1, (bitCount + 1) / 2))
    let mask = UInt64(1) << halfBits - 1
    let key = SIMD2(UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
    var (left, right) = (value >> halfBits, value & mask)
    for round in UInt32(0)..<6 {
      let counter = SIMD4(
        UInt32(truncatingIfNeeded: right), UInt32(truncatingIfNeeded: epoch), UInt32(truncatingIfNeeded: epoch >> 32),
        RandomStream.Purpose.shuffle.rawValue << 24 | round)
      (left, right) = (right, left ^ UInt64(Philox.block(counter: counter, key: key).x) & mask)
    }
    return left << halfBits | right
  }
}
