/// Rounding fp32 to bf16, to nearest, ties to even: the form in which matrices are multiplied, saved and sent.
public enum BFloat16 {
  /// The bits of a value rounded to bf16. A NaN stays one, with its sign. Without a branch, so that loops over it run
  /// in vectors.
  @inlinable @inline(__always)
  public static func bits(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    let rounded = (bits &+ 0x7FFF &+ (bits &>> 16 & 1)) &>> 16
    let quiet = bits &>> 16 | 0x40
    return UInt16(truncatingIfNeeded: bits & 0x7FFF_FFFF > 0x7F80_0000 ? quiet : rounded)
  }

  /// Rounds every value. `source` and `target` have the same count.
  public static func round(_ source: UnsafeBufferPointer<Float>, into target: UnsafeMutableBufferPointer<UInt16>) {
    precondition(source.count == target.count, "\(source.count) values into \(target.count)")
    guard let from = source.baseAddress, let to = target.baseAddress else { return }
    for index in 0..<source.count { to[index] = bits(from[index]) }
  }
}

extension Float {
  /// bf16's bits of the value, rounded to nearest even.
  @inlinable public var bfloat16Bits: UInt16 { BFloat16.bits(self) }
}
