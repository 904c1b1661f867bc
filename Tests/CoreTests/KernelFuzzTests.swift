import CKernels
import Layers
import Support
import Tensor
import Testing

/// Every kernel against its portable twin: sizes 1 to 130, values with denormals, infinities, NaN and raw bits.
/// Products and attention are in `KernelFuzzProductTests`; `KernelFuzz.swift` says what equal means.
@Suite struct KernelFuzzTests {
  @Test("RMSNorm has the bits of its twin and stays within its memory") func rmsNorm() {
    fuzz("rmsnorm", cases: 300) { inputs in
      let width = inputs.size()
      let precision = inputs.precision()
      let (x, weight) = (inputs.floats(width), inputs.floats(width))
      let add = inputs.flag() ? inputs.floats(width) : nil
      return { run in
        let row = run.floats(x)
        let out = run.elements(precision, width)
        let inverse = add.map { fv_rmsnorm(precision.kind, row, $0, weight, 1e-5, Int64(width), out) }
        run.note(inverse ?? fv_rmsnorm(precision.kind, row, nil, weight, 1e-5, Int64(width), out))
      }
    }
    fuzz("rmsnorm_backward", cases: 200) { inputs in
      let (width, rows) = (inputs.size(), inputs.size(5))
      let begin = inputs.below(width)
      let (dy, x, weight) = (inputs.floats(rows * width), inputs.floats(rows * width), inputs.floats(width))
      let (before, inverses) = (inputs.floats(width), inputs.floats(rows))
      return { run in
        fv_rmsnorm_backward(dy, x, inverses[0], weight, Int64(width), run.floats(before))
        fv_rmsnorm_weight_backward(
          dy, x, inverses, Int64(rows), Int64(width), Int64(begin), Int64(width), run.floats(before))
      }
    }
  }

  @Test("RoPE and element-wise kernels have the bits of their twins and stay within their memory")
  func ropeAndElementwise() {
    fuzz("rope", cases: 200) { inputs in
      let (heads, size) = (inputs.size(9), inputs.evenSize())
      let x = inputs.floats(heads * size)
      let (cosine, sine) = (inputs.floats(size / 2), inputs.floats(size / 2))
      let direction: Float = inputs.flag() ? 1 : -1
      return { fv_rope($0.floats(x), Int64(heads), Int64(size), cosine, sine, direction) }
    }
    fuzz("round, widen, add, scale", cases: 300) { inputs in
      let count = inputs.size()
      let precision = inputs.precision()
      let (x, y, saved) = (inputs.floats(count), inputs.floats(count), inputs.elements(precision, count))
      return { run in
        fv_round(precision.kind, x, Int64(count), run.elements(precision, count))
        fv_widen(precision.kind, saved, Int64(count), run.floats(count))
        fv_add(run.floats(y), x, Int64(count))
        fv_scale(run.floats(y), x, Int64(count))
      }
    }
  }

  @Test("SwiGLU has the bits of its twin and stays within its memory") func swiGLU() {
    fuzz("swiglu", cases: 300) { inputs in
      let width = inputs.size()
      let precision = inputs.precision()
      let (gateUp, saved) = (inputs.floats(2 * width), inputs.elements(precision, 2 * width))
      let dy = inputs.floats(width)
      let (wantsOut, wantsGradient, kind) = (inputs.flag(), inputs.flag(), inputs.precision())
      return { run in
        fv_swiglu(precision.kind, gateUp, Int64(width), run.elements(precision, width))
        let out = wantsOut ? run.elements(precision, width) : nil
        let gradient = wantsGradient ? run.elements(kind, 2 * width) : nil
        fv_swiglu_backward(precision.kind, kind.kind, saved, Int64(width), dy, out, gradient)
      }
    }
  }

  @Test("LayerNorm has the bits of its twin and stays within its memory") func layerNorm() {
    fuzz("layernorm", cases: 300) { inputs in
      let width = inputs.size()
      let precision = inputs.precision()
      let (x, weight, bias) = (inputs.floats(width), inputs.floats(width), inputs.floats(width))
      let add = inputs.flag() ? inputs.floats(width) : nil
      return { run in
        let row = run.floats(x)
        let out = run.elements(precision, width)
        let statistics = run.floats(2)
        if let add {
          fv_layernorm(precision.kind, row, add, weight, bias, 1e-5, Int64(width), out, statistics)
        } else {
          fv_layernorm(precision.kind, row, nil, weight, bias, 1e-5, Int64(width), out, statistics)
        }
      }
    }
    fuzz("layernorm_backward", cases: 200) { inputs in
      let (width, rows) = (inputs.size(), inputs.size(5))
      let begin = inputs.below(width)
      let (dy, x, weight) = (inputs.floats(rows * width), inputs.floats(rows * width), inputs.floats(width))
      let (before, statistics) = (inputs.floats(width), inputs.floats(2 * rows))
      let (wantsWeight, wantsBias) = (inputs.flag(), inputs.flag())
      return { run in
        fv_layernorm_backward(dy, x, statistics, weight, Int64(width), run.floats(before))
        let dweight = wantsWeight ? run.floats(before) : nil
        let dbias = wantsBias ? run.floats(before) : nil
        fv_layernorm_weight_backward(
          dy, x, statistics, Int64(rows), Int64(width), Int64(begin), Int64(width), dweight, dbias)
      }
    }
  }

  @Test("GELU has the bits of its twin and stays within its memory") func gelu() {
    fuzz("gelu", cases: 300) { inputs in
      let count = inputs.size()
      let precision = inputs.precision()
      let form = [fv_gelu_exact, fv_gelu_tanh, fv_gelu_quick][inputs.below(3)]
      let (x, saved, dy) = (inputs.floats(count), inputs.elements(precision, count), inputs.floats(count))
      let (wantsOut, wantsGradient) = (inputs.flag(), inputs.flag())
      return { run in
        fv_gelu(precision.kind, form, x, Int64(count), run.elements(precision, count))
        let out = wantsOut ? run.elements(precision, count) : nil
        fv_gelu_backward(precision.kind, form, saved, Int64(count), dy, out, wantsGradient ? run.floats(count) : nil)
      }
    }
  }

  @Test("Softmax has the bits of its twin and stays within its memory") func softmax() {
    fuzz("softmax_statistics, softmax_backward", cases: 300) { inputs in
      let count = inputs.below(6) == 0 ? inputs.size(4000) : inputs.size()
      let precision = inputs.precision()
      let logits = inputs.floats(count)
      let inverse = 1 / (0.1 + 2 * inputs.random.uniform())
      let token = Int64(inputs.below(count))
      let (normalizer, coefficient) = (inputs.floats(1)[0], inputs.floats(1)[0])
      return { run in
        let softmax = fv_softmax_statistics(logits, Int64(count), inverse)
        run.note(softmax.max, softmax.log_normalizer, softmax.entropy)
        run.note(fv_log_probability(logits, token, inverse, softmax))
        fv_softmax_backward(
          precision.kind, logits, Int64(count), inverse, normalizer, token, coefficient, run.elements(precision, count))
      }
    }
  }

  @Test("Sampling has the bits of its twin and stays within its memory") func sampling() {
    fuzz("sample", cases: 400) { inputs in
      let count = inputs.below(6) == 0 ? inputs.size(4000) : inputs.size()
      let logits = inputs.floats(count)
      let sampling = fv_sampling(
        temperature: inputs.below(8) == 0 ? 0 : 0.1 + 2 * inputs.random.uniform(),
        top_k: inputs.flag() ? 0 : Int32(inputs.size()), top_p: inputs.flag() ? 1 : max(1e-6, inputs.random.uniform()),
        min_p: inputs.flag() ? 0 : inputs.random.uniform())
      let u = inputs.below(10) == 0 ? 1 - 0x1p-24 : inputs.random.uniform()
      return { run in
        let draw = fv_sample(logits, Int64(count), sampling, u, run.scratch(3 * count))
        run.note(draw.log_probability, draw.log_kept_mass, draw.entropy)
        run.note(Double(draw.token))
        #expect(draw.token >= 0)
        #expect(draw.token < count)
      }
    }
  }

  @Test("The optimizer has the bits of its twin and stays within its memory") func optimizer() {
    fuzz("adamw_step, sum_of_squares", cases: 300) { inputs in
      let end = inputs.size()
      let begin = inputs.below(end)
      let values = (0..<4).map { _ in inputs.floats(end) }
      var settings = fv_adamw(
        learning_rate: inputs.random.uniform(), beta1: inputs.random.uniform(), beta2: inputs.random.uniform(),
        epsilon: 1e-8, weight_decay: inputs.random.uniform(), correction1: 1 - inputs.random.uniform(),
        correction2: 1 - inputs.random.uniform(), gradient_scale: inputs.floats(1)[0],
        update: UInt32(inputs.below(1000)))
      let halves = (inputs.elements(.bfloat16, end), inputs.elements(.bfloat16, end))
      return { run in
        fv_adamw_step(
          &settings, fv_f32, Int64(begin), Int64(end), run.floats(values[0]), values[1], run.floats(values[2]),
          run.floats(values[3]))
        let (first, second) = (run.elements(.bfloat16, end), run.elements(.bfloat16, end))
        halves.0.withUnsafeBytes { first.copyMemory(from: $0.baseAddress!, byteCount: 2 * end) }
        halves.1.withUnsafeBytes { second.copyMemory(from: $0.baseAddress!, byteCount: 2 * end) }
        fv_adamw_step(
          &settings, fv_bf16, Int64(begin), Int64(end), run.floats(values[0]), values[1], first, second)
        run.note(fv_sum_of_squares(values[0], Int64(begin), Int64(end)))
      }
    }
  }
}
