// The optimizer's passes over flat parameters, begin ..< end.
#pragma once
#include "fovea_isa.h"

typedef struct {
  float learning_rate, beta1, beta2, epsilon, weight_decay;
  // 1 - beta^t
  float correction1, correction2;
  // multiplies the gradients (clipping, averaging)
  float gradient_scale;
} fv_adamw;

// AdamW with decoupled weight decay, as torch.optim.AdamW computes it. Source: Loshchilov and Hutter, 2019.
void fv_adamw_step(
  const fv_adamw *settings, int64_t begin, int64_t end, float *parameters, const float *gradients, float *first,
  float *second);
// Sum of squares in fp64 over 16 lanes.
double fv_sum_of_squares(const float *x, int64_t begin, int64_t end);
