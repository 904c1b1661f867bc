// Packing of operands into panels. Rounding is the only arithmetic.

INLINE uint16_t round_bf16(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  if (x != x) return 0x7FC0;
  return (uint16_t)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

// Rows of w become columns of panels, sixteen by sixteen units at a time: made along the rows, where they are read in
// vectors, and written along the columns, in whole lines.
INLINE void store_transposed(uint32_t block[16][16], int64_t count, int64_t n, uint32_t *out) {
  if (count == 16 && n == 16) {
    for (int t = 0; t < 16; t++) {
      uint32_t line[16];
#pragma clang loop unroll(full)
      for (int i = 0; i < 16; i++) line[i] = block[i][t];
      vu_store(out + 64 * t, vu_load(line));
    }
  } else {
    for (int64_t t = 0; t < n; t++)
      for (int64_t i = 0; i < count; i++) out[64 * t + i] = block[i][t];
  }
}

#define PACK_COLUMNS(unit_expression) \
  for (int64_t row = row_begin, next; row < row_end; row = next) { \
    const int64_t column = column_begin + row - row_begin; \
    /* up to the next column that is a multiple of 16 */ \
    next = row + 16 - column % 16 < row_end ? row + 16 - column % 16 : row_end; \
    for (int64_t first = 0; first < units; first += 16) { \
      const int64_t n = units - first < 16 ? units - first : 16; \
      uint32_t block[16][16]; \
      for (int64_t r = row; r < next; r++) { \
        uint32_t *line = block[r - row]; \
        if (n == 16) \
          for (int64_t t = 0; t < 16; t++) line[t] = (unit_expression); \
        else \
          for (int64_t t = 0; t < n; t++) line[t] = (unit_expression); \
      } \
      store_transposed(block, next - row, n, panels + ((column / 64) * units + first) * 64 + column % 64); \
    } \
  }

void KERNEL(pack_columns_from_f32)(
  fv_kind kind, const float *w, int64_t depth, int64_t row_begin, int64_t row_end, int64_t column_begin, int64_t units,
  uint32_t *panels) {
  if (kind == fv_bf16) {
    PACK_COLUMNS(
      (uint32_t)round_bf16(w[r * depth + 2 * (first + t)])
      | (uint32_t)round_bf16(w[r * depth + 2 * (first + t) + 1]) << 16)
  } else {
    const uint32_t *bits = (const uint32_t *)w;
    PACK_COLUMNS(bits[r * depth + first + t])
  }
}

void KERNEL(pack_columns_from_bf16)(
  fv_kind kind, const uint16_t *w, int64_t depth, int64_t row_begin, int64_t row_end, int64_t column_begin,
  int64_t units, uint32_t *panels) {
  if (kind == fv_bf16) {
    PACK_COLUMNS((uint32_t)w[r * depth + 2 * (first + t)] | (uint32_t)w[r * depth + 2 * (first + t) + 1] << 16)
  } else {
    PACK_COLUMNS((uint32_t)w[r * depth + first + t] << 16)
  }
}

// from: the kind of x's elements; kind: of the panels.
INLINE void pack_depth_rows(
  const fv_kind kind, const fv_kind from, const void *x, int64_t x_row, int64_t depth, int64_t columns,
  int64_t unit_begin, int64_t units, int64_t panel_begin, int64_t panel_end, uint32_t *panels) {
  const int64_t step = kind == fv_bf16 ? 2 : 1;
  for (int64_t r = 0; r < depth; r += step)
    for (int64_t panel = panel_begin; panel < panel_end; panel++) {
      uint32_t *out = panels + (panel * units + unit_begin + r / step) * 64;
      for (int64_t i = 0; i < 64; i += 16) {
        const int64_t column = panel * 64 + i, n = columns - column;
        vu unit = vu_set1(0);
        if (kind == fv_bf16 && from == fv_bf16 && n >= 16) {
          const uint16_t *halves = (const uint16_t *)x + r * x_row + column;
          unit = vu_load_halves(halves);
          if (r + 1 < depth) unit = vu_or(unit, vu_shift_left(vu_load_halves(halves + x_row), 16));
        } else if (n > 0) {
          const vf even = vf_load_kind_part(from, x, r * x_row + column, n);
          if (kind == fv_f32) {
            unit = vu_bits(even);
          } else {
            unit = vu_round_bf16(even);
            if (r + 1 < depth)
              unit = vu_or(
                unit, vu_shift_left(vu_round_bf16(vf_load_kind_part(from, x, (r + 1) * x_row + column, n)), 16));
          }
        }
        vu_store(out + i, unit);
      }
    }
}

void KERNEL(pack_depth_rows_from_f32)(
  fv_kind kind, const float *x, int64_t x_row, int64_t depth, int64_t columns, int64_t unit_begin, int64_t units,
  int64_t panel_begin, int64_t panel_end, uint32_t *panels) {
  if (kind == fv_bf16)
    pack_depth_rows(fv_bf16, fv_f32, x, x_row, depth, columns, unit_begin, units, panel_begin, panel_end, panels);
  else pack_depth_rows(fv_f32, fv_f32, x, x_row, depth, columns, unit_begin, units, panel_begin, panel_end, panels);
}

void KERNEL(pack_depth_rows)(
  fv_kind kind, const void *x, int64_t x_row, int64_t depth, int64_t columns, int64_t unit_begin, int64_t units,
  int64_t panel_begin, int64_t panel_end, uint32_t *panels) {
  if (kind == fv_bf16)
    pack_depth_rows(fv_bf16, fv_bf16, x, x_row, depth, columns, unit_begin, units, panel_begin, panel_end, panels);
  else pack_depth_rows(fv_f32, fv_f32, x, x_row, depth, columns, unit_begin, units, panel_begin, panel_end, panels);
}

void KERNEL(unpack_column)(
  fv_kind kind, const uint32_t *panels, int64_t units, int64_t column, int64_t depth, float *out) {
  const uint32_t *p = panels + (column / 64) * units * 64 + column % 64;
  for (int64_t j = 0; j < units; j++) {
    const uint32_t unit = p[64 * j];
    if (kind == fv_f32) {
      memcpy(out + j, &unit, 4);
    } else {
      const uint32_t even = unit << 16, odd = unit & 0xFFFF0000u;
      memcpy(out + 2 * j, &even, 4);
      if (2 * j + 1 < depth) memcpy(out + 2 * j + 1, &odd, 4);
    }
  }
}

// Reads back what pack_columns wrote, sixteen rows by sixteen units at a time: whole lines of the panels in the cache,
// and a line of each row at once.
void KERNEL(unpack_rows)(const uint32_t *panels, int64_t units, int64_t row_begin, int64_t row_end, void *out) {
  for (int64_t row = row_begin, next; row < row_end; row = next) {
    next = row + 16 - row % 16 < row_end ? row + 16 - row % 16 : row_end;
    for (int64_t first = 0; first < units; first += 16) {
      const int64_t n = units - first < 16 ? units - first : 16;
      const uint32_t *in = panels + (row / 64 * units + first) * 64 + row % 64;
      for (int64_t i = 0; i < next - row; i++) {
        uint32_t line[16];
        if (n == 16) {
#pragma clang loop unroll(full)
          for (int64_t t = 0; t < 16; t++) line[t] = in[64 * t + i];
        } else {
          for (int64_t t = 0; t < n; t++) line[t] = in[64 * t + i];
        }
        // of any alignment
        memcpy((char *)out + ((row + i - row_begin) * units + first) * 4, line, (size_t)n * 4);
      }
    }
  }
}
