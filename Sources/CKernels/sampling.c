// Sampling one token from one row of logits.
#include <stdlib.h>

#include "kernels_prelude.h"

fv_softmax fv_exponentials(
  const float *logits, int64_t count, float inverse_temperature, float *exponentials, double *block_sums);

enum { block_size = 1024, block_count_max = 1024 };

// Order of candidates: more probable first, then the lower token.
typedef struct {
  float weight;
  int32_t token;
} candidate;

static int by_weight(const void *a, const void *b) {
  const candidate *x = a, *y = b;
  if (x->weight != y->weight) return x->weight > y->weight ? -1 : 1;
  return x->token < y->token ? -1 : x->token > y->token;
}

// Candidates of weight at least `least`, in order of probability. Their sum goes to *mass.
static int64_t gather(const float *weights, int64_t count, float least, candidate *out, double *mass) {
  int64_t kept = 0;
  *mass = 0;
  for (int64_t i = 0; i < count; i++)
    if (weights[i] >= least) {
      out[kept++] = (candidate){weights[i], (int32_t)i};
      *mass += weights[i];
    }
  return kept;
}

// Enough of the most probable tokens for top-k and top-p: the threshold falls until they are there.
static int64_t candidates_for(
  const float *weights, int64_t count, double total, fv_sampling s, candidate *out) {
  const float floor = s.min_p > 0 ? s.min_p : 0;
  const int64_t wanted = s.top_k > 0 && s.top_k < count ? s.top_k : 0;
  for (float least = 0.0625f;; least *= 0.0625f) {
    const int last = least <= floor || least < 1e-30f;
    double mass;
    const int64_t kept = gather(weights, count, last ? floor : least, out, &mass);
    const int enough_k = wanted ? kept >= wanted : 0;
    const int enough_p = s.top_p < 1 ? mass >= s.top_p * total : 0;
    if (last || enough_k || enough_p) {
      qsort(out, (size_t)kept, sizeof *out, by_weight);
      return kept;
    }
  }
}

fv_draw fv_sample(const float *logits, int64_t count, fv_sampling sampling, float u, float *scratch) {
  double block_sums[block_count_max];
  const float inverse = sampling.temperature > 0 ? 1.0f / sampling.temperature : 1.0f;
  const fv_softmax softmax = fv_exponentials(logits, count, inverse, scratch, block_sums);
  const int64_t blocks = (count + block_size - 1) / block_size;
  double total = 0;
  for (int64_t b = 0; b < blocks; b++) total += block_sums[b];

  int64_t token = -1;
  double kept_mass = total;
  if (sampling.temperature <= 0) {
    token = 0;
    for (int64_t i = 1; i < count; i++)
      if (logits[i] > logits[token]) token = i;
  } else if (sampling.top_k <= 0 && sampling.top_p >= 1 && sampling.min_p <= 0) {
    const double target = (double)u * total;
    double below = 0;
    int64_t b = 0;
    while (b + 1 < blocks && below + block_sums[b] <= target) below += block_sums[b++];
    const int64_t end = (b + 1) * block_size < count ? (b + 1) * block_size : count;
    // the last token of positive weight, should rounding leave the target beyond the block's end
    for (int64_t i = b * block_size; i < end; i++) {
      if (scratch[i] <= 0) continue;
      token = i;
      below += scratch[i];
      if (below > target) break;
    }
  } else {
    candidate *candidates = (candidate *)(scratch + count);
    int64_t kept = candidates_for(scratch, count, total, sampling, candidates);
    if (sampling.top_k > 0 && kept > sampling.top_k) kept = sampling.top_k;
    if (sampling.top_p < 1) {
      double mass = sampling.top_k > 0 && sampling.top_k < count ? 0 : total;
      if (mass == 0)
        for (int64_t i = 0; i < kept; i++) mass += candidates[i].weight;
      double sum = 0;
      int64_t i = 0;
      while (i < kept && sum < sampling.top_p * mass) sum += candidates[i++].weight;
      kept = i > 0 ? i : 1;
    }
    while (kept > 1 && candidates[kept - 1].weight < sampling.min_p) kept--;
    kept_mass = 0;
    for (int64_t i = 0; i < kept; i++) kept_mass += candidates[i].weight;
    const double target = (double)u * kept_mass;
    double sum = 0;
    for (int64_t i = 0; i < kept; i++) {
      token = candidates[i].token;
      sum += candidates[i].weight;
      if (sum > target) break;
    }
  }
  if (token < 0) token = 0;
  return (fv_draw){
    (int32_t)token, fv_log_probability(logits, token, inverse, softmax), (float)fv_log(kept_mass / total),
    softmax.entropy};
}
