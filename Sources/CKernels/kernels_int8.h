// The 8-bit integer product and its quantization. fovea_int8.h defines the arithmetic.

// The Walsh-Hadamard transform of `count` (a power of two) vectors, lane by lane, in place.
INLINE void int8_hadamard(float *row, int64_t count) {
  for (int64_t h = 1; h < count; h *= 2)
    for (int64_t first = 0; first < count; first += 2 * h)
      for (int64_t i = first; i < first + h; i++) {
        const vf a = vf_load(row + 16 * i), b = vf_load(row + 16 * (i + h));
        vf_store(row + 16 * i, vf_add(a, b));
        vf_store(row + 16 * (i + h), vf_sub(a, b));
      }
  const vf scale = vf_set1(1.0f / __builtin_sqrtf((float)count));
  for (int64_t i = 0; i < count; i++) vf_store(row + 16 * i, vf_mul(vf_load(row + 16 * i), scale));
}

// x [depth] of the kind, rotated into row [16 * vectors].
INLINE void int8_rotate(const fv_kind kind, const void *x, int64_t depth, int64_t vectors, float *row) {
  float signs[4][16];
  for (int s = 0; s < 4; s++)
    for (int i = 0; i < 16; i++) signs[s][i] = i & (1 << s) ? -1 : 1;
  for (int64_t v = 0; v < vectors; v++) {
    vf y = vf_load_kind_part(kind, x, 16 * v, depth - 16 * v);
#pragma clang loop unroll(full)
    for (int s = 0; s < 4; s++) y = vf_fma(y, vf_load(signs[s]), vf_swap(y, 1 << s));
    vf_store(row + 16 * v, vf_mul(y, vf_set1(0.25f)));
  }
  int64_t block = 1;
  while (2 * block <= vectors) block *= 2;
  int8_hadamard(row, block);
  if (block < vectors) int8_hadamard(row + 16 * (vectors - block), block);
}

// What maps a row onto -127 ... 127.
typedef struct { float scale, inverse; } int8_range;

INLINE int8_range int8_find_range(const float *row, int64_t vectors) {
  // as integers, sizes keep their order, and a NaN is the largest
  vu largest = vu_set1(0);
  for (int64_t v = 0; v < vectors; v++)
    largest = vu_max(largest, vu_and(vu_bits(vf_load(row + 16 * v)), vu_set1(0x7FFFFFFF)));
  uint32_t lanes[16];
  vu_store(lanes, largest);
  for (int i = 1; i < 16; i++) lanes[0] = lanes[i] > lanes[0] ? lanes[i] : lanes[0];
  if (lanes[0] >= 0x7F800000u) return (int8_range){__builtin_nanf(""), 0};
  float size;
  memcpy(&size, lanes, 4);
  if (size < 1e-30f) return (int8_range){0, 0};
  return (int8_range){size / 127, 127 / size};
}

// 16 values as signed integers; NaN becomes 127.
INLINE vu int8_quantize(vf x, vf inverse) {
  const vf bounded = vf_max(vf_min(vf_mul(x, inverse), vf_set1(127)), vf_set1(-127));
  const vf magic = vf_set1(12582912.0f);
  return vu_from_integer(vf_sub(vf_add(bounded, magic), magic));
}

void KERNEL(int8_quantize_row)(
  fv_kind kind, const void *x, int64_t depth, int64_t units, float *scratch, uint32_t *out, float *scale) {
  const int64_t vectors = units / 4;
  if (kind == fv_bf16) int8_rotate(fv_bf16, x, depth, vectors, scratch);
  else int8_rotate(fv_f32, x, depth, vectors, scratch);
  const int8_range range = int8_find_range(scratch, vectors);
  for (int64_t v = 0; v < vectors; v++) {
    const vu q = int8_quantize(vf_load(scratch + 16 * v), vf_set1(range.inverse));
    vu_store_bytes((uint8_t *)(out + 4 * v), vu_add(q, vu_set1(128)));
  }
  *scale = range.scale;
}

void KERNEL(int8_pack_columns)(
  fv_kind kind, const void *w, int64_t depth, int64_t rows, int64_t column_begin, int64_t units, float *scratch,
  uint32_t *panels, float *scales, int32_t *offsets) {
  const int64_t vectors = units / 4;
  for (int64_t row = 0; row < rows; row++) {
    if (kind == fv_bf16) int8_rotate(fv_bf16, (const uint16_t *)w + row * depth, depth, vectors, scratch);
    else int8_rotate(fv_f32, (const float *)w + row * depth, depth, vectors, scratch);
    const int8_range range = int8_find_range(scratch, vectors);
    const int64_t column = column_begin + row;
    uint32_t *out = panels + column / 64 * units * 64 + column % 64;
    vu sum = vu_set1(0);
    for (int64_t v = 0; v < vectors; v++) {
      const vu q = int8_quantize(vf_load(scratch + 16 * v), vf_set1(range.inverse));
      sum = vu_add(sum, q);
      uint32_t four[4];
      vu_store_bytes((uint8_t *)four, q);
      for (int i = 0; i < 4; i++) out[(4 * v + i) * 64] = four[i];
    }
    uint32_t lanes[16];
    vu_store(lanes, sum);
    for (int i = 1; i < 16; i++) lanes[0] += lanes[i];
    offsets[column] = -128 * (int32_t)lanes[0];
    scales[column] = range.scale;
  }
}

// The micro-kernel: as matmul_tile, `rows` rows times `vectors` * 16 columns, `ahead` the panel to ask for meanwhile.
INLINE void int8_tile(
  const int rows, const int vectors, const fv_int8_matmul *p, int64_t row, int64_t column, const uint32_t *b,
  const uint32_t *ahead) {
  vu c[FV_MATMUL_ROWS][FV_MATMUL_VECTORS];
  const uint32_t *a = p->a + row * p->units;
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) c[i][v] = vu_load((const uint32_t *)p->offsets + column + 16 * v);
  for (int64_t j = 0; j < p->units; j++) {
    vu w[FV_MATMUL_VECTORS];
    if (ahead) __builtin_prefetch(ahead + 16 * j, 0, 2);
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) w[v] = vu_load(b + 64 * j + 16 * v);
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
      const vu x = vu_set1(a[i * p->units + j]);
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) c[i][v] = vu_dot_bytes(c[i][v], x, w[v]);
    }
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++) {
    const vf scale = vf_set1(p->a_scales[row + i]);
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      const int64_t at = column + 16 * v, valid = p->columns - at;
      if (valid <= 0) continue;
      vf y = vf_mul(vf_from_signed(c[i][v]), vf_mul(scale, vf_load(p->scales + at)));
      if (p->bias) y = vf_add(y, vf_load_part(p->bias + at, valid, 0));
      vf_store_part(p->y + (row + i) * p->y_row + at, valid, y);
    }
  }
}

void KERNEL(int8_matmul_block)(
  const fv_int8_matmul *p, int64_t row_begin, int64_t row_end, int64_t panel_begin, int64_t panel_end) {
  const int64_t panel_count = (p->columns + 63) / 64;
  const int64_t parts = (row_end - row_begin + FV_MATMUL_ROWS - 1) / FV_MATMUL_ROWS;
  for (int64_t panel = panel_begin; panel < panel_end; panel++) {
    const uint32_t *b = p->panels + panel * p->units * 64;
    for (int64_t part = 0; part < parts; part++) {
      const int64_t row = row_begin + (row_end - row_begin) * part / parts;
      const int64_t rows = row_begin + (row_end - row_begin) * (part + 1) / parts - row;
      // The next panel's four lines a unit, asked for by the first four tiles of rows, as in matmul_block.
      const int64_t turn = (row + FV_MATMUL_ROWS - 1) / FV_MATMUL_ROWS;
      const int asks = panel + 1 < panel_count && turn < 4 && p->rows > FV_MATMUL_ROWS;
      const uint32_t *ahead = asks ? b + (64 + turn * 16) * p->units : (const uint32_t *)0;
      for (int64_t v = 0; v < 4; v += FV_MATMUL_VECTORS) {
        const int64_t column = panel * 64 + 16 * v;
        if (column >= p->columns) break;
#define TILE(n) case n: int8_tile(n, FV_MATMUL_VECTORS, p, row, column, b + 16 * v, ahead); break;
        switch (rows) { FV_TILE_CASES(TILE) }
#undef TILE
      }
    }
  }
}

double KERNEL(int8_peak)(int64_t rounds) {
  vu c[FV_MATMUL_ROWS * FV_MATMUL_VECTORS];
  const vu w = vu_set1(0x01FF01FFu);
  for (int i = 0; i < FV_MATMUL_ROWS * FV_MATMUL_VECTORS; i++) c[i] = vu_set1((uint32_t)i);
  for (int64_t round = 0; round < rounds; round++)
#pragma clang loop unroll(full)
    for (int i = 0; i < FV_MATMUL_ROWS * FV_MATMUL_VECTORS; i++) c[i] = vu_dot_bytes(c[i], c[i], w);
  vu sum = vu_set1(0);
  for (int i = 0; i < FV_MATMUL_ROWS * FV_MATMUL_VECTORS; i++) sum = vu_add(sum, c[i]);
  uint32_t lanes[16];
  vu_store(lanes, sum);
  volatile uint32_t result = lanes[0];
  (void)result;
  return (double)rounds * FV_MATMUL_ROWS * FV_MATMUL_VECTORS * 16 * 8;
}
