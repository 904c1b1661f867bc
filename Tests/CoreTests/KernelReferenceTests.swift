import CKernels
import Glibc
import Layers
import Tensor
import Testing

/// Kernels against plain fp64 arithmetic written here from the formulas.
@Suite struct KernelReferenceTests {
  @Test(
    "Products agree with sums in fp64",
    arguments: [(1, 64, 32), (5, 100, 48), (6, 130, 2), (64, 64, 64), (67, 65, 1600), (200, 33, 90)])
  func productsAreProducts(_ m: Int, _ n: Int, _ k: Int) {
    var inputs = KernelInputs(21, m, n)
    for precision in Precision.allCases {
      let isHalf = precision == .bfloat16
      let x = inputs.floats(m * k).map { isHalf ? widened(bfloat16($0)) : $0 }
      let w = inputs.floats(n * k)
      let bias = inputs.floats(n)
      let matrix = PackedMatrix(precision, rows: n, depth: k)
      matrix.load(rows: 0, count: n, float32: w, pool: onePool)
      let packed = ElementBuffer(precision, count: m * k)
      fv_round(precision.kind, x, Int64(m * k), packed.at(0))
      let y = AlignedBuffer<Float>(count: m * n)
      matrix.multiply(packed.words(at: 0), count: m, into: y.pointer, bias: bias, pool: onePool)
      func weight(_ row: Int, _ column: Int) -> Double {
        let value = w[row * k + column]
        return Double(isHalf ? widened(bfloat16(value)) : value)
      }
      var expected = [Float]()
      for i in 0..<m {
        for j in 0..<n {
          expected.append(Float((0..<k).reduce(Double(bias[j])) { $0 + Double(x[i * k + $1]) * weight(j, $1) }))
        }
      }
      #expect(relativeError(Array(y.elements), expected) < 1e-5)

      guard n % 2 == 0 else { continue }
      let dy = inputs.floats(m * n).map { isHalf ? widened(bfloat16($0)) : $0 }
      let packedGradient = ElementBuffer(precision, count: m * n)
      fv_round(precision.kind, dy, Int64(m * n), packedGradient.at(0))
      let dx = AlignedBuffer<Float>(count: m * k)
      var transposed = TransposedWeights(precision, pool: onePool)
      let half = n / 4 * 2
      w.withUnsafeBufferPointer { w in
        transposed.pack([(w.baseAddress!, half), (w.baseAddress! + half * k, n - half)], depth: k).multiply(
          packedGradient.words(at: 0), count: m, into: dx.pointer)
      }
      var expectedGradient = [Float]()
      for i in 0..<m {
        for j in 0..<k {
          expectedGradient.append(Float((0..<n).reduce(0.0) { $0 + Double(dy[i * n + $1]) * weight($1, j) }))
        }
      }
      #expect(relativeError(Array(dx.elements), expectedGradient) < 1e-5)
    }
  }

  /// The definition of the product, one element at a time: the odd element of each pair first.
  @Test("A product in bf16 is its defined sequential sum to the bit") func aBfloat16ProductIsItsDefinedChainToTheBit() {
    var inputs = KernelInputs(22)
    let k = 1800  // more units than one pass
    let a = inputs.floats(k).map(bfloat16)
    let b = inputs.floats(k).map { widened(bfloat16($0)) }
    let matrix = PackedMatrix(.bfloat16, rows: 1, depth: k)
    matrix.load(rows: 0, count: 1, float32: b, pool: onePool)
    let x = ElementBuffer(.bfloat16, count: k)
    for (i, value) in a.enumerated() { x.at(i).storeBytes(of: value, as: UInt16.self) }
    var y: [Float] = [0]
    matrix.multiply(x.words(at: 0), count: 1, into: &y, pool: onePool)
    var chain: Float = 0
    for j in 0..<k / 2 {
      chain = fmaf(widened(a[2 * j + 1]), b[2 * j + 1], chain)
      chain = fmaf(widened(a[2 * j]), b[2 * j], chain)
    }
    #expect(y[0].bitPattern == chain.bitPattern)
  }

  @Test("Rounding to bf16 is to nearest even") func roundingToBfloat16IsToNearestEven() {
    var inputs = KernelInputs(23)
    let values = inputs.wildFloats(4096) + [1 + 0x1p-8, 1 + 3 * 0x1p-8, 1 + 0x1p-8 + 0x1p-20]
    var rounded = [UInt16](repeating: 0, count: values.count)
    fv_round(fv_bf16, values, Int64(values.count), &rounded)
    #expect(rounded == values.map(bfloat16))
  }

  @Test("RMSNorm agrees with its formula") func rmsNormIsItsFormula() {
    var inputs = KernelInputs(24)
    let c = 75
    var x = inputs.floats(c)
    let weight = inputs.floats(c)
    var out = [Float](repeating: 0, count: c)
    let before = x
    fv_rmsnorm(fv_f32, &x, nil, weight, 1e-5, Int64(c), &out)
    let mean = before.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(c)
    let expected = zip(before, weight).map { Float(Double($0) / (mean + 1e-5).squareRoot() * Double($1)) }
    #expect(relativeError(out, expected) < 1e-6)
    #expect(x == before)
  }

  @Test("Softmax statistics agree with their formulas") func softmaxStatisticsAreTheirFormulas() {
    var inputs = KernelInputs(25)
    for count in [2, 100, 3000] {
      let logits = inputs.floats(count, scale: 5)
      let softmax = fv_softmax_statistics(logits, Int64(count), 1 / 0.8)
      let z = logits.map { Double($0) / 0.8 }
      let m = z.max()!
      let sum = z.reduce(0.0) { $0 + exp($1 - m) }
      let entropy = z.reduce(0.0) { $0 - exp($1 - m) / sum * ($1 - m - log(sum)) }
      #expect(abs(Double(softmax.log_normalizer) - (m + log(sum))) < 1e-5)
      #expect(abs(Double(softmax.entropy) - entropy) < 1e-5)
      var gradient = [Float](repeating: 0, count: count)
      fv_softmax_backward(fv_f32, logits, Int64(count), 1 / 0.8, softmax.log_normalizer, 1, 2, &gradient)
      let expected = z.enumerated().map { Float(2 / 0.8 * (($0 == 1 ? 1 : 0) - exp($1 - m) / sum)) }
      // z up to 30 in fp32 carries an absolute error of 2e-6, which exp turns into a relative one
      #expect(relativeError(gradient, expected) < 1e-4)
    }
  }

  @Test("Scalar functions agree with the library") func scalarFunctionsAgreeWithTheLibrary() {
    for x in stride(from: -40.0, to: 40.0, by: 0.173) {
      #expect(abs(fv_exp(x) / exp(x) - 1) < 1e-14)
      #expect(abs(fv_log(exp(x)) - x) < 1e-13)
      var cosine = 0.0
      var sine = 0.0
      fv_cosine_sine(x * 997, &cosine, &sine)
      #expect(abs(cosine - cos(x * 997)) < 1e-12)
      #expect(abs(sine - sin(x * 997)) < 1e-12)
    }
    #expect(fv_log(0) == -.infinity)
    #expect(fv_log(-1).isNaN)
    #expect(fv_exp(1000) == .infinity)
    #expect(fv_exp(-1000) == 0)
  }
}
