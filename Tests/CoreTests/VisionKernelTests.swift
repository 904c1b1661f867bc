import CKernels
import Glibc
import Layers
import Tensor
import Testing

/// The vision kernels: the bits of their portable twins, and plain fp64 arithmetic written here from the formulas.
@Suite(.serialized) struct VisionKernelTests {
  private static let forms = [fv_gelu_exact, fv_gelu_tanh, fv_gelu_quick]

  private func widened(_ buffer: ElementBuffer, _ count: Int) -> [Float] {
    var result = [Float](repeating: 0, count: count)
    fv_widen(buffer.precision.kind, buffer.at(0), Int64(count), &result)
    return result
  }

  @Test("Layers of any width have the bits of their twin") func layersOfAnyWidthHaveTheBitsOfTheirTwin() {
    for width in [1, 2, 15, 16, 17, 48, 100] {
      var inputs = KernelInputs(31, width)
      let x = inputs.floats(width)
      let add = inputs.floats(width)
      let weight = inputs.floats(width)
      let wild = inputs.wildFloats(width)
      for precision in Precision.allCases {
        let kind = precision.kind
        expectTwins("layernorm \(width) \(precision)") {
          var row = x
          var statistics: [Float] = [0, 0]
          let out = ElementBuffer(precision, count: width)
          fv_layernorm(kind, &row, add, weight, wild, 1e-5, Int64(width), out.at(0), &statistics)
          return row + statistics + widened(out, width)
        }
        for form in Self.forms {
          expectTwins("gelu \(width) \(precision) \(form.rawValue)") {
            let out = ElementBuffer(precision, count: width)
            fv_gelu(kind, form, wild, Int64(width), out.at(0))
            let saved = ElementBuffer(precision, count: width)
            fv_round(kind, wild, Int64(width), saved.at(0))
            let again = ElementBuffer(precision, count: width)
            var gradient = [Float](repeating: 0, count: width)
            fv_gelu_backward(kind, form, saved.at(0), Int64(width), add, again.at(0), &gradient)
            return widened(out, width) + widened(again, width) + gradient
          }
        }
      }
      expectTwins("layernorm backward \(width)") {
        var dx = x
        fv_layernorm_backward(add, x, [0.1, 0.7], weight, Int64(width), &dx)
        var dweight = weight
        var dbias = x
        fv_layernorm_weight_backward(add, x, [0.1, 0.7], 1, Int64(width), 0, Int64(width), &dweight, &dbias)
        fv_scale(&dx, weight, Int64(width))
        return dx + dweight + dbias
      }
    }
  }

  @Test("GELU agrees with its formula far into both tails") func geluIsItsFormulaFarIntoBothTails() {
    let x = stride(from: Float(-12), through: 12, by: 0.0037).map { $0 }
    let reference: [(fv_gelu_form, (Double) -> Double)] = [
      (fv_gelu_exact, { $0 * 0.5 * erfc(-$0 / 2.0.squareRoot()) }),
      (fv_gelu_tanh, { $0 * 0.5 * (1 + tanh((2 / Double.pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0))) }),
      (fv_gelu_quick, { $0 / (1 + exp(-1.702 * $0)) }),
    ]
    for (form, gelu) in reference {
      var y = [Float](repeating: 0, count: x.count)
      onePool.run(1) { _ in fv_gelu(fv_f32, form, x, Int64(x.count), &y) }
      var slopes = y
      let ones = [Float](repeating: 1, count: x.count)
      onePool.run(1) { _ in fv_gelu_backward(fv_f32, form, x, Int64(x.count), ones, nil, &slopes) }
      for (i, value) in x.enumerated() {
        let expected = gelu(Double(value))
        #expect(abs(Double(y[i]) - expected) <= 1e-6 * abs(expected) + 1e-7)
        let slope = (gelu(Double(value) + 1e-5) - gelu(Double(value) - 1e-5)) / 2e-5
        #expect(abs(Double(slopes[i]) - slope) < 2e-6)
      }
    }
    // the exact form keeps its relative error where the value itself is small
    var tail: [Float] = [0]
    onePool.run(1) { _ in fv_gelu(fv_f32, fv_gelu_exact, [-8], 1, &tail) }
    #expect(abs(Double(tail[0]) / (-8 * 0.5 * erfc(8 / 2.0.squareRoot())) - 1) < 5e-6)
  }

  @Test("LayerNorm agrees with its formula, and its gradient with the derivative")
  func layerNormIsItsFormulaAndItsGradientItsDerivative() {
    let width = 37
    var inputs = KernelInputs(33)
    let x = inputs.floats(width).map { $0 + 3 }
    let weight = inputs.floats(width)
    let bias = inputs.floats(width)
    let dy = inputs.floats(width)
    func norm(_ x: [Double]) -> [Double] {
      let mean = x.reduce(0, +) / Double(width)
      let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(width)
      return zip(x, zip(weight, bias)).map {
        ($0 - mean) / (variance + 1e-5).squareRoot() * Double($1.0) + Double($1.1)
      }
    }
    var row = x
    var y = [Float](repeating: 0, count: width)
    var statistics: [Float] = [0, 0]
    fv_layernorm(fv_f32, &row, nil, weight, bias, 1e-5, Int64(width), &y, &statistics)
    let exact = x.map(Double.init)
    #expect(relativeError(y, norm(exact).map(Float.init)) < 1e-6)

    var dx = [Float](repeating: 0, count: width)
    fv_layernorm_backward(dy, x, statistics, weight, Int64(width), &dx)
    func loss(_ x: [Double]) -> Double { zip(norm(x), dy).reduce(0) { $0 + $1.0 * Double($1.1) } }
    let slopes = (0..<width).map { i in
      var (above, below) = (exact, exact)
      above[i] += 1e-5
      below[i] -= 1e-5
      return Float((loss(above) - loss(below)) / 2e-5)
    }
    #expect(relativeError(dx, slopes) < 1e-5)
  }
}
