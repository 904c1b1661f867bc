// AdamW and sums over flat parameters.

void KERNEL(adamw_step)(
  const fv_adamw *s, int64_t begin, int64_t end, float *parameters, const float *gradients, float *first,
  float *second) {
  const vf beta1 = vf_set1(s->beta1), rest1 = vf_set1(1 - s->beta1);
  const vf beta2 = vf_set1(s->beta2), rest2 = vf_set1(1 - s->beta2);
  const vf keep = vf_set1(1 - s->learning_rate * s->weight_decay), scale = vf_set1(s->gradient_scale);
  const vf step = vf_set1(s->learning_rate / s->correction1), epsilon = vf_set1(s->epsilon);
  const float root2 = __builtin_sqrtf(s->correction2);
  for (int64_t i = begin; i < end; i += 16) {
    const int64_t n = end - i;
    const vf g = vf_mul(vf_load_part(gradients + i, n, 0), scale);
    const vf m = vf_fma(g, rest1, vf_mul(vf_load_part(first + i, n, 0), beta1));
    const vf v = vf_fma(vf_mul(g, g), rest2, vf_mul(vf_load_part(second + i, n, 0), beta2));
    float root[16];
    vf_store(root, v);
    for (int j = 0; j < 16; j++) root[j] = __builtin_sqrtf(root[j]) / root2;
    const vf update = vf_div(m, vf_add(vf_load(root), epsilon));
    const vf p = vf_mul(vf_load_part(parameters + i, n, 0), keep);
    vf_store_part(parameters + i, n, vf_sub(p, vf_mul(step, update)));
    vf_store_part(first + i, n, m);
    vf_store_part(second + i, n, v);
  }
}

double KERNEL(sum_of_squares)(const float *x, int64_t begin, int64_t end) {
  double lanes[16] = {0};
  for (int64_t i = begin; i < end; i += 16)
    for (int64_t j = 0; j < 16 && i + j < end; j++) lanes[j] += (double)x[i + j] * (double)x[i + j];
  for (int half = 8; half > 0; half /= 2)
    for (int j = 0; j < half; j++) lanes[j] += lanes[j + half];
  return lanes[0];
}
