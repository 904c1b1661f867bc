// Adds one unit of every row times one unit of every column to a tile's sums.
INLINE void matmul_unit(
  const fv_kind kind, const int rows, const int vectors, vf c[FV_MATMUL_ROWS][FV_MATMUL_VECTORS], const uint32_t *a,
  int64_t a_row, const uint32_t *b) {
#if !defined(FV_HARDWARE_BF16) && FV_MATMUL_VECTORS > 1
  // One half of a wide tile's units after the other: the sums, one half of the columns and of a row fill the registers,
  // and both halves would not fit. A sum still gets its products in the order of vf_dot.
  if (kind == fv_bf16) {
#pragma clang loop unroll(full)
    for (int half = 0; half < 2; half++) {
      vf w[FV_MATMUL_VECTORS];
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) w[v] = vf_half(vu_load(b + 16 * v), half);
#pragma clang loop unroll(full)
      for (int i = 0; i < rows; i++) {
        const vf x = vf_half(vu_broadcast(a + i * a_row), half);
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) c[i][v] = vf_fma(x, w[v], c[i][v]);
      }
      // The compiler loads again for the second half instead of keeping both.
      __asm__ volatile("" ::: "memory");
    }
    return;
  }
#endif
  vu w[FV_MATMUL_VECTORS];
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) w[v] = vu_load(b + 16 * v);
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++) {
    const vu x = vu_set1(a[i * a_row]);
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) c[i][v] = vf_dot(kind, c[i][v], x, w[v]);
  }
}

// The micro-kernel: `rows` rows times `vectors` * 16 columns, one sequential sum over the units per element. Meanwhile
// it asks for `ahead`, a line a unit: the panel that comes next, so that weights stream from memory while the few rows
// of a decode step are being computed. NULL asks for nothing.
INLINE void matmul_tile(
  const fv_kind kind, const int rows, const int vectors, const fv_matmul *p, const uint32_t *a, const uint32_t *b,
  int64_t units, float *y, int64_t valid, int from_y, const float *bias, const uint32_t *ahead) {
  vf c[FV_MATMUL_ROWS][FV_MATMUL_VECTORS];
  const int64_t a_row = p->a_row, a_unit = p->a_unit;
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++)
      c[i][v] = from_y ? vf_load_part(y + i * p->y_row + 16 * v, valid - 16 * v, 0) : vf_set1(0);
  for (int64_t j = 0; j < units; j++) {
    if (ahead) __builtin_prefetch(ahead + 16 * j, 0, 2);
    matmul_unit(kind, rows, vectors, c, a + j * a_unit, a_row, b + 64 * j);
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      if (16 * v >= valid) continue;
      if (bias) c[i][v] = vf_add(c[i][v], vf_load_part(bias + 16 * v, valid - 16 * v, 0));
      vf_store_part(y + i * p->y_row + 16 * v, valid - 16 * v, c[i][v]);
    }
}

// Units of one pass over a panel: with 256 bytes a unit, a panel's part and the rows' stay in the second-level cache.
#define FV_MATMUL_PASS 1152

INLINE void matmul_block(
  const fv_kind kind, const fv_matmul *p, int64_t row_begin, int64_t row_end, int64_t panel_begin, int64_t panel_end) {
  const int64_t panel_count = (p->columns + 63) / 64;
  for (int64_t first = 0; first < p->units || first == 0; first += FV_MATMUL_PASS) {
    const int64_t units = p->units - first < FV_MATMUL_PASS ? p->units - first : FV_MATMUL_PASS;
    const int last = first + units >= p->units;
    const int from_y = p->accumulate || first > 0;
    for (int64_t panel = panel_begin; panel < panel_end; panel++) {
      const uint32_t *b = p->panels + (panel * p->units + first) * 64;
      const int64_t column = panel * 64;
      for (int64_t block = row_begin, end; block < row_end; block = end) {
        end = block / 64 * 64 + 64 < row_end ? block / 64 * 64 + 64 : row_end;
        const int64_t parts = (end - block + FV_MATMUL_ROWS - 1) / FV_MATMUL_ROWS;
        for (int64_t part = 0; part < parts; part++) {
          const int64_t row = block + (end - block) * part / parts;
          const int64_t rows = block + (end - block) * (part + 1) / parts - row;
          // The next panel's four lines a unit, asked for by the first four tiles of rows, whichever call computes it:
          // the pool gives a thread neighbouring panels. A single tile is bound by memory anyway, and the processor's
          // own streams serve it better.
          const int64_t turn = (row + FV_MATMUL_ROWS - 1) / FV_MATMUL_ROWS;
          const int asks = panel + 1 < panel_count && turn < 4 && p->rows > FV_MATMUL_ROWS;
          const uint32_t *ahead = asks ? b + p->units * 64 + turn * units * 16 : (const uint32_t *)0;
          const uint32_t *a = p->a + (row / 64) * p->a_panel + (row % 64) * p->a_row + first * p->a_unit;
          for (int64_t v = 0; v < 4; v += FV_MATMUL_VECTORS) {
            const int64_t valid = p->columns - column - 16 * v;
            if (valid <= 0) break;
            float *y = p->y + row * p->y_row + column + 16 * v;
            const float *bias = last && p->bias ? p->bias + column + 16 * v : 0;
#define TILE(n) \
  case n: matmul_tile(kind, n, FV_MATMUL_VECTORS, p, a, b + 16 * v, units, y, valid, from_y, bias, ahead); break;
            switch (rows) { FV_TILE_CASES(TILE) }
#undef TILE
          }
        }
      }
    }
  }
}

void KERNEL(matmul_block)(
  fv_kind kind, const fv_matmul *p, int64_t row_begin, int64_t row_end, int64_t panel_begin, int64_t panel_end) {
  if (kind == fv_bf16) matmul_block(fv_bf16, p, row_begin, row_end, panel_begin, panel_end);
  else matmul_block(fv_f32, p, row_begin, row_end, panel_begin, panel_end);
}

// As many independent sums as the registers hold, nothing from memory: the most that the processor can do.
INLINE float peak(const fv_kind kind, int64_t rounds) {
  vf c[FV_MATMUL_ROWS * FV_MATMUL_VECTORS];
  // Unknown to the compiler, which otherwise finds that a large sum does not change, and leaves it out.
  const volatile uint32_t one = 0x3F803F80u, tiny = 0x00010001u;
  const vu a = vu_set1(one), b = vu_set1(tiny);
  for (int i = 0; i < FV_MATMUL_ROWS * FV_MATMUL_VECTORS; i++) c[i] = vf_set1((float)i);
  for (int64_t round = 0; round < rounds; round++)
#pragma clang loop unroll(full)
    for (int i = 0; i < FV_MATMUL_ROWS * FV_MATMUL_VECTORS; i++) c[i] = vf_dot(kind, c[i], a, b);
  vf sum = vf_set1(0);
  for (int i = 0; i < FV_MATMUL_ROWS * FV_MATMUL_VECTORS; i++) sum = vf_add(sum, c[i]);
  return vf_sum(sum);
}

double KERNEL(peak)(fv_kind kind, int64_t rounds) {
  volatile float result = kind == fv_bf16 ? peak(fv_bf16, rounds) : peak(fv_f32, rounds);
  (void)result;
  return (double)rounds * FV_MATMUL_ROWS * FV_MATMUL_VECTORS * 16 * (kind == fv_bf16 ? 4 : 2);
}
