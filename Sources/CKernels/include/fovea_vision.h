// The layers of vision encoders that a decoder does not have: LayerNorm, GELU in its three forms, and layer scale,
// forward and backward, a row at a time. x, dx and all sums are fp32; "kind" outputs are bf16 or fp32.
#pragma once
#include "fovea_isa.h"

// LayerNorm of one row. If add is given, x += add first (the residual). statistics[0] = mean of x, statistics[1] = 1 /
// sqrt(mean((x - mean)^2) + epsilon); out[c] = (x[c] - mean) * inverse * weight[c] + bias[c], rounded to the kind. out
// may be x itself when the kind is fp32. Source: Ba, Kiros and Hinton, 2016.
void fv_layernorm(
  fv_kind kind, float *x, const float *add, const float *weight, const float *bias, float epsilon, int64_t width,
  void *out, float *statistics);
// dx += d LayerNorm / dx . dy for one row, given the forward's x and statistics.
void fv_layernorm_backward(
  const float *dy, const float *x, const float *statistics, const float *weight, int64_t width, float *dx);
// dweight[c] += sum over rows r, ascending, of dy[r][c] * normal[r][c], dbias[c] += sum of dy[r][c], for columns
// begin ..< end. statistics [rows][2]; dweight or dbias may be NULL.
void fv_layernorm_weight_backward(
  const float *dy, const float *x, const float *statistics, int64_t rows, int64_t width, int64_t begin, int64_t end,
  float *dweight, float *dbias);

// x * Phi(x); by tanh(sqrt(2/pi) (x + 0.044715 x^3)); x * sigmoid(1.702 x). Source: Hendrycks and Gimpel, 2016.
typedef enum { fv_gelu_exact = 0, fv_gelu_tanh = 1, fv_gelu_quick = 2 } fv_gelu_form;

void fv_gelu(fv_kind kind, fv_gelu_form form, const float *x, int64_t count, void *out);
// From stored x (of the kind): the forward's output again, into out (may be NULL), and for dy the gradient dx fp32 (may
// be NULL).
void fv_gelu_backward(
  fv_kind kind, fv_gelu_form form, const void *x, int64_t count, const float *dy, void *out, float *dx);

// x[c] *= scale[c]: layer scale and its backward pass towards x. Source: Touvron et al., 2021.
void fv_scale(float *x, const float *scale, int64_t width);
