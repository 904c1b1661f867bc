// Products: y[M, N] = a[M, K] . w[N, K]^T, and the packing of their operands.
//
// A packed word (unit) is 32 bits: two consecutive bf16 of the reduction (fv_bf16), or one fp32 (fv_f32). Every element
// of y is one sequential sum over the units j, ascending, in fp32:
//   fv_bf16: c = fma(a[2j], b[2j], fma(a[2j+1], b[2j+1], c))      (the bits of vdpbf16ps)
//   fv_f32:  c = fma(a[j], b[j], c)
// so the result does not depend on how rows and columns are split over tasks, threads or batches.
//
// Panels: w is packed as [ceil(N/64)][units][64] units; columns beyond N are zero.
#pragma once
#include "fovea_isa.h"

typedef struct {
  // M, N; units of the reduction (K/2 rounded up, or K)
  int64_t rows, columns, units;
  // Unit j of row r is a[(r / 64) * a_panel + (r % 64) * a_row + j * a_unit]. Row-major: a_row = units, a_panel = 64
  // a_row, a_unit = 1. Packed by fv_pack_depth_rows: a_row = 1, a_panel = 64 units, a_unit = 64.
  const uint32_t *a;
  int64_t a_panel, a_row, a_unit;
  const uint32_t *panels;
  // [M, N] fp32, y_row floats between rows
  float *y;
  int64_t y_row;
  // [N] added at the end, or NULL
  const float *bias;
  // The sum starts at the y that is there, instead of at zero.
  int32_t accumulate;
} fv_matmul;

// Rows row_begin ..< row_end of the columns of panels panel_begin ..< panel_end.
void fv_matmul_block(
  fv_kind kind, const fv_matmul *product, int64_t row_begin, int64_t row_end, int64_t panel_begin, int64_t panel_end);

// Packs rows [row_begin, row_end) of w [rows, depth] (row-major) as columns column_begin + row of panels with `units`
// units, reducing along depth (which is even for fv_bf16). _from_f32 rounds to bf16 for fv_bf16.
void fv_pack_columns_from_f32(
  fv_kind kind, const float *w, int64_t depth, int64_t row_begin, int64_t row_end, int64_t column_begin, int64_t units,
  uint32_t *panels);
void fv_pack_columns_from_bf16(
  fv_kind kind, const uint16_t *w, int64_t depth, int64_t row_begin, int64_t row_end, int64_t column_begin,
  int64_t units, uint32_t *panels);

// Packs x [depth, columns] (row-major, x_row elements between rows) into panels of 64 columns, reducing along the rows;
// the rows start at unit_begin (fv_bf16: two rows a unit, an odd last row is paired with zero). Panels panel_begin ..<
// panel_end.
void fv_pack_depth_rows_from_f32(
  fv_kind kind, const float *x, int64_t x_row, int64_t depth, int64_t columns, int64_t unit_begin, int64_t units,
  int64_t panel_begin, int64_t panel_end, uint32_t *panels);
// The same from elements of the kind itself (bf16 or fp32).
void fv_pack_depth_rows(
  fv_kind kind, const void *x, int64_t x_row, int64_t depth, int64_t columns, int64_t unit_begin, int64_t units,
  int64_t panel_begin, int64_t panel_end, uint32_t *panels);

// Row `column` of w as fp32, read back out of panels made by fv_pack_columns. out [depth]
void fv_unpack_column(fv_kind kind, const uint32_t *panels, int64_t units, int64_t column, int64_t depth, float *out);

// Rows row_begin ..< row_end of w, read back out of such panels bit for bit: elements of the panels' kind, [rows,
// depth]; depth is even for fv_bf16, so that of either kind a row is `units` units.
void fv_unpack_rows(const uint32_t *panels, int64_t units, int64_t row_begin, int64_t row_end, void *out);

// Runs `rounds` rounds of the product's instruction on registers alone and returns the floating-point operations done:
// over the time that it took, the processor's peak, which benchmarks divide by.
double fv_peak(fv_kind kind, int64_t rounds);
