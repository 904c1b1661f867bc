/// Rounding fp32 to bf16, to nearest, ties to even: the form in which matrices travel and multiply.
enum BFloat16 {
  /// A NaN stays one.
  static func bits(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    if value.isNaN { return UInt16(truncatingIfNeeded: bits >> 16) | 0x40 }
    return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16)
  }

  /// `source` and `target` have the same count.
  static func round(_ source: UnsafeBufferPointer<Float>, into target: UnsafeMutableBufferPointer<UInt16>) {
    precondition(source.count == target.count, "\(source.count) values into \(target.count)")
    guard let from = source.baseAddress, let to = target.baseAddress else { return }
    let whole = source.count & ~15
    for index in stride(from: 0, to: whole, by: 16) {
      let bits = UnsafeRawPointer(from + index).loadUnaligned(as: SIMD16<UInt32>.self)
      let rounded = (bits &+ 0x7FFF &+ (bits &>> 16 & 1)) &>> 16
      let isNaN = (bits & 0x7FFF_FFFF) .> 0x7F80_0000
      let result = rounded.replacing(with: bits &>> 16 | 0x40, where: isNaN)
      UnsafeMutableRawPointer(to + index).storeBytes(
        of: SIMD16<UInt16>(truncatingIfNeeded: result), as: SIMD16<UInt16>.self)
    }
    for index in whole..<source.count { to[index] = bits(from[index]) }
  }
}
