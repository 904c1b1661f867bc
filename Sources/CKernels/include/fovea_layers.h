// Layer kernels, forward and backward, a row at a time. x, dx and all sums are fp32; "kind" outputs are bf16 or fp32.
// C model width, F feed-forward width, D head width.
#pragma once
#include "fovea_isa.h"

// RMSNorm of one row. If add is given, x += add first (the residual). inverse = 1 / sqrt(mean(x^2) + epsilon);
// out[c] = (x[c] * inverse) * weight[c], rounded to the kind. Returns inverse. Source: Zhang and Sennrich, 2019.
float fv_rmsnorm(
  fv_kind kind, float *x, const float *add, const float *weight, float epsilon, int64_t width, void *out);
// dx += d RMSNorm / dx . dy for one row, given the forward's x and inverse.
void fv_rmsnorm_backward(
  const float *dy, const float *x, float inverse, const float *weight, int64_t width, float *dx);
// dweight[c] += sum over rows r, ascending, of dy[r][c] * x[r][c] * inverse[r], for columns begin ..< end.
void fv_rmsnorm_weight_backward(
  const float *dy, const float *x, const float *inverse, int64_t rows, int64_t width, int64_t begin, int64_t end,
  float *dweight);

// Rotates pairs (x[i], x[i + D/2]) of each of `heads` heads in place by the angle whose cosine and sine are given
// [D/2]; direction -1 rotates back (the backward pass). Source: Su et al., 2021, in Hugging Face's half-split order.
void fv_rope(float *x, int64_t heads, int64_t head_size, const float *cosine, const float *sine, float direction);

// out = silu(gate) * up, gate_up = [gate F | up F], rounded to the kind. Source: Shazeer, 2020.
void fv_swiglu(fv_kind kind, const float *gate_up, int64_t width, void *out);
// From stored gate_up (of the kind): the forward's output again, into out (may be NULL), and for dy [F] the gradients
// dgate_up [2F], rounded to the kind `gradient` (may be NULL).
void fv_swiglu_backward(
  fv_kind kind, fv_kind gradient, const void *gate_up, int64_t width, const float *dy, void *out, void *dgate_up);

// Element-wise rounding to the kind, and back.
void fv_round(fv_kind kind, const float *x, int64_t count, void *out);
void fv_widen(fv_kind kind, const void *x, int64_t count, float *out);
// y += x
void fv_add(float *y, const float *x, int64_t count);
