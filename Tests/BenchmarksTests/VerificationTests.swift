import Benchmarks
import FoveaTesting
import Layers
import Tensor
import Testing

@Suite struct VerificationTests {
  @Test("Every proof holds on a small model", arguments: Precision.allCases)
  func everyProofHoldsOnASmallModel(_ precision: Precision) throws {
    var lines: [Verification.Line] = []
    let verification = Verification(
      config: SmallModel.config, parameters: SmallModel.parameters(seed: 41), precision: precision)
    try verification.run { lines.append($0) }
    // exact: 8 and one for each other instruction set; int8: 2 and one for each that this processor has
    #expect(
      lines.count == 8 + InstructionSet.allCases.count - 1 + 2 + InstructionSet.allCases.count(where: \.isSupported) - 1
    )
    for line in lines { #expect(line.holds, "\(line.claim)") }
  }

  /// A rate above the peak, or tokens that do not add up, would be a mistake in counting.
  @Test("Rates are below the measured peak and count every token")
  func ratesAreBelowTheMeasuredPeakAndCountEveryToken() throws {
    let pool = ThreadPool(threads: 1)
    let peak = HardwarePeak(precision: .bfloat16, pool: pool)
    let benchmark = EngineBenchmark(
      config: SmallModel.config, parameters: SmallModel.parameters(seed: 42), precision: .bfloat16, pool: pool)
    let decoder = benchmark.decoder().0
    let products = benchmark.products(decoder, batch: 8, threads: pool)
    #expect(products.tokens == 8)
    #expect(products.gigaflops > 0)
    let engine = benchmark.engine(decoder, slots: 8, positions: 64)
    let rows = try benchmark.rollout(engine, batch: 8, prompt: 16, tokens: 20)
    #expect(rows.map(\.tokens) == [8 * 16, 8 * 18])
    let learner = benchmark.learner(prompts: 2, prompt: 16, group: 4, completion: 8)
    #expect(learner.tokens == 2 * 4 * 24)
    let int8 = try benchmark.rollout(
      benchmark.engine(benchmark.decoder(.int8).0, slots: 8, positions: 64), .int8, batch: 8, prompt: 16, tokens: 20)
    #expect(int8.map(\.tokens) == rows.map(\.tokens))
    #expect(int8[1].weightBytes == rows[1].weightBytes.map { $0 / 2 })
    for row in rows + int8 + [learner] { #expect(row.gigaflops > 0, "\(row)") }
    for row in int8 { #expect(row.gigaflops < peak.int8Gigaops, "\(row)") }
    for row in rows + [learner] { #expect(row.gigaflops < peak.gigaflops, "\(row)") }
  }
}
