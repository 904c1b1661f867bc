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
static inline vf vf_sqrt(vf a) { QUARTERS(vf, vsqrtq_f32(a.v[i])); }
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
// the larger of each pair, as unsigned integers
static inline vu vu_max(vu a, vu b) { QUARTERS(vu, vmaxq_u32(a.v[i], b.v[i])); }
static inline vu vu_or(vu a, vu b) { QUARTERS(vu, vorrq_u32(a.v[i], b.v[i])); }
static inline vu vu_shift_left(vu x, int n) { QUARTERS(vu, vshlq_u32(x.v[i], vdupq_n_s32(n))); }
static inline vu vu_shift_right(vu x, int n) { QUARTERS(vu, vshlq_u32(x.v[i], vdupq_n_s32(-n))); }
// x is an integer already
static inline vu vu_from_integer(vf x) { QUARTERS(vu, vreinterpretq_u32_s32(vcvtq_s32_f32(x.v[i]))); }
// lane i gets lane i ^ h; h is 1, 2, 4 or 8
static inline vf vf_swap(vf x, int h) {
  if (h >= 4) { QUARTERS(vf, x.v[i ^ (h / 4)]); }
  if (h == 2) { QUARTERS(vf, vextq_f32(x.v[i], x.v[i], 2)); }
  QUARTERS(vf, vrev64q_f32(x.v[i]));
}
static inline vf vf_from_signed(vu x) { QUARTERS(vf, vcvtq_f32_s32(vreinterpretq_s32_u32(x.v[i]))); }
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
// the low bytes of 16 units
static inline void vu_store_bytes(uint8_t *p, vu x) {
  const uint16x8_t low = vcombine_u16(vmovn_u32(x.v[0]), vmovn_u32(x.v[1]));
  const uint16x8_t high = vcombine_u16(vmovn_u32(x.v[2]), vmovn_u32(x.v[3]));
  vst1q_u8(p, vcombine_u8(vmovn_u16(low), vmovn_u16(high)));
}
static inline uint32x4_t quarter_dot_bytes(uint32x4_t c, uint32x4_t x, uint32x4_t w) {
  const int16x8_t x_even = vreinterpretq_s16_u32(vandq_u32(x, vdupq_n_u32(0x00FF00FF)));
  const int16x8_t x_odd = vreinterpretq_s16_u16(vshrq_n_u16(vreinterpretq_u16_u32(x), 8));
  const int16x8_t w_even = vshrq_n_s16(vshlq_n_s16(vreinterpretq_s16_u32(w), 8), 8);
  const int16x8_t w_odd = vshrq_n_s16(vreinterpretq_s16_u32(w), 8);
  const int32x4_t low =
    vmlal_s16(vmull_s16(vget_low_s16(x_even), vget_low_s16(w_even)), vget_low_s16(x_odd), vget_low_s16(w_odd));
  const int32x4_t high =
    vmlal_s16(vmull_s16(vget_high_s16(x_even), vget_high_s16(w_even)), vget_high_s16(x_odd), vget_high_s16(w_odd));
  return vaddq_u32(c, vreinterpretq_u32_s32(vpaddq_s32(low, high)));
}
// c + the sum of a unit's four products, unsigned bytes times signed bytes
static inline vu vu_dot_bytes(vu c, vu x, vu w) { QUARTERS(vu, quarter_dot_bytes(c.v[i], x.v[i], w.v[i])); }
#define FV_MATMUL_ROWS 4
#define FV_MATMUL_VECTORS 1
