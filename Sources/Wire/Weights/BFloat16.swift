/// Rounding fp32 to bf16, to nearest, ties to even: the form in which matrices travel and multiply.
enum BFloat16 {
  /// A NaN stays one. Without a branch, so that the loop below runs in vectors.
  @inline(__always)
  private static func bits(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    let rounded = (bits &+ 0x7FFF &+ (bits &>> 16 & 1)) &>> 16
    let quiet = bits &>> 16 | 0x40
    return UInt16(truncatingIfNeeded: bits & 0x7FFF_FFFF > 0x7F80_0000 ? quiet : rounded)
  }

  /// `source` and `target` have the same count.
  static func round(_ source: UnsafeBufferPointer<Float>, into target: UnsafeMutableBufferPointer<UInt16>) {
    precondition(source.count == target.count, "\(source.count) values into \(target.count)")
    guard let from = source.baseAddress, let to = target.baseAddress else { return }
    for index in 0..<source.count { to[index] = bits(from[index]) }
  }
}
