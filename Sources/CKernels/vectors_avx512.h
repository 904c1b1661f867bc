// 16 fp32 lanes in one AVX-512 register. Defined inside a file that sets the target; see isa_*.c.
typedef __m512 vf;
typedef __m512i vu;

static inline vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void vf_store(float *p, vf x) { _mm512_storeu_ps(p, x); }
static inline vf vf_set1(float x) { return _mm512_set1_ps(x); }
static inline vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
static inline vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
static inline vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
static inline vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
static inline vf vf_sqrt(vf a) { return _mm512_sqrt_ps(a); }
// a > b ? a : b
static inline vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
// a < b ? a : b
static inline vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }
// a * b + c, rounded once
static inline vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
static inline vu vu_load(const uint32_t *p) { return _mm512_loadu_si512(p); }
static inline void vu_store(uint32_t *p, vu x) { _mm512_storeu_si512(p, x); }
static inline vu vu_set1(uint32_t x) { return _mm512_set1_epi32((int)x); }
// One unit from memory in all lanes. Left to itself, the compiler shifts first and then broadcasts from a register, an
// operation more.
static inline vu vu_broadcast(const uint32_t *p) {
  vu x = _mm512_set1_epi32((int)*p);
  __asm__("" : "+v"(x));
  return x;
}
static inline vf vf_bits(vu x) { return _mm512_castsi512_ps(x); }
static inline vu vu_bits(vf x) { return _mm512_castps_si512(x); }
static inline vu vu_add(vu a, vu b) { return _mm512_add_epi32(a, b); }
static inline vu vu_and(vu a, vu b) { return _mm512_and_si512(a, b); }
// the larger of each pair, as unsigned integers
static inline vu vu_max(vu a, vu b) { return _mm512_max_epu32(a, b); }
static inline vu vu_or(vu a, vu b) { return _mm512_or_si512(a, b); }
#define vu_shift_left(x, n) _mm512_slli_epi32(x, n)
#define vu_shift_right(x, n) _mm512_srli_epi32(x, n)
// x is an integer already
static inline vu vu_from_integer(vf x) { return _mm512_cvtps_epi32(x); }
// lane i gets lane i ^ h; h is 1, 2, 4 or 8
static inline vf vf_swap(vf x, int h) {
  const __m512i lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  return _mm512_permutexvar_ps(_mm512_xor_si512(lanes, _mm512_set1_epi32(h)), x);
}
static inline vf vf_from_signed(vu x) { return _mm512_cvtepi32_ps(x); }
// a < b ? 0 : x
static inline vf vf_zero_where_less(vf a, vf b, vf x) {
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, b, _CMP_NLT_UQ), x);
}
// a is NaN ? y : x
static inline vu vu_select_nan(vf a, vu x, vu y) {
  return _mm512_mask_mov_epi32(x, _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), y);
}
// 16 bf16 as the low halves of 16 units
static inline vu vu_load_halves(const uint16_t *p) {
  return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
}
static inline void vu_store_halves(uint16_t *p, vu x) {
  _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(x));
}
// the low bytes of 16 units
static inline void vu_store_bytes(uint8_t *p, vu x) { _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(x)); }
// c + the sum of a unit's four products, unsigned bytes times signed bytes
static inline vu vu_dot_bytes(vu c, vu x, vu w) {
#ifdef FV_HARDWARE_VNNI
  return _mm512_dpbusd_epi32(c, x, w);
#else
  const vu even = _mm512_madd_epi16(
    _mm512_and_si512(x, _mm512_set1_epi16(255)), _mm512_srai_epi16(_mm512_slli_epi16(w, 8), 8));
  const vu odd = _mm512_madd_epi16(_mm512_srli_epi16(x, 8), _mm512_srai_epi16(w, 8));
  return _mm512_add_epi32(c, _mm512_add_epi32(even, odd));
#endif
}
#ifdef FV_HARDWARE_BF16
static inline vf vf_dot_bf16(vf c, vu a, vu b) { return _mm512_dpbf16_ps(c, (__m512bh)a, (__m512bh)b); }
#endif
#define FV_MATMUL_ROWS 6
#define FV_MATMUL_VECTORS 4
