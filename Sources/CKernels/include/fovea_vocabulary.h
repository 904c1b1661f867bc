// Kernels over one row of logits [V]: softmax statistics, sampling, and the backward pass.
//
// z = logit * inverse_temperature, m = max z, S = sum exp(z - m): over blocks of 1,024 ascending, in each block over 16
// lanes and one tree in fp32, over blocks in fp64. All in nats.
#pragma once
#include "CScalarMath.h"
#include "fovea_isa.h"

typedef struct {
  float max;
  // log S + m
  float log_normalizer;
  // - sum p log p
  float entropy;
} fv_softmax;

fv_softmax fv_softmax_statistics(const float *logits, int64_t count, float inverse_temperature);
// log p of a token: z - log_normalizer.
float fv_log_probability(const float *logits, int64_t token, float inverse_temperature, fv_softmax softmax);

typedef struct {
  // 0 is greedy (statistics are then those of temperature 1)
  float temperature;
  // 0 keeps all
  int32_t top_k;
  // 1 keeps all
  float top_p;
  // 0 keeps all
  float min_p;
} fv_sampling;

typedef struct {
  int32_t token;
  float log_probability, log_kept_mass, entropy;
} fv_draw;

// Samples a token by inverting the cumulative distribution at u in [0, 1). Order of the truncations: top-k, then top-p
// of what top-k kept, then min-p; ties go to the lower token. scratch: count floats + 2 * count int32 (3 * count * 4
// bytes).
fv_draw fv_sample(const float *logits, int64_t count, fv_sampling sampling, float u, float *scratch);

// dlogits[v] = coefficient * inverse_temperature * ([v == token] - p_v), rounded to the kind. The logits may be a slice
// of the vocabulary: token counts from its begin, and may lie outside of it.
void fv_softmax_backward(
  fv_kind kind, const float *logits, int64_t count, float inverse_temperature, float log_normalizer, int64_t token,
  float coefficient, void *dlogits);
