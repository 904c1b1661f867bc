/// Divides questions into training and held-out ones by a hash of their text: the same for every run and seed, in any
/// order of a file, and equal questions are never on both sides.
struct HeldOutShare: Sendable {
  /// More than 0 and less than 1.
  let share: Double

  func contains(_ text: String) -> Bool { contains(hash: textHash(text)) }

  /// - Parameter hash: of whatever must not be on both sides.
  func contains(hash: UInt64) -> Bool { Double(hash >> 11) * 0x1p-53 < share }
}

/// 64 bits that depend on every byte: FNV-1a, then the finalizer of SplitMix64, for FNV alone leaves the top bits weak.
func textHash(_ text: String) -> UInt64 {
  var hash: UInt64 = 0xCBF2_9CE4_8422_2325
  for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
  hash = (hash ^ (hash >> 30)) &* 0xBF58_476D_1CE4_E5B9
  hash = (hash ^ (hash >> 27)) &* 0x94D0_49BB_1331_11EB
  return hash ^ (hash >> 31)
}
