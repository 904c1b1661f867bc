// 16 fp32 lanes in two AVX2 registers. Defined inside a file that sets the target; see isa_*.c.
typedef struct { __m256 lo, hi; } vf;
typedef struct { __m256i lo, hi; } vu;

static inline vf vf_load(const float *p) { return (vf){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
static inline void vf_store(float *p, vf x) { _mm256_storeu_ps(p, x.lo); _mm256_storeu_ps(p + 8, x.hi); }
static inline vf vf_set1(float x) { return (vf){_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
static inline vf vf_add(vf a, vf b) { return (vf){_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)}; }
static inline vf vf_sub(vf a, vf b) { return (vf){_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)}; }
static inline vf vf_mul(vf a, vf b) { return (vf){_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)}; }
static inline vf vf_div(vf a, vf b) { return (vf){_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)}; }
static inline vf vf_sqrt(vf a) { return (vf){_mm256_sqrt_ps(a.lo), _mm256_sqrt_ps(a.hi)}; }
// a > b ? a : b
static inline vf vf_max(vf a, vf b) { return (vf){_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)}; }
// a < b ? a : b
static inline vf vf_min(vf a, vf b) { return (vf){_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)}; }
// a * b + c, rounded once
static inline vf vf_fma(vf a, vf b, vf c) {
  return (vf){_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
static inline vu vu_load(const uint32_t *p) {
  return (vu){_mm256_loadu_si256((const __m256i *)p), _mm256_loadu_si256((const __m256i *)(p + 8))};
}
static inline void vu_store(uint32_t *p, vu x) {
  _mm256_storeu_si256((__m256i *)p, x.lo);
  _mm256_storeu_si256((__m256i *)(p + 8), x.hi);
}
static inline vu vu_set1(uint32_t x) { return (vu){_mm256_set1_epi32((int)x), _mm256_set1_epi32((int)x)}; }
static inline vf vf_bits(vu x) { return (vf){_mm256_castsi256_ps(x.lo), _mm256_castsi256_ps(x.hi)}; }
static inline vu vu_bits(vf x) { return (vu){_mm256_castps_si256(x.lo), _mm256_castps_si256(x.hi)}; }
static inline vu vu_add(vu a, vu b) { return (vu){_mm256_add_epi32(a.lo, b.lo), _mm256_add_epi32(a.hi, b.hi)}; }
static inline vu vu_and(vu a, vu b) { return (vu){_mm256_and_si256(a.lo, b.lo), _mm256_and_si256(a.hi, b.hi)}; }
// the larger of each pair, as unsigned integers
static inline vu vu_max(vu a, vu b) { return (vu){_mm256_max_epu32(a.lo, b.lo), _mm256_max_epu32(a.hi, b.hi)}; }
static inline vu vu_or(vu a, vu b) { return (vu){_mm256_or_si256(a.lo, b.lo), _mm256_or_si256(a.hi, b.hi)}; }
#define vu_shift_left(x, n) ((vu){_mm256_slli_epi32((x).lo, n), _mm256_slli_epi32((x).hi, n)})
#define vu_shift_right(x, n) ((vu){_mm256_srli_epi32((x).lo, n), _mm256_srli_epi32((x).hi, n)})
// x is an integer already
static inline vu vu_from_integer(vf x) { return (vu){_mm256_cvtps_epi32(x.lo), _mm256_cvtps_epi32(x.hi)}; }
// lane i gets lane i ^ h; h is 1, 2, 4 or 8
static inline vf vf_swap(vf x, int h) {
  if (h == 8) return (vf){x.hi, x.lo};
  const __m256i lanes = _mm256_xor_si256(_mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0), _mm256_set1_epi32(h));
  return (vf){_mm256_permutevar8x32_ps(x.lo, lanes), _mm256_permutevar8x32_ps(x.hi, lanes)};
}
static inline vf vf_from_signed(vu x) { return (vf){_mm256_cvtepi32_ps(x.lo), _mm256_cvtepi32_ps(x.hi)}; }
// a < b ? 0 : x
static inline vf vf_zero_where_less(vf a, vf b, vf x) {
  return (vf){
    _mm256_and_ps(_mm256_cmp_ps(a.lo, b.lo, _CMP_NLT_UQ), x.lo),
    _mm256_and_ps(_mm256_cmp_ps(a.hi, b.hi, _CMP_NLT_UQ), x.hi)};
}
// a is NaN ? y : x
static inline vu vu_select_nan(vf a, vu x, vu y) {
  const __m256 lo = _mm256_cmp_ps(a.lo, a.lo, _CMP_UNORD_Q), hi = _mm256_cmp_ps(a.hi, a.hi, _CMP_UNORD_Q);
  return (vu){
    _mm256_blendv_epi8(x.lo, y.lo, _mm256_castps_si256(lo)), _mm256_blendv_epi8(x.hi, y.hi, _mm256_castps_si256(hi))};
}
// 16 bf16 as the low halves of 16 units
static inline vu vu_load_halves(const uint16_t *p) {
  return (vu){
    _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)),
    _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(p + 8)))};
}
static inline void vu_store_halves(uint16_t *p, vu x) {
  const __m256i packed = _mm256_packus_epi32(x.lo, x.hi);
  _mm256_storeu_si256((__m256i *)p, _mm256_permute4x64_epi64(packed, 0xD8));
}
// the low bytes of 16 units
static inline void vu_store_bytes(uint8_t *p, vu x) {
  const __m256i low = _mm256_set1_epi32(255);
  const __m256i halves = _mm256_packus_epi32(_mm256_and_si256(x.lo, low), _mm256_and_si256(x.hi, low));
  const __m256i ordered = _mm256_permute4x64_epi64(halves, 0xD8);
  _mm_storeu_si128(
    (__m128i *)p, _mm_packus_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1)));
}
static inline __m256i half_dot_bytes(__m256i c, __m256i x, __m256i w) {
#ifdef FV_HARDWARE_VNNI
  return _mm256_dpbusd_avx_epi32(c, x, w);
#else
  const __m256i even = _mm256_madd_epi16(
    _mm256_and_si256(x, _mm256_set1_epi16(255)), _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8));
  const __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(x, 8), _mm256_srai_epi16(w, 8));
  return _mm256_add_epi32(c, _mm256_add_epi32(even, odd));
#endif
}
// c + the sum of a unit's four products, unsigned bytes times signed bytes
static inline vu vu_dot_bytes(vu c, vu x, vu w) {
  return (vu){half_dot_bytes(c.lo, x.lo, w.lo), half_dot_bytes(c.hi, x.hi, w.hi)};
}
#define FV_MATMUL_ROWS 4
#define FV_MATMUL_VECTORS 1
