// AdamW and sums over flat parameters.

// 32 bits that look random, from 32 that do not. Source: the finalizer of MurmurHash3, Appleby, 2011.
INLINE uint32_t mixed(uint32_t x) {
  x = (x ^ x >> 16) * 0x85EBCA6Bu;
  x = (x ^ x >> 13) * 0xC2B2AE35u;
  return x ^ x >> 16;
}

// bf16: `noise`, 16 bits, decides between the two neighbours in proportion to their distances.
INLINE void store_moment(const fv_kind kind, void *moments, int64_t i, int64_t n, vf x, vu noise) {
  if (kind == fv_f32) {
    vf_store_part((float *)moments + i, n, x);
    return;
  }
  const vu rounded = vu_select_nan(x, vu_shift_right(vu_add(vu_bits(x), noise), 16), vu_set1(0x7FC0));
  if (n >= 16) {
    vu_store_halves((uint16_t *)moments + i, rounded);
    return;
  }
  uint16_t halves[16];
  vu_store_halves(halves, rounded);
  memcpy((uint16_t *)moments + i, halves, 2 * (size_t)n);
}

INLINE void adamw_step(
  const fv_kind moments, const fv_adamw *s, int64_t begin, int64_t end, float *parameters, const float *gradients,
  void *first, void *second) {
  const vf beta1 = vf_set1(s->beta1), rest1 = vf_set1(1 - s->beta1);
  const vf beta2 = vf_set1(s->beta2), rest2 = vf_set1(1 - s->beta2);
  const vf keep = vf_set1(1 - s->learning_rate * s->weight_decay), scale = vf_set1(s->gradient_scale);
  const vf step = vf_set1(s->learning_rate / s->correction1), epsilon = vf_set1(s->epsilon);
  const vf root2 = vf_set1(__builtin_sqrtf(s->correction2));
  const uint32_t key = mixed(s->update);
  for (int64_t i = begin; i < end; i += 16) {
    const int64_t n = end - i;
    const vf g = vf_mul(vf_load_part(gradients + i, n, 0), scale);
    const vf m = vf_fma(g, rest1, vf_mul(vf_load_kind_part(moments, first, i, n), beta1));
    const vf v = vf_fma(vf_mul(g, g), rest2, vf_mul(vf_load_kind_part(moments, second, i, n), beta2));
    const vf update = vf_div(m, vf_add(vf_div(vf_sqrt(v), root2), epsilon));
    const vf p = vf_mul(vf_load_part(parameters + i, n, 0), keep);
    vf_store_part(parameters + i, n, vf_sub(p, vf_mul(step, update)));
    vu noise = vu_set1(0);
    if (moments == fv_bf16) {
      uint32_t random[16];
      for (int j = 0; j < 16; j++) random[j] = mixed((uint32_t)(i + j) * 0x9E3779B9u + key);
      noise = vu_load(random);
    }
    store_moment(moments, first, i, n, m, vu_and(noise, vu_set1(0xFFFF)));
    store_moment(moments, second, i, n, v, vu_shift_right(noise, 16));
  }
}

void KERNEL(adamw_step)(
  const fv_adamw *settings, fv_kind moments, int64_t begin, int64_t end, float *parameters, const float *gradients,
  void *first, void *second) {
  if (moments == fv_bf16) adamw_step(fv_bf16, settings, begin, end, parameters, gradients, first, second);
  else adamw_step(fv_f32, settings, begin, end, parameters, gradients, first, second);
}

double KERNEL(sum_of_squares)(const float *x, int64_t begin, int64_t end) {
  double lanes[16] = {0};
  int64_t i = begin;
  for (; i + 16 <= end; i += 16)
    for (int64_t j = 0; j < 16; j++) lanes[j] += (double)x[i + j] * (double)x[i + j];
  for (int64_t j = 0; i + j < end; j++) lanes[j] += (double)x[i + j] * (double)x[i + j];
  for (int half = 8; half > 0; half /= 2)
    for (int j = 0; j < half; j++) lanes[j] += lanes[j + half];
  return lanes[0];
}
