// 16 fp32 lanes in four NEON registers.
typedef struct { float32x4_t v[4]; } vf;
typedef struct { uint32x4_t v[4]; } vu;
#define QUARTERS(T, expression) \
  T out; \
  for (int i = 0; i < 4; i++) out.v[i] = (expression); \
  return out

static inline vf vf_load(const float *p) { QUARTERS(vf, vld1q_f32(p + 4 * i)); }
static inline void vf_store(float *p, vf x) {
  for (int i = 0; i < 4; i++) vst1q_f32(p + 4 * i, x.v[i]);
}
static inline vf vf_set1(float x) { QUARTERS(vf, vdupq_n_f32(x)); }
static inline vf vf_add(vf a, vf b) { QUARTERS(vf, vaddq_f32(a.v[i], b.v[i])); }
static inline vf vf_sub(vf a, vf b) { QUARTERS(vf, vsubq_f32(a.v[i], b.v[i])); }
static inline vf vf_mul(vf a, vf b) { QUARTERS(vf, vmulq_f32(a.v[i], b.v[i])); }
static inline vf vf_div(vf a, vf b) { QUARTERS(vf, vdivq_f32(a.v[i], b.v[i])); }
// a > b ? a : b; NEON's own maximum treats NaN otherwise than x86
static inline vf vf_max(vf a, vf b) { QUARTERS(vf, vbslq_f32(vcgtq_f32(a.v[i], b.v[i]), a.v[i], b.v[i])); }
// a < b ? a : b
static inline vf vf_min(vf a, vf b) { QUARTERS(vf, vbslq_f32(vcltq_f32(a.v[i], b.v[i]), a.v[i], b.v[i])); }
// a * b + c, rounded once
static inline vf vf_fma(vf a, vf b, vf c) { QUARTERS(vf, vfmaq_f32(c.v[i], a.v[i], b.v[i])); }
static inline vu vu_load(const uint32_t *p) { QUARTERS(vu, vld1q_u32(p + 4 * i)); }
static inline void vu_store(uint32_t *p, vu x) {
  for (int i = 0; i < 4; i++) vst1q_u32(p + 4 * i, x.v[i]);
}
static inline vu vu_set1(uint32_t x) { QUARTERS(vu, vdupq_n_u32(x)); }
static inline vf vf_bits(vu x) { QUARTERS(vf, vreinterpretq_f32_u32(x.v[i])); }
static inline vu vu_bits(vf x) { QUARTERS(vu, vreinterpretq_u32_f32(x.v[i])); }
static inline vu vu_add(vu a, vu b) { QUARTERS(vu, vaddq_u32(a.v[i], b.v[i])); }
static inline vu vu_and(vu a, vu b) { QUARTERS(vu, vandq_u32(a.v[i], b.v[i])); }
static inline vu vu_or(vu a, vu b) { QUARTERS(vu, vorrq_u32(a.v[i], b.v[i])); }
static inline vu vu_shift_left(vu x, int n) { QUARTERS(vu, vshlq_u32(x.v[i], vdupq_n_s32(n))); }
static inline vu vu_shift_right(vu x, int n) { QUARTERS(vu, vshlq_u32(x.v[i], vdupq_n_s32(-n))); }
// x is an integer already
static inline vu vu_from_integer(vf x) { QUARTERS(vu, vreinterpretq_u32_s32(vcvtq_s32_f32(x.v[i]))); }
// a < b ? 0 : x
static inline vf vf_zero_where_less(vf a, vf b, vf x) {
  QUARTERS(vf, vbslq_f32(vcltq_f32(a.v[i], b.v[i]), vdupq_n_f32(0), x.v[i]));
}
// a is NaN ? y : x
static inline vu vu_select_nan(vf a, vu x, vu y) {
  QUARTERS(vu, vbslq_u32(vceqq_f32(a.v[i], a.v[i]), x.v[i], y.v[i]));
}
// 16 bf16 as the low halves of 16 units
static inline vu vu_load_halves(const uint16_t *p) { QUARTERS(vu, vmovl_u16(vld1_u16(p + 4 * i))); }
static inline void vu_store_halves(uint16_t *p, vu x) {
  for (int i = 0; i < 4; i++) vst1_u16(p + 4 * i, vmovn_u32(x.v[i]));
}
#define FV_MATMUL_ROWS 4
#define FV_MATMUL_VECTORS 1
