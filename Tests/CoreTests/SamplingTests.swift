import CKernels
import Glibc
import Support
import Testing

@Suite struct SamplingTests {
  private func sampled(
    _ logits: [Float], temperature: Float = 1, topK: Int32 = 0, topP: Float = 1, minP: Float = 0, u: Float
  ) -> fv_draw {
    var scratch = [Float](repeating: 0, count: 3 * logits.count)
    let sampling = fv_sampling(temperature: temperature, top_k: topK, top_p: topP, min_p: minP)
    return fv_sample(logits, Int64(logits.count), sampling, u, &scratch)
  }

  private let logits: [Float] = [0, 3, 1, 3, -2, 2]

  @Test("Temperature 0 takes the first of the most probable tokens")
  func temperatureZeroTakesTheFirstOfTheMostProbable() {
    for u: Float in [0, 0.5, 0.999] { #expect(sampled(logits, temperature: 0, u: u).token == 1) }
  }

  @Test("Every token is sampled as often as its probability says") func everyTokenIsDrawnAsOftenAsItsProbability() {
    let n = 20_000
    var counts = [Int](repeating: 0, count: logits.count)
    let key = SampleKey(seed: 5, step: 1, prompt: 2, sample: 3)
    for i in 0..<n { counts[Int(sampled(logits, temperature: 0.8, u: key.uniform(token: i)).token)] += 1 }
    let weights = logits.map { exp(Double($0) / 0.8) }
    let total = weights.reduce(0, +)
    let chiSquare = zip(counts, weights).reduce(0.0) { sum, pair in
      let expected = pair.1 / total * Double(n)
      return sum + (Double(pair.0) - expected) * (Double(pair.0) - expected) / expected
    }
    // 5 degrees of freedom: exceeded by chance once in a million
    #expect(chiSquare < 35, "counts \(counts)")
  }

  private static let truncations: [(Int32, Float, Float, Set<Int32>)] = [
    (Int32(1), Float(1), Float(0), Set<Int32>([1])), (2, 1, 0, [1, 3]), (3, 1, 0, [1, 3, 5]),
    (0, 0.5, 0, [1, 3]), (0, 0.01, 0, [1]), (0, 0.85, 0, [1, 3, 5]), (0, 1, 0.9, [1, 3]), (0, 1, 0.3, [1, 3, 5]),
    (3, 0.6, 0, [1, 3]), (0, 1, 0.001, [0, 1, 2, 3, 4, 5]),
  ]

  @Test("Each truncation keeps the tokens that it should", arguments: truncations)
  func truncationsKeepTheirTokens(_ k: Int32, _ p: Float, _ least: Float, _ kept: Set<Int32>) {
    var seen: Set<Int32> = []
    let weights = logits.map { exp(Double($0)) }
    let mass = kept.reduce(0.0) { $0 + weights[Int($1)] } / weights.reduce(0, +)
    for i in 0..<2000 {
      let result = sampled(logits, topK: k, topP: p, minP: least, u: (Float(i) + 0.5) / 2000)
      seen.insert(result.token)
      #expect(abs(Double(result.log_kept_mass) - log(mass)) < 1e-5)
    }
    #expect(seen == kept)
  }

  @Test("Extreme logits never give a token of probability 0") func extremeLogitsNeverGiveATokenOfNoProbability() {
    var wide = [Float](repeating: -200, count: 3000)
    wide[2500] = 50
    for u: Float in [0, 0.3, 0x1.fffffep-1] {
      #expect(sampled(wide, u: u).token == 2500)
      #expect(sampled(wide, topP: 0.9, u: u).token == 2500)
    }
    let flat = [Float](repeating: 1, count: 3000)
    #expect(sampled(flat, u: 0).token == 0)
    #expect(sampled(flat, u: 0x1.fffffep-1).token == 2999)
    #expect(sampled(flat, topK: 10, u: 0x1.fffffep-1).token == 9)
    let broken = [Float](repeating: .nan, count: 100)
    #expect((0..<100).contains(sampled(broken, u: 0.5).token))
  }

  @Test("Philox gives the reference numbers") func philoxGivesTheReferenceNumbers() {
    // The known answers published with Random123: counter and key all zero, all ones, and digits of pi.
    let zero = Philox.block(counter: .zero, key: .zero)
    #expect(zero == SIMD4(0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8))
    let ones = Philox.block(counter: SIMD4(repeating: .max), key: SIMD2(repeating: .max))
    #expect(ones == SIMD4(0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd))
    let pi = Philox.block(
      counter: SIMD4(0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344), key: SIMD2(0xa409_3822, 0x299f_31d0))
    #expect(pi == SIMD4(0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1))
  }
}
