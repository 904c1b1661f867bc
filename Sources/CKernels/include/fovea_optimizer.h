// The optimizer's passes over flat parameters, begin ..< end.
#pragma once
#include "fovea_isa.h"

typedef struct {
  float learning_rate, beta1, beta2, epsilon, weight_decay;
  // 1 - beta^t
  float correction1, correction2;
  // multiplies the gradients (clipping, averaging)
  float gradient_scale;
  // t: with an element's index the key of its rounding
  uint32_t update;
} fv_adamw;

// AdamW with decoupled weight decay, as torch.optim.AdamW computes it. Source: Loshchilov and Hutter, 2019.
//
// Moments are of the kind. The update comes from the new moments in fp32; as bf16 they are then rounded stochastically,
// by bits that are a function of element and update: rounded to nearest, a moment that decays by less than half a bf16
// step would never decay. Source: Zamirai et al., "Revisiting BFloat16 Training", 2020.
void fv_adamw_step(
  const fv_adamw *settings, fv_kind moments, int64_t begin, int64_t end, float *parameters, const float *gradients,
  void *first, void *second);
// Sum of squares in fp64 over 16 lanes.
double fv_sum_of_squares(const float *x, int64_t begin, int64_t end);
