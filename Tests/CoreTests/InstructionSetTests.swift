import CKernels
import FoveaTesting
import Layers
import Support
import Tensor
import Testing
import Training

/// Every kernel gives the bits of its portable twin, on every instruction set that this machine has.
@Suite(.serialized) struct InstructionSetTests {
  @Test("Products of any shape and any value have the bits of their twin")
  func productsOfAnyShapeAndAnyValueHaveTheBitsOfTheirTwin() {
    for round in 0..<40 {
      var inputs = KernelInputs(11, round)
      func size() -> Int { 1 + Int(inputs.random.integer(below: 130)) }
      let m = size()
      let n = size()
      let k = 2 * ((size() + 1) / 2)
      let wild = round % 2 == 0
      let x = wild ? inputs.wildFloats(m * k) : inputs.floats(m * k)
      let w = wild ? inputs.wildFloats(n * k) : inputs.floats(n * k)
      let bias = inputs.floats(n)
      for precision in Precision.allCases {
        expectTwins("product \(m)x\(n)x\(k) \(precision)") {
          let matrix = PackedMatrix(precision, rows: n, depth: k)
          matrix.load(rows: 0, count: n, float32: w, pool: onePool)
          let rounded = ElementBuffer(precision, count: m * k)
          fv_round(precision.kind, x, Int64(m * k), rounded.at(0))
          let y = AlignedBuffer<Float>(count: m * n)
          matrix.multiply(rounded.words(at: 0), count: m, into: y.pointer, bias: bias, pool: onePool)
          return Array(y.elements)
        }
      }
    }
  }

  @Test("Layers of any width have the bits of their twin") func layersOfAnyWidthHaveTheBitsOfTheirTwin() {
    for width in [1, 2, 15, 16, 17, 31, 48, 64, 100, 130] {
      var inputs = KernelInputs(12, width)
      let x = inputs.floats(width)
      let add = inputs.floats(width)
      let weight = inputs.floats(width)
      let wild = inputs.wildFloats(2 * width)
      for precision in Precision.allCases {
        let kind = precision.kind
        expectTwins("rmsnorm \(width) \(precision)") {
          var row = x
          let out = ElementBuffer(precision, count: width)
          let inverse = fv_rmsnorm(kind, &row, add, weight, 1e-5, Int64(width), out.at(0))
          var result = [Float](repeating: 0, count: width)
          fv_widen(kind, out.at(0), Int64(width), &result)
          return row + result + [inverse]
        }
        expectTwins("swiglu \(width) \(precision)") {
          let out = ElementBuffer(precision, count: width)
          fv_swiglu(kind, wild, Int64(width), out.at(0))
          let saved = ElementBuffer(precision, count: 2 * width)
          fv_round(kind, wild, Int64(2 * width), saved.at(0))
          var gradient = [Float](repeating: 0, count: 2 * width)
          fv_swiglu_backward(kind, fv_f32, saved.at(0), Int64(width), add, nil, &gradient)
          var result = [Float](repeating: 0, count: width)
          fv_widen(kind, out.at(0), Int64(width), &result)
          return result + gradient
        }
      }
      expectTwins("rmsnorm backward \(width)") {
        var dx = x
        fv_rmsnorm_backward(add, x, 0.7, weight, Int64(width), &dx)
        var dweight = weight
        fv_rmsnorm_weight_backward(add, x, [0.7], 1, Int64(width), 0, Int64(width), &dweight)
        return dx + dweight
      }
    }
  }

  @Test("The vocabulary kernels have the bits of their twin") func vocabularyKernelsHaveTheBitsOfTheirTwin() {
    for count in [1, 7, 16, 129, 1000, 1024, 1025, 5000] {
      var inputs = KernelInputs(13, count)
      let logits = inputs.floats(count, scale: 8)
      expectTwins("softmax over \(count)") {
        let softmax = fv_softmax_statistics(logits, Int64(count), 1 / 0.7)
        var gradient = [Float](repeating: 0, count: count)
        fv_softmax_backward(
          fv_f32, logits, Int64(count), 1 / 0.7, softmax.log_normalizer, Int64(count / 2), 0.3, &gradient)
        return [softmax.max, softmax.log_normalizer, softmax.entropy] + gradient
      }
      expectTwins("sampling over \(count)") {
        var scratch = [Float](repeating: 0, count: 3 * count)
        return [(0, 1, 0), (5, 1, 0), (0, 0.8, 0), (9, 0.9, 0.05)].flatMap {
          (k: Int32, p: Float, least: Float) -> [Float] in
          let sampling = fv_sampling(temperature: 0.9, top_k: k, top_p: p, min_p: least)
          let draw = fv_sample(logits, Int64(count), sampling, 0.37, &scratch)
          return [Float(draw.token), draw.log_probability, draw.log_kept_mass, draw.entropy]
        }
      }
    }
  }

  @Test("The optimizer has the bits of its twin") func optimizerHasTheBitsOfItsTwin() {
    var inputs = KernelInputs(14)
    let values = (0..<4).map { _ in inputs.floats(1000) }
    expectTwins("adamw") {
      var parameters = values[0]
      var first = values[1]
      var second = values[2].map(abs)
      var settings = fv_adamw(
        learning_rate: 1e-3, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weight_decay: 0.1, correction1: 0.1,
        correction2: 0.01, gradient_scale: 0.5, update: 7)
      fv_adamw_step(&settings, fv_f32, 0, 1000, &parameters, values[3], &first, &second)
      var halves = (first.map(bfloat16), second.map(bfloat16))
      fv_adamw_step(&settings, fv_bf16, 0, 999, &parameters, values[3], &halves.0, &halves.1)
      return parameters + first + second + (halves.0 + halves.1).map(widened)
        + [Float(fv_sum_of_squares(values[0], 0, 1000))]
    }
  }

  /// Attention, RoPE and the whole model: a training step of a small model, scores and gradients.
  @Test("A whole training step has the bits of its twin", arguments: Precision.allCases)
  func aWholeTrainingStepHasTheBitsOfItsTwin(_ precision: Precision) {
    let config = SmallModel.config
    let groups = SmallModel.groups(seed: 15)
    expectTwins("training step in \(precision)") {
      let model = TrainingModel(
        config: config, parameters: SmallModel.parameters(seed: 15), precision: precision, pool: onePool)
      let scores = model.accumulateGradients(groups, temperature: 0.9) { scores in
        scores.map { $0.map { $0.entropies } }
      }
      return scores.flatMap { $0.flatMap { $0.logProbabilities + $0.entropies } }
        + Array(model.gradients.values.elements)
    }
  }

  @Test("An environment that names no instruction set of this processor is refused")
  func anEnvironmentThatNamesNoInstructionSetOfThisProcessorIsRefused() throws {
    try InstructionSet.checkEnvironment(nil)
    try InstructionSet.checkEnvironment("portable")
    for wish in ["", "sse9", "AVX2"] + InstructionSet.allCases.filter({ !$0.isSupported }).map(\.rawValue) {
      let error = #expect(throws: InputError.self) { try InstructionSet.checkEnvironment(wish) }
      #expect(error?.place == "FOVEA_ISA")
      #expect(error?.found == wish)
    }
  }
}
