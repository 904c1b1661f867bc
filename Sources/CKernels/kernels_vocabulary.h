// Softmax statistics, sampling and backward over one row of logits.

#define FV_VOCABULARY_BLOCK 1024

INLINE vf scaled_logits(const float *logits, int64_t i, int64_t count, vf scale) {
  // beyond the end: -infinity, which exp makes 0
  return vf_mul(vf_load_part(logits + i, count - i, -INFINITY), scale);
}

INLINE float scaled_maximum(const float *logits, int64_t count, vf scale) {
  vf maximum = scaled_logits(logits, 0, count, scale);
  for (int64_t i = 16; i < count; i += 16) maximum = vf_max(scaled_logits(logits, i, count, scale), maximum);
  return vf_maximum(maximum);
}

// exp(z - m) summed, and times (z - m) summed; optionally each exp and each block's sum kept.
INLINE void sum_exponentials(
  const float *logits, int64_t count, vf scale, float m, double *sum, double *weighted, float *exponentials,
  double *block_sums) {
  const vf shift = vf_set1(m), floor = vf_set1(-88.0f);
  *sum = *weighted = 0;
  for (int64_t block = 0; block < count; block += FV_VOCABULARY_BLOCK) {
    const int64_t end = block + FV_VOCABULARY_BLOCK < count ? block + FV_VOCABULARY_BLOCK : count;
    vf s = vf_set1(0), w = vf_set1(0);
    for (int64_t i = block; i < end; i += 16) {
      const vf x = vf_sub(scaled_logits(logits, i, count, scale), shift);
      const vf e = vf_exp(x);
      s = vf_add(s, e);
      w = vf_fma(e, vf_max(x, floor), w);
      if (exponentials) vf_store_part(exponentials + i, count - i, e);
    }
    const double total = vf_sum(s);
    *sum += total;
    *weighted += vf_sum(w);
    if (block_sums) block_sums[block / FV_VOCABULARY_BLOCK] = total;
  }
}

INLINE fv_softmax softmax_from_sums(float m, double sum, double weighted) {
  const double log_sum = fv_log(sum);
  return (fv_softmax){m, (float)(log_sum + m), (float)(log_sum - weighted / sum)};
}

fv_softmax KERNEL(softmax_statistics)(const float *logits, int64_t count, float inverse_temperature) {
  const vf scale = vf_set1(inverse_temperature);
  const float m = scaled_maximum(logits, count, scale);
  double sum, weighted;
  sum_exponentials(logits, count, scale, m, &sum, &weighted, 0, 0);
  return softmax_from_sums(m, sum, weighted);
}

// The walk along exp(z - m) for sample_row (dispatch.c): all of them, their sums by block, and the statistics.
fv_softmax KERNEL(exponentials)(
  const float *logits, int64_t count, float inverse_temperature, float *exponentials, double *block_sums) {
  const vf scale = vf_set1(inverse_temperature);
  const float m = scaled_maximum(logits, count, scale);
  double sum, weighted;
  sum_exponentials(logits, count, scale, m, &sum, &weighted, exponentials, block_sums);
  return softmax_from_sums(m, sum, weighted);
}

INLINE void softmax_backward(
  const fv_kind kind, const float *logits, int64_t count, float inverse_temperature, float log_normalizer,
  int64_t token, float coefficient, void *dlogits) {
  const vf scale = vf_set1(inverse_temperature), shift = vf_set1(log_normalizer);
  const float factor = coefficient * inverse_temperature;
  const vf negative = vf_set1(-factor);
  for (int64_t i = 0; i < count; i += 16) {
    const vf p = vf_exp(vf_sub(scaled_logits(logits, i, count, scale), shift));
    vf_store_kind_part(kind, dlogits, i, count - i, vf_mul(p, negative));
  }
  if (token < 0 || token >= count) return;
  const float z = logits[token] * inverse_temperature - log_normalizer;
  vf p = vf_exp(vf_set1(z));
  float probability[16];
  vf_store(probability, p);
  vf_store_kind_part(kind, dlogits, token, 1, vf_set1(factor * (1 - probability[0])));
}

void KERNEL(softmax_backward)(
  fv_kind kind, const float *logits, int64_t count, float inverse_temperature, float log_normalizer, int64_t token,
  float coefficient, void *dlogits) {
  if (kind == fv_bf16)
    softmax_backward(fv_bf16, logits, count, inverse_temperature, log_normalizer, token, coefficient, dlogits);
  else softmax_backward(fv_f32, logits, count, inverse_temperature, log_normalizer, token, coefficient, dlogits);
}
