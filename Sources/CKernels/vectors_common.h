// What every instruction set builds from its vectors: products of units, trees, rounding, exp.
#define INLINE static inline __attribute__((always_inline))

#ifndef FV_HARDWARE_BF16
// Half 0 of units of two bf16 is their odd elements, half 1 the even ones: the order in which vdpbf16ps adds their
// products.
INLINE vf vf_half(vu x, const int half) {
  return vf_bits(half == 0 ? vu_and(x, vu_set1(0xFFFF0000u)) : vu_shift_left(x, 16));
}

// The bits of vdpbf16ps: each fma rounded once.
INLINE vf vf_dot_bf16(vf c, vu a, vu b) {
  c = vf_fma(vf_half(a, 0), vf_half(b, 0), c);
  return vf_fma(vf_half(a, 1), vf_half(b, 1), c);
}
#endif

// c + one unit of a times one unit of b
INLINE vf vf_dot(const fv_kind kind, vf c, vu a, vu b) {
  return kind == fv_bf16 ? vf_dot_bf16(c, a, b) : vf_fma(vf_bits(a), vf_bits(b), c);
}

// The one tree of all reductions: lanes i and i + 8, then + 4, + 2, + 1.
INLINE float vf_sum(vf x) {
  float v[16];
  vf_store(v, x);
  for (int half = 8; half > 0; half /= 2)
    for (int i = 0; i < half; i++) v[i] = v[i] + v[i + half];
  return v[0];
}
INLINE float vf_maximum(vf x) {
  float v[16];
  vf_store(v, x);
  for (int i = 1; i < 16; i++) v[0] = v[i] > v[0] ? v[i] : v[0];
  return v[0];
}

// Loads the first n lanes, the others are `rest`.
INLINE vf vf_load_part(const float *p, int64_t n, float rest) {
  if (n >= 16) return vf_load(p);
  float v[16];
  for (int i = 0; i < 16; i++) v[i] = i < n ? p[i] : rest;
  return vf_load(v);
}
INLINE void vf_store_part(float *p, int64_t n, vf x) {
  if (n >= 16) { vf_store(p, x); return; }
  float v[16];
  vf_store(v, x);
  for (int64_t i = 0; i < n; i++) p[i] = v[i];
}

// fp32 to bf16 in the low half, round to nearest even, NaN stays NaN.
INLINE vu vu_round_bf16(vf x) {
  const vu bits = vu_bits(x);
  const vu odd = vu_and(vu_shift_right(bits, 16), vu_set1(1));
  const vu rounded = vu_shift_right(vu_add(vu_add(bits, vu_set1(0x7FFF)), odd), 16);
  return vu_select_nan(x, rounded, vu_set1(0x7FC0));
}
INLINE vf vf_from_bf16(vu halves) { return vf_bits(vu_shift_left(halves, 16)); }

// Element i of an array of the kind, and n <= 16 of them.
INLINE vf vf_load_kind(const fv_kind kind, const void *p, int64_t i) {
  return kind == fv_bf16 ? vf_from_bf16(vu_load_halves((const uint16_t *)p + i)) : vf_load((const float *)p + i);
}
INLINE void vf_store_kind(const fv_kind kind, void *p, int64_t i, vf x) {
  if (kind == fv_bf16) vu_store_halves((uint16_t *)p + i, vu_round_bf16(x));
  else vf_store((float *)p + i, x);
}
INLINE vf vf_load_kind_part(const fv_kind kind, const void *p, int64_t i, int64_t n) {
  if (n >= 16) return vf_load_kind(kind, p, i);
  float v[16] = {0};
  for (int64_t j = 0; j < n; j++) {
    if (kind == fv_bf16) {
      const uint32_t bits = (uint32_t)((const uint16_t *)p)[i + j] << 16;
      memcpy(&v[j], &bits, 4);
    } else {
      v[j] = ((const float *)p)[i + j];
    }
  }
  return vf_load(v);
}
INLINE void vf_store_kind_part(const fv_kind kind, void *p, int64_t i, int64_t n, vf x) {
  if (n >= 16) { vf_store_kind(kind, p, i, x); return; }
  if (kind == fv_bf16) {
    uint16_t v[16];
    vu_store_halves(v, vu_round_bf16(x));
    memcpy((uint16_t *)p + i, v, 2 * (size_t)n);
  } else {
    float v[16];
    vf_store(v, x);
    memcpy((float *)p + i, v, 4 * (size_t)n);
  }
}

// exp(x): x = n ln 2 + r, |r| <= ln 2 / 2, Taylor to r^7 (relative error below 6e-9 before rounding). 0 below -87, the
// value at 88 above 88; NaN gives the value at the bound.
INLINE vf vf_exp(vf x) {
  const vf low = vf_set1(-87.0f);
  const vf y = vf_max(vf_min(x, vf_set1(88.0f)), low);
  const vf magic = vf_set1(12582912.0f);
  const vf n = vf_sub(vf_add(vf_mul(y, vf_set1(1.44269504f)), magic), magic);
  vf r = vf_fma(n, vf_set1(-0.693359375f), y);
  r = vf_fma(n, vf_set1(2.12194440e-4f), r);
  vf p = vf_set1(1.0f / 5040);
  p = vf_fma(p, r, vf_set1(1.0f / 720));
  p = vf_fma(p, r, vf_set1(1.0f / 120));
  p = vf_fma(p, r, vf_set1(1.0f / 24));
  p = vf_fma(p, r, vf_set1(1.0f / 6));
  p = vf_fma(p, r, vf_set1(0.5f));
  p = vf_fma(p, r, vf_set1(1.0f));
  p = vf_fma(p, r, vf_set1(1.0f));
  const vf scaled = vf_bits(vu_add(vu_bits(p), vu_shift_left(vu_from_integer(n), 23)));
  return vf_zero_where_less(x, low, scaled);
}

// The cases of a switch over a tile's rows, 1 ... FV_MATMUL_ROWS: each is compiled for its number.
#if FV_MATMUL_ROWS > 4
#define FV_TILE_CASES(TILE) TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6)
#elif FV_MATMUL_ROWS > 2
#define FV_TILE_CASES(TILE) TILE(1) TILE(2) TILE(3) TILE(4)
#else
#define FV_TILE_CASES(TILE) TILE(1) TILE(2)
#endif
