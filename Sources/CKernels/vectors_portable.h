// 16 fp32 lanes in plain C: the slow twin of every instruction set.
typedef struct { float v[16]; } vf;
typedef struct { uint32_t v[16]; } vu;
#define LANES(T, expression) \
  T out; \
  for (int i = 0; i < 16; i++) out.v[i] = (expression); \
  return out

static inline vf vf_load(const float *p) { LANES(vf, p[i]); }
static inline void vf_store(float *p, vf x) { memcpy(p, x.v, sizeof x.v); }
static inline vf vf_set1(float x) { LANES(vf, x); }
static inline vf vf_add(vf a, vf b) { LANES(vf, a.v[i] + b.v[i]); }
static inline vf vf_sub(vf a, vf b) { LANES(vf, a.v[i] - b.v[i]); }
static inline vf vf_mul(vf a, vf b) { LANES(vf, a.v[i] * b.v[i]); }
static inline vf vf_div(vf a, vf b) { LANES(vf, a.v[i] / b.v[i]); }
static inline vf vf_sqrt(vf a) { LANES(vf, __builtin_sqrtf(a.v[i])); }
static inline vf vf_max(vf a, vf b) { LANES(vf, a.v[i] > b.v[i] ? a.v[i] : b.v[i]); }
static inline vf vf_min(vf a, vf b) { LANES(vf, a.v[i] < b.v[i] ? a.v[i] : b.v[i]); }
// a * b + c, rounded once
static inline vf vf_fma(vf a, vf b, vf c) { LANES(vf, fmaf(a.v[i], b.v[i], c.v[i])); }
static inline vu vu_load(const uint32_t *p) { LANES(vu, p[i]); }
static inline void vu_store(uint32_t *p, vu x) { memcpy(p, x.v, sizeof x.v); }
static inline vu vu_set1(uint32_t x) { LANES(vu, x); }
static inline vf vf_bits(vu x) { vf y; memcpy(&y, &x, sizeof y); return y; }
static inline vu vu_bits(vf x) { vu y; memcpy(&y, &x, sizeof y); return y; }
static inline vu vu_add(vu a, vu b) { LANES(vu, a.v[i] + b.v[i]); }
static inline vu vu_and(vu a, vu b) { LANES(vu, a.v[i] & b.v[i]); }
// the larger of each pair, as unsigned integers
static inline vu vu_max(vu a, vu b) { LANES(vu, a.v[i] > b.v[i] ? a.v[i] : b.v[i]); }
static inline vu vu_or(vu a, vu b) { LANES(vu, a.v[i] | b.v[i]); }
static inline vu vu_shift_left(vu x, int n) { LANES(vu, x.v[i] << n); }
static inline vu vu_shift_right(vu x, int n) { LANES(vu, x.v[i] >> n); }
// x is an integer already; what is out of range becomes INT32_MIN, as x86 does it
static inline vu vu_from_integer(vf x) {
  LANES(vu, x.v[i] >= -2147483648.0f && x.v[i] < 2147483648.0f ? (uint32_t)(int32_t)x.v[i] : 0x80000000u);
}
// lane i gets lane i ^ h; h is 1, 2, 4 or 8
static inline vf vf_swap(vf x, int h) { LANES(vf, x.v[i ^ h]); }
static inline vf vf_from_signed(vu x) { LANES(vf, (float)(int32_t)x.v[i]); }
// a < b ? 0 : x
static inline vf vf_zero_where_less(vf a, vf b, vf x) { LANES(vf, a.v[i] < b.v[i] ? 0.0f : x.v[i]); }
// a is NaN ? y : x
static inline vu vu_select_nan(vf a, vu x, vu y) { LANES(vu, a.v[i] != a.v[i] ? y.v[i] : x.v[i]); }
// 16 bf16 as the low halves of 16 units
static inline vu vu_load_halves(const uint16_t *p) { LANES(vu, p[i]); }
static inline void vu_store_halves(uint16_t *p, vu x) {
  for (int i = 0; i < 16; i++) p[i] = (uint16_t)x.v[i];
}
// the low bytes of 16 units
static inline void vu_store_bytes(uint8_t *p, vu x) {
  for (int i = 0; i < 16; i++) p[i] = (uint8_t)x.v[i];
}
// c + the sum of a unit's four products, unsigned bytes times signed bytes
static inline vu vu_dot_bytes(vu c, vu x, vu w) {
  for (int i = 0; i < 16; i++)
    for (int byte = 0; byte < 32; byte += 8)
      c.v[i] += (uint32_t)((int32_t)(uint8_t)(x.v[i] >> byte) * (int8_t)(w.v[i] >> byte));
  return c;
}
#define FV_MATMUL_ROWS 2
#define FV_MATMUL_VECTORS 1
