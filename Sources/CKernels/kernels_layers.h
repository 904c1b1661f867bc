// RMSNorm, RoPE, SwiGLU and element-wise kernels.

INLINE float rmsnorm(
  const fv_kind kind, float *x, const float *add, const float *weight, float epsilon, int64_t width, void *out) {
  vf squares = vf_set1(0);
  for (int64_t i = 0; i < width; i += 16) {
    vf v = vf_load_part(x + i, width - i, 0);
    if (add) {
      v = vf_add(v, vf_load_part(add + i, width - i, 0));
      vf_store_part(x + i, width - i, v);
    }
    squares = vf_fma(v, v, squares);
  }
  const float inverse = 1.0f / __builtin_sqrtf(vf_sum(squares) / (float)width + epsilon);
  const vf scale = vf_set1(inverse);
  for (int64_t i = 0; i < width; i += 16) {
    const int64_t n = width - i;
    const vf normal = vf_mul(vf_load_part(x + i, n, 0), scale);
    vf_store_kind_part(kind, out, i, n, vf_mul(normal, vf_load_part(weight + i, n, 0)));
  }
  return inverse;
}

float KERNEL(rmsnorm)(
  fv_kind kind, float *x, const float *add, const float *weight, float epsilon, int64_t width, void *out) {
  return kind == fv_bf16 ? rmsnorm(fv_bf16, x, add, weight, epsilon, width, out)
                         : rmsnorm(fv_f32, x, add, weight, epsilon, width, out);
}

void KERNEL(rmsnorm_backward)(
  const float *dy, const float *x, float inverse, const float *weight, int64_t width, float *dx) {
  vf dot = vf_set1(0);
  for (int64_t i = 0; i < width; i += 16) {
    const int64_t n = width - i;
    const vf g = vf_mul(vf_load_part(dy + i, n, 0), vf_load_part(weight + i, n, 0));
    dot = vf_fma(g, vf_load_part(x + i, n, 0), dot);
  }
  const vf factor = vf_set1(vf_sum(dot) * inverse * inverse * inverse / (float)width);
  const vf scale = vf_set1(inverse);
  for (int64_t i = 0; i < width; i += 16) {
    const int64_t n = width - i;
    const vf g = vf_mul(vf_load_part(dy + i, n, 0), vf_load_part(weight + i, n, 0));
    const vf d = vf_sub(vf_mul(g, scale), vf_mul(vf_load_part(x + i, n, 0), factor));
    vf_store_part(dx + i, n, vf_add(vf_load_part(dx + i, n, 0), d));
  }
}

void KERNEL(rmsnorm_weight_backward)(
  const float *dy, const float *x, const float *inverse, int64_t rows, int64_t width, int64_t begin, int64_t end,
  float *dweight) {
  for (int64_t i = begin; i < end; i += 16) {
    const int64_t n = end - i;
    vf sum = vf_load_part(dweight + i, n, 0);
    for (int64_t r = 0; r < rows; r++) {
      const vf normal = vf_mul(vf_load_part(x + r * width + i, n, 0), vf_set1(inverse[r]));
      sum = vf_fma(vf_load_part(dy + r * width + i, n, 0), normal, sum);
    }
    vf_store_part(dweight + i, n, sum);
  }
}

void KERNEL(rope)(
  float *x, int64_t heads, int64_t head_size, const float *cosine, const float *sine, float direction) {
  const int64_t half = head_size / 2;
  for (int64_t h = 0; h < heads; h++) {
    float *first = x + h * head_size, *second = first + half;
    for (int64_t i = 0; i < half; i++) {
      const float a = first[i], b = second[i], c = cosine[i], s = sine[i] * direction;
      first[i] = a * c - b * s;
      second[i] = b * c + a * s;
    }
  }
}

// 1 / (1 + exp(-x))
INLINE vf vf_sigmoid(vf x) {
  const vf one = vf_set1(1);
  return vf_div(one, vf_add(one, vf_exp(vf_sub(vf_set1(0), x))));
}

void KERNEL(swiglu)(fv_kind kind, const float *gate_up, int64_t width, void *out) {
  for (int64_t i = 0; i < width; i += 16) {
    const int64_t n = width - i;
    const vf gate = vf_load_part(gate_up + i, n, 0), up = vf_load_part(gate_up + width + i, n, 0);
    vf_store_kind_part(kind, out, i, n, vf_mul(vf_mul(gate, vf_sigmoid(gate)), up));
  }
}

INLINE void swiglu_backward(
  const fv_kind kind, const fv_kind gradient, const void *gate_up, int64_t width, const float *dy, void *out,
  void *dgate_up) {
  const vf one = vf_set1(1);
  for (int64_t i = 0; i < width; i += 16) {
    const int64_t n = width - i;
    const vf gate = vf_load_kind_part(kind, gate_up, i, n), up = vf_load_kind_part(kind, gate_up, width + i, n);
    const vf sigmoid = vf_sigmoid(gate), silu = vf_mul(gate, sigmoid);
    if (out) vf_store_kind_part(kind, out, i, n, vf_mul(silu, up));
    if (dgate_up) {
      const vf d = vf_load_part(dy + i, n, 0);
      // silu' = sigmoid (1 + gate (1 - sigmoid))
      const vf slope = vf_mul(sigmoid, vf_fma(gate, vf_sub(one, sigmoid), one));
      vf_store_kind_part(gradient, dgate_up, i, n, vf_mul(vf_mul(d, up), slope));
      vf_store_kind_part(gradient, dgate_up, width + i, n, vf_mul(d, silu));
    }
  }
}

void KERNEL(swiglu_backward)(
  fv_kind kind, fv_kind gradient, const void *gate_up, int64_t width, const float *dy, void *out, void *dgate_up) {
  if (gradient == fv_bf16) swiglu_backward(kind, fv_bf16, gate_up, width, dy, out, dgate_up);
  else swiglu_backward(kind, fv_f32, gate_up, width, dy, out, dgate_up);
}

void KERNEL(round)(fv_kind kind, const float *x, int64_t count, void *out) {
  for (int64_t i = 0; i < count; i += 16)
    vf_store_kind_part(kind, out, i, count - i, vf_load_part(x + i, count - i, 0));
}

void KERNEL(widen)(fv_kind kind, const void *x, int64_t count, float *out) {
  for (int64_t i = 0; i < count; i += 16)
    vf_store_part(out + i, count - i, vf_load_kind_part(kind, x, i, count - i));
}

void KERNEL(add)(float *y, const float *x, int64_t count) {
  for (int64_t i = 0; i < count; i++) y[i] += x[i];
}
