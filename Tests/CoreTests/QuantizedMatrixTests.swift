import Architecture
import CKernels
import Engine
import FoveaTesting
import Layers
import Model
import Prompts
import Support
import Tensor
import Testing

/// The int8 product against its definition, written here a second time, and against the exact product.
@Suite(.serialized) struct QuantizedMatrixTests {
  private func product(
    _ x: [Float], _ w: [Float], bias: [Float]? = nil, m: Int, n: Int, k: Int, _ precision: Precision,
    pool: ThreadPool = onePool
  ) -> [Float] {
    let matrix = QuantizedMatrix(precision, rows: n, depth: k)
    matrix.load(rows: 0, count: n, float32: w, pool: pool)
    let rounded = ElementBuffer(precision, count: m * k)
    fv_round(precision.kind, x, Int64(m * k), rounded.at(0))
    let y = AlignedBuffer<Float>(count: m * n)
    matrix.multiply(rounded.words(at: 0), count: m, into: y.pointer, bias: bias, pool: pool)
    return Array(y.elements)
  }

  /// The rotation of fovea_int8.h: H16 over neighbours, then Hp over vectors of 16, perhaps twice.
  private func rotated(_ row: ArraySlice<Float>) -> [Float] {
    var row = Array(row)
    row += [Float](repeating: 0, count: (16 - row.count % 16) % 16)
    func transform(_ range: Range<Int>, strides: [Int], scale: Float) {
      for h in strides {
        for i in range where (i - range.lowerBound) & h == 0 {
          (row[i], row[i + h]) = (row[i] + row[i + h], row[i] - row[i + h])
        }
      }
      for i in range { row[i] *= scale }
    }
    for first in stride(from: 0, to: row.count, by: 16) {
      transform(first..<first + 16, strides: [1, 2, 4, 8], scale: 0.25)
    }
    let size = 16 * sequence(first: 1) { $0 * 2 }.prefix { $0 <= row.count / 16 }.max()!
    let strides = Array(sequence(first: 16) { $0 * 2 }.prefix { $0 < size })
    let scale = 1 / Float(size / 16).squareRoot()
    transform(0..<size, strides: strides, scale: scale)
    if size < row.count { transform(row.count - size..<row.count, strides: strides, scale: scale) }
    return row
  }

  /// A row's integers and scale.
  private func quantized(_ row: ArraySlice<Float>) -> (integers: [Int], scale: Float) {
    let row = rotated(row)
    let largest = row.map(abs).max() ?? 0
    guard largest >= 1e-30 else { return (row.map { _ in 0 }, 0) }
    let inverse = 127 / largest
    return (row.map { Int(($0 * inverse).rounded(.toNearestOrEven)) }, largest / 127)
  }

  @Test(
    "A product is its definition to the bit",
    arguments: [(1, 64, 32), (5, 100, 50), (6, 130, 2), (33, 65, 1602), (200, 33, 94)])
  func aProductIsItsDefinitionToTheBit(_ m: Int, _ n: Int, _ k: Int) {
    var inputs = KernelInputs(51, m, n)
    for precision in Precision.allCases {
      let isHalf = precision == .bfloat16
      let x = inputs.floats(m * k).map { isHalf ? widened(bfloat16($0)) : $0 }
      let w = inputs.floats(n * k, scale: 0.1).map { isHalf ? widened(bfloat16($0)) : $0 }
      let bias = inputs.floats(n)
      let left = (0..<m).map { quantized(x[$0 * k..<($0 + 1) * k]) }
      let right = (0..<n).map { quantized(w[$0 * k..<($0 + 1) * k]) }
      let expected = left.flatMap { a in
        zip(right, bias).map { b, bias in
          Float(zip(a.integers, b.integers).reduce(0) { $0 + $1.0 * $1.1 }) * (a.scale * b.scale) + bias
        }
      }
      for threads in [1, 3] {
        let y = product(x, w, bias: bias, m: m, n: n, k: k, precision, pool: ThreadPool(threads: threads))
        #expect(sameBits(y, expected), "\(precision), \(threads) threads")
      }
      let exact = (0..<m * n).map { index in
        let (row, column) = (index / n, index % n)
        return (0..<k).reduce(bias[column]) { $0 + x[row * k + $1] * w[column * k + $1] }
      }
      #expect(relativeError(expected, exact) < 0.02)
    }
  }

  @Test("Products of any shape and any value have the bits of their twin")
  func productsOfAnyShapeAndAnyValueHaveTheBitsOfTheirTwin() {
    for round in 0..<40 {
      var inputs = KernelInputs(52, round)
      func size() -> Int { 1 + Int(inputs.random.integer(below: 130)) }
      let m = size()
      let n = size()
      let k = 2 * size()
      let wild = round % 2 == 0
      let x = wild ? inputs.wildFloats(m * k) : inputs.floats(m * k)
      let w = wild ? inputs.wildFloats(n * k) : inputs.floats(n * k)
      for precision in Precision.allCases {
        expectTwins("int8 product \(m)x\(n)x\(k) \(precision)") {
          product(x, w, m: m, n: n, k: k, precision)
        }
      }
    }
  }

  /// A single large element rotates to elements of one size: the largest sums, where saturating instructions would
  /// differ.
  @Test("The largest integers do not saturate") func theLargestIntegersDoNotSaturate() {
    let k = 4096
    for sign: Float in [1, -1] {
      var x = [Float](repeating: 0, count: k)
      x[0] = 64
      expectTwins("extreme product, \(sign)") {
        let y = product(x, x.map { $0 * sign }, m: 1, n: 1, k: k, .bfloat16)
        #expect(y == [Float(127 * 127 * k) * sign * (Float(1) / 127 * (Float(1) / 127))])
        return y
      }
    }
  }

  /// What the rotation is for: one channel a thousand times as large as the others.
  @Test("An outlier leaves the other elements their precision") func anOutlierLeavesTheOtherElementsTheirPrecision() {
    var inputs = KernelInputs(56)
    let k = 576
    let n = 128
    var x = inputs.floats(k).map { widened(bfloat16($0)) }
    var w = inputs.floats(n * k).map { widened(bfloat16($0)) }
    x[70] = 1000
    for row in 0..<n { w[row * k + 70] = 0 }
    let y = product(x, w, m: 1, n: n, k: k, .bfloat16)
    var (error, size) = (0.0, 0.0)
    for row in 0..<n {
      let exact = (0..<k).reduce(0.0) { $0 + Double(x[$1]) * Double(w[row * k + $1]) }
      error += (Double(y[row]) - exact) * (Double(y[row]) - exact)
      size += exact * exact
    }
    // Unrotated, one step of the input would be 8: nothing would be left of the others, and the error be as large as
    // the result.
    #expect((error / size).squareRoot() < 0.7)
  }

  @Test("A row of zeros gives zero, and a row that is not finite gives NaN")
  func aRowOfZerosIsZeroAndARowThatIsNotFiniteIsNaN() {
    let k = 6
    var x = [Float](repeating: 1, count: 5 * k)
    for i in 0..<k { (x[i], x[k + i]) = (0, 1e-38) }
    x[2 * k + 3] = .nan
    x[3 * k + 5] = -.infinity
    var w = [Float](repeating: 0.5, count: 3 * k)
    for i in 0..<k { w[k + i] = 0 }
    w[2 * k] = .infinity
    let y = product(x, w, m: 5, n: 3, k: k, .bfloat16)
    #expect(y[0] == 0)
    #expect(y[3] == 0)
    #expect(abs(y[12] - 3) < 0.05)
    #expect(y[1] == 0)
    #expect(y[13] == 0)
    #expect(y[6].isNaN)
    #expect(y[9].isNaN)
    #expect(y[14].isNaN)
  }

  @Test("An embedding keeps its exact rows") func anEmbeddingKeepsItsExactRows() {
    var inputs = KernelInputs(53)
    let w = inputs.floats(70 * 34)
    for precision in Precision.allCases {
      let matrix = QuantizedMatrix(precision, rows: 70, depth: 34, keepsRows: true)
      matrix.load(rows: 0, count: 70, float32: w, pool: onePool)
      var row = [Float](repeating: 0, count: 34)
      matrix.unpack(row: 41, into: &row)
      #expect(row == w[41 * 34..<42 * 34].map { precision == .bfloat16 ? widened(bfloat16($0)) : $0 })
    }
  }

  @Test("Weights that arrive in bf16 are the same as those that are rounded while loading")
  func weightsThatArriveInBfloat16AreThoseThatAreRoundedHere() {
    let config = SmallModel.config
    let parameters = SmallModel.parameters(seed: 54)
    let decoders = (0..<2).map { _ in Decoder(config: config, precision: .bfloat16, rollout: .int8, pool: onePool) }
    decoders[0].load(parameters)
    for (index, parameter) in config.parameters.enumerated() {
      let values = Array(parameters.scalars(index))
      if parameter.shape.count > 1 {
        decoders[1].load(parameter: index, bfloat16: values.map(bfloat16))
      } else {
        decoders[1].load(parameter: index, float32: values)
      }
    }
    let completions = decoders.map { sample($0) }
    #expect(completions[0] == completions[1])
  }

  /// The whole decoder: prefill, decode and sampling of a small model.
  @Test("A sample has the same bits on every instruction set") func aSampleHasTheSameBitsOnEveryInstructionSet() {
    let parameters = SmallModel.parameters(seed: 55)
    expectTwins("int8 sample") {
      let decoder = Decoder(config: SmallModel.config, precision: .bfloat16, rollout: .int8, pool: onePool)
      decoder.load(parameters)
      let completion = sample(decoder)
      return completion.tokens.map(Float.init) + completion.logProbabilities + completion.entropies
    }
  }

  private func sample(_ decoder: Decoder) -> Completion {
    let engine = GenerationEngine(decoder: decoder, slotCount: 2, bytesOfToken: { _ in [] })
    let request = GenerationRequest(
      id: 1, promptTokens: [5, 9, 100, 3], key: SampleKey(seed: 2, step: 0, prompt: 1, sample: 0), sampleCount: 1,
      sampling: SamplingSettings(maxNewTokens: 20), stopTokens: [])
    #expect(throws: Never.self) { try engine.submit(request) }
    while true {
      if let completion = engine.step().first { return completion }
    }
  }
}
