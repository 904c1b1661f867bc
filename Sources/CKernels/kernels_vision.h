// LayerNorm, GELU and layer scale.

INLINE void layernorm(
  const fv_kind kind, float *x, const float *add, const float *weight, const float *bias, float epsilon, int64_t width,
  void *out, float *statistics) {
  vf sum = vf_set1(0);
  for (int64_t i = 0; i < width; i += 16) {
    vf v = vf_load_part(x + i, width - i, 0);
    if (add) {
      v = vf_add(v, vf_load_part(add + i, width - i, 0));
      vf_store_part(x + i, width - i, v);
    }
    sum = vf_add(sum, v);
  }
  const float mean = vf_sum(sum) / (float)width;
  const vf shift = vf_set1(mean);
  vf squares = vf_set1(0);
  for (int64_t i = 0; i < width; i += 16) {
    const vf v = vf_sub(vf_load_part(x + i, width - i, mean), shift);
    squares = vf_fma(v, v, squares);
  }
  const float inverse = 1.0f / __builtin_sqrtf(vf_sum(squares) / (float)width + epsilon);
  const vf scale = vf_set1(inverse);
  for (int64_t i = 0; i < width; i += 16) {
    const int64_t n = width - i;
    const vf normal = vf_mul(vf_sub(vf_load_part(x + i, n, 0), shift), scale);
    vf_store_kind_part(kind, out, i, n, vf_fma(normal, vf_load_part(weight + i, n, 0), vf_load_part(bias + i, n, 0)));
  }
  statistics[0] = mean;
  statistics[1] = inverse;
}

void KERNEL(layernorm)(
  fv_kind kind, float *x, const float *add, const float *weight, const float *bias, float epsilon, int64_t width,
  void *out, float *statistics) {
  if (kind == fv_bf16) layernorm(fv_bf16, x, add, weight, bias, epsilon, width, out, statistics);
  else layernorm(fv_f32, x, add, weight, bias, epsilon, width, out, statistics);
}

void KERNEL(layernorm_backward)(
  const float *dy, const float *x, const float *statistics, const float *weight, int64_t width, float *dx) {
  const vf shift = vf_set1(statistics[0]), scale = vf_set1(statistics[1]);
  vf sum = vf_set1(0), dot = vf_set1(0);
  for (int64_t i = 0; i < width; i += 16) {
    const int64_t n = width - i;
    const vf g = vf_mul(vf_load_part(dy + i, n, 0), vf_load_part(weight + i, n, 0));
    const vf normal = vf_mul(vf_sub(vf_load_part(x + i, n, 0), shift), scale);
    sum = vf_add(sum, g);
    dot = vf_fma(g, normal, dot);
  }
  const vf mean = vf_set1(vf_sum(sum) / (float)width), slope = vf_set1(vf_sum(dot) / (float)width);
  for (int64_t i = 0; i < width; i += 16) {
    const int64_t n = width - i;
    const vf g = vf_mul(vf_load_part(dy + i, n, 0), vf_load_part(weight + i, n, 0));
    const vf normal = vf_mul(vf_sub(vf_load_part(x + i, n, 0), shift), scale);
    const vf d = vf_mul(vf_sub(vf_sub(g, mean), vf_mul(normal, slope)), scale);
    vf_store_part(dx + i, n, vf_add(vf_load_part(dx + i, n, 0), d));
  }
}

void KERNEL(layernorm_weight_backward)(
  const float *dy, const float *x, const float *statistics, int64_t rows, int64_t width, int64_t begin, int64_t end,
  float *dweight, float *dbias) {
  for (int64_t i = begin; i < end; i += 16) {
    const int64_t n = end - i;
    vf weight = dweight ? vf_load_part(dweight + i, n, 0) : vf_set1(0);
    vf bias = dbias ? vf_load_part(dbias + i, n, 0) : vf_set1(0);
    for (int64_t r = 0; r < rows; r++) {
      const vf d = vf_load_part(dy + r * width + i, n, 0);
      const vf centred = vf_sub(vf_load_part(x + r * width + i, n, 0), vf_set1(statistics[2 * r]));
      weight = vf_fma(d, vf_mul(centred, vf_set1(statistics[2 * r + 1])), weight);
      bias = vf_add(bias, d);
    }
    if (dweight) vf_store_part(dweight + i, n, weight);
    if (dbias) vf_store_part(dbias + i, n, bias);
  }
}

// Phi(x), the normal distribution's cumulative function: erfc(z) = t exp(-z^2) Q(t), t = 1 / (1 + z / 2), z = |x| /
// sqrt 2. Q is our own least-squares fit in relative error on z up to 9.4; in fp32 the whole is within 3e-7.
INLINE vf vf_phi(vf x) {
  const vf zero = vf_set1(0), one = vf_set1(1);
  const vf z = vf_mul(vf_max(x, vf_sub(zero, x)), vf_set1(0.70710678f));
  const vf t = vf_div(one, vf_fma(z, vf_set1(0.5f), one));
  vf q = vf_set1(1.543664839e-02f);
  q = vf_fma(q, t, vf_set1(-1.398151964e-01f));
  q = vf_fma(q, t, vf_set1(4.664350748e-01f));
  q = vf_fma(q, t, vf_set1(-7.179674506e-01f));
  q = vf_fma(q, t, vf_set1(4.592902064e-01f));
  q = vf_fma(q, t, vf_set1(-1.176524758e-01f));
  q = vf_fma(q, t, vf_set1(2.318322212e-01f));
  q = vf_fma(q, t, vf_set1(2.373856157e-01f));
  q = vf_fma(q, t, vf_set1(2.829974890e-01f));
  q = vf_fma(q, t, vf_set1(2.820578516e-01f));
  const vf tail = vf_mul(vf_mul(vf_mul(q, t), vf_exp(vf_sub(zero, vf_mul(z, z)))), vf_set1(0.5f));
  // below 0 the tail itself, else 1 - tail
  return vf_add(tail, vf_zero_where_less(x, zero, vf_sub(one, vf_add(tail, tail))));
}

// gelu(x) = x s(x): s and its derivative.
INLINE void gelu_slope(const fv_gelu_form form, vf x, vf *s, vf *ds) {
  if (form == fv_gelu_exact) {
    *s = vf_phi(x);
    const vf half = vf_mul(vf_mul(x, x), vf_set1(-0.5f));
    *ds = vf_mul(vf_exp(half), vf_set1(0.39894228f));
    return;
  }
  const vf one = vf_set1(1), x2 = vf_mul(x, x);
  // (1 + tanh u) / 2 = sigmoid(2 u), 2 sqrt(2 / pi) = 1.5957691
  const vf inner = form == fv_gelu_tanh ? vf_mul(vf_mul(x, vf_set1(1.5957691f)), vf_fma(x2, vf_set1(0.044715f), one))
                                        : vf_mul(x, vf_set1(1.702f));
  const vf slope =
    form == fv_gelu_tanh ? vf_mul(vf_fma(x2, vf_set1(0.134145f), one), vf_set1(1.5957691f)) : vf_set1(1.702f);
  *s = vf_sigmoid(inner);
  *ds = vf_mul(vf_mul(*s, vf_sub(one, *s)), slope);
}

INLINE void gelu(const fv_kind kind, const fv_gelu_form form, const float *x, int64_t count, void *out) {
  for (int64_t i = 0; i < count; i += 16) {
    const vf v = vf_load_part(x + i, count - i, 0);
    vf s, ds;
    gelu_slope(form, v, &s, &ds);
    vf_store_kind_part(kind, out, i, count - i, vf_mul(v, s));
  }
}

INLINE void gelu_backward(
  const fv_kind kind, const fv_gelu_form form, const void *x, int64_t count, const float *dy, void *out, float *dx) {
  for (int64_t i = 0; i < count; i += 16) {
    const int64_t n = count - i;
    const vf v = vf_load_kind_part(kind, x, i, n);
    vf s, ds;
    gelu_slope(form, v, &s, &ds);
    if (out) vf_store_kind_part(kind, out, i, n, vf_mul(v, s));
    if (dx) vf_store_part(dx + i, n, vf_mul(vf_load_part(dy + i, n, 0), vf_fma(v, ds, s)));
  }
}

#define GELU_FORMS(call) \
  switch (form) { \
    case fv_gelu_exact: call(fv_gelu_exact); break; \
    case fv_gelu_tanh: call(fv_gelu_tanh); break; \
    default: call(fv_gelu_quick); break; \
  }

void KERNEL(gelu)(fv_kind kind, fv_gelu_form form, const float *x, int64_t count, void *out) {
#define FORWARD(f) if (kind == fv_bf16) gelu(fv_bf16, f, x, count, out); else gelu(fv_f32, f, x, count, out)
  GELU_FORMS(FORWARD)
#undef FORWARD
}

void KERNEL(gelu_backward)(
  fv_kind kind, fv_gelu_form form, const void *x, int64_t count, const float *dy, void *out, float *dx) {
#define BACKWARD(f) \
  if (kind == fv_bf16) gelu_backward(fv_bf16, f, x, count, dy, out, dx); \
  else gelu_backward(fv_f32, f, x, count, dy, out, dx)
  GELU_FORMS(BACKWARD)
#undef BACKWARD
}

void KERNEL(scale)(float *x, const float *scale, int64_t width) {
  for (int64_t i = 0; i < width; i++) x[i] *= scale[i];
}
