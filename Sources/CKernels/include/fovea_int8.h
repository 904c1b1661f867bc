// The inexact product of rollouts: weights and inputs as 8-bit integers, exact integer sums, one scale a row on each
// side.
//
//   w[n] ~ qw[n] * sw[n]      rotated, sw = max |R w[n]| / 127, once when weights are loaded
//   x[m] ~ qx[m] * sx[m]      rotated, sx = max |R x[m]| / 127, for every row anew
//   q = (R x) * (127 / max) rounded to nearest, ties to even, within -127 ... 127
//   y[m][n] = float(sum over k of qx * qw) * (sx * sw) + bias
//
// R is one orthogonal matrix, so that (R x) . (R w) = x . w: activations have a few channels that are far larger than
// the rest, which would take the whole range, and R spreads each over hundreds of elements. R first transforms every 16
// neighbouring elements (of the row, padded with zeros) by the Walsh-Hadamard matrix H16 / 4; then, lane by lane, the
// first p vectors of 16 by Hp / sqrt(p), where p is the largest power of two up to their number, and after that the
// last p vectors, when they are others. All in fp32, butterflies (a + b, a - b) from the nearest pairs to the farthest.
//
// Integer sums have no order, and the roundings are these, so y has the same bits on every instruction set, for any
// split over tasks, threads or batches. A row whose maximum is below 1e-30 counts as zero; one that holds an infinity
// or NaN gives NaN. Source: quantization by token and channel, Xiao et al., 2022 (arXiv 2211.10438); Hadamard
// rotations, Ashkboos et al., 2024 (arXiv 2404.00456).
//
// A packed word (unit) is four consecutive elements of the rotated reduction. Inputs are stored as qx + 128, unsigned,
// as vpdpbusd takes them; offsets[n] = -128 * sum of qw[n] takes that out again. Panels: [ceil(N/64)][units][64] units,
// columns beyond N zero.
#pragma once
#include "fovea_isa.h"

// The largest reduction whose sums fit 32 bits: 127 * 127 * K < 2^31.
enum { fv_int8_depth_max = 131072 };

typedef struct {
  // M, N; units of the reduction, 4 * ceil(K/16)
  int64_t rows, columns, units;
  // [M][units]
  const uint32_t *a;
  // [M]
  const float *a_scales;
  const uint32_t *panels;
  // [64 * ceil(N/64)]
  const float *scales;
  const int32_t *offsets;
  // [M, N] fp32, y_row floats between rows
  float *y;
  int64_t y_row;
  // [N] added at the end, or NULL
  const float *bias;
} fv_int8_matmul;

// Rows row_begin ..< row_end of the columns of panels panel_begin ..< panel_end.
void fv_int8_matmul_block(
  const fv_int8_matmul *product, int64_t row_begin, int64_t row_end, int64_t panel_begin, int64_t panel_end);

// Rotates and quantizes one row x [depth] of the kind into out [units]. scratch: 4 * units floats.
void fv_int8_quantize_row(
  fv_kind kind, const void *x, int64_t depth, int64_t units, float *scratch, uint32_t *out, float *scale);

// Rotates and quantizes `rows` rows of w [rows, depth] of the kind, row-major, and packs them as columns column_begin +
// row. scratch: 4 * units floats.
void fv_int8_pack_columns(
  fv_kind kind, const void *w, int64_t depth, int64_t rows, int64_t column_begin, int64_t units, float *scratch,
  uint32_t *panels, float *scales, int32_t *offsets);

// As fv_peak, for this product: integer operations done in `rounds` rounds.
double fv_int8_peak(int64_t rounds);
