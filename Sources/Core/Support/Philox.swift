/// Counter-based random numbers: Philox4x32-10.
///
/// Source: Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011. A number is a pure function of its
/// key and counter, so it does not depend on which process computes it, when, or next to which others. That is what
/// makes a run repeatable for any number of workers.
public enum Philox {
  /// Ten rounds of Philox4x32 over one counter block.
  public static func block(
    counter: SIMD4<UInt32>, key: SIMD2<UInt32>
  ) -> SIMD4<UInt32> {
    var c = counter
    var k = key
    for _ in 0..<10 {
      let p0 = UInt64(0xD251_1F53) * UInt64(c.x)
      let p1 = UInt64(0xCD9E_8D57) * UInt64(c.z)
      c = SIMD4(
        UInt32(truncatingIfNeeded: p1 >> 32) ^ c.y ^ k.x, UInt32(truncatingIfNeeded: p1),
        UInt32(truncatingIfNeeded: p0 >> 32) ^ c.w ^ k.y, UInt32(truncatingIfNeeded: p0))
      k.x &+= 0x9E37_79B9
      k.y &+= 0xBB67_AE85
    }
    return c
  }
}

/// A stream of numbers for one purpose of one run: the key is the run seed, the counter is (purpose, a, b, index).
///
/// Two streams with different purposes or coordinates never share a block.
public struct RandomStream: RandomNumberGenerator, Sendable {
  /// What a stream is for; part of the counter, so that purposes never collide.
  public enum Purpose: UInt32, Sendable {
    case data = 1
    case initialization = 2
    case shuffle = 3
    case bootstrap = 4
    case test = 5
    case adapter = 6
    case demonstration = 7
  }

  private let key: SIMD2<UInt32>
  private var counter: SIMD4<UInt32>
  private var spare: UInt64?

  /// - Parameters:
  ///   - seed: the run seed.
  ///   - purpose: what the numbers are for.
  ///   - a: first coordinate, for example a split or a layer.
  ///   - b: second coordinate, for example the index of a prompt.
  public init(seed: UInt64, purpose: Purpose, _ a: UInt32 = 0, _ b: UInt32 = 0) {
    key = SIMD2(UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
    counter = SIMD4(0, a, b, purpose.rawValue << 24)
  }

  /// The next 64 random bits.
  public mutating func next() -> UInt64 {
    if let value = spare {
      spare = nil
      return value
    }
    let r = Philox.block(counter: counter, key: key)
    counter.x &+= 1
    spare = UInt64(r.z) | UInt64(r.w) << 32
    return UInt64(r.x) | UInt64(r.y) << 32
  }

  /// A float in [0, 1) with 24 random bits.
  public mutating func uniform() -> Float {
    Float(next() >> 40) * 0x1p-24
  }

  /// An integer in [0, bound), without modulo bias (Lemire's multiply and reject).
  public mutating func integer(below bound: UInt64) -> UInt64 {
    precondition(bound > 0, "bound must be positive")
    while true {
      let (high, low) = next().multipliedFullWidth(by: bound)
      if low >= (0 &- bound) % bound { return high }
    }
  }
}

/// The key of one sample: token t of the sample uses counter t.
///
/// (run seed, policy step, prompt, sample index) name a sample, for any worker and any attempt.
public struct SampleKey: Hashable, Sendable {
  /// The run seed.
  public var seed: UInt64
  /// The training step that the sample belongs to.
  public var step: UInt32
  /// Identifies the prompt within the run.
  public var prompt: UInt64
  /// 0 ..< G within the group.
  public var sample: UInt32

  /// Names one sample of a run.
  public init(seed: UInt64, step: UInt32, prompt: UInt64, sample: UInt32) {
    self.seed = seed
    self.step = step
    self.prompt = prompt
    self.sample = sample
  }

  /// The uniform number in [0, 1), with 24 bits, that chooses token `index` of the sample.
  public func uniform(token index: Int) -> Float {
    let inner = Philox.block(
      counter: SIMD4(
        UInt32(truncatingIfNeeded: prompt), UInt32(truncatingIfNeeded: prompt >> 32), step, sample),
      key: SIMD2(UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32)))
    let r = Philox.block(
      counter: SIMD4(UInt32(truncatingIfNeeded: index), inner.z, inner.w, 0),
      key: SIMD2(inner.x, inner.y))
    return Float(r.x >> 8) * 0x1p-24
  }
}
