// Chooses the instruction set at run time and sends every call there.
#include <stdatomic.h>
#include <stdlib.h>

#include "kernels_prelude.h"

#define FLOAT_KERNELS(X) \
  X(void, matmul_block, \
    (fv_kind kind, const fv_matmul *product, int64_t row_begin, int64_t row_end, int64_t panel_begin, \
     int64_t panel_end), \
    (kind, product, row_begin, row_end, panel_begin, panel_end)) \
  X(void, pack_columns_from_f32, \
    (fv_kind kind, const float *w, int64_t depth, int64_t row_begin, int64_t row_end, int64_t column_begin, \
     int64_t units, uint32_t *panels), \
    (kind, w, depth, row_begin, row_end, column_begin, units, panels)) \
  X(void, pack_columns_from_bf16, \
    (fv_kind kind, const uint16_t *w, int64_t depth, int64_t row_begin, int64_t row_end, int64_t column_begin, \
     int64_t units, uint32_t *panels), \
    (kind, w, depth, row_begin, row_end, column_begin, units, panels)) \
  X(void, pack_depth_rows_from_f32, \
    (fv_kind kind, const float *x, int64_t x_row, int64_t depth, int64_t columns, int64_t unit_begin, int64_t units, \
     int64_t panel_begin, int64_t panel_end, uint32_t *panels), \
    (kind, x, x_row, depth, columns, unit_begin, units, panel_begin, panel_end, panels)) \
  X(void, pack_depth_rows, \
    (fv_kind kind, const void *x, int64_t x_row, int64_t depth, int64_t columns, int64_t unit_begin, int64_t units, \
     int64_t panel_begin, int64_t panel_end, uint32_t *panels), \
    (kind, x, x_row, depth, columns, unit_begin, units, panel_begin, panel_end, panels)) \
  X(void, unpack_column, \
    (fv_kind kind, const uint32_t *panels, int64_t units, int64_t column, int64_t depth, float *out), \
    (kind, panels, units, column, depth, out)) \
  X(void, unpack_rows, \
    (const uint32_t *panels, int64_t units, int64_t row_begin, int64_t row_end, void *out), \
    (panels, units, row_begin, row_end, out)) \
  X(float, rmsnorm, \
    (fv_kind kind, float *x, const float *add, const float *weight, float epsilon, int64_t width, void *out), \
    (kind, x, add, weight, epsilon, width, out)) \
  X(void, rmsnorm_backward, \
    (const float *dy, const float *x, float inverse, const float *weight, int64_t width, float *dx), \
    (dy, x, inverse, weight, width, dx)) \
  X(void, rmsnorm_weight_backward, \
    (const float *dy, const float *x, const float *inverse, int64_t rows, int64_t width, int64_t begin, int64_t end, \
     float *dweight), \
    (dy, x, inverse, rows, width, begin, end, dweight)) \
  X(void, rope, \
    (float *x, int64_t heads, int64_t head_size, const float *cosine, const float *sine, float direction), \
    (x, heads, head_size, cosine, sine, direction)) \
  X(void, swiglu, (fv_kind kind, const float *gate_up, int64_t width, void *out), (kind, gate_up, width, out)) \
  X(void, swiglu_backward, \
    (fv_kind kind, fv_kind gradient, const void *gate_up, int64_t width, const float *dy, void *out, void *dgate_up), \
    (kind, gradient, gate_up, width, dy, out, dgate_up)) \
  X(void, layernorm, \
    (fv_kind kind, float *x, const float *add, const float *weight, const float *bias, float epsilon, int64_t width, \
     void *out, float *statistics), \
    (kind, x, add, weight, bias, epsilon, width, out, statistics)) \
  X(void, layernorm_backward, \
    (const float *dy, const float *x, const float *statistics, const float *weight, int64_t width, float *dx), \
    (dy, x, statistics, weight, width, dx)) \
  X(void, layernorm_weight_backward, \
    (const float *dy, const float *x, const float *statistics, int64_t rows, int64_t width, int64_t begin, \
     int64_t end, \
     float *dweight, float *dbias), \
    (dy, x, statistics, rows, width, begin, end, dweight, dbias)) \
  X(void, gelu, (fv_kind kind, fv_gelu_form form, const float *x, int64_t count, void *out), \
    (kind, form, x, count, out)) \
  X(void, gelu_backward, \
    (fv_kind kind, fv_gelu_form form, const void *x, int64_t count, const float *dy, void *out, float *dx), \
    (kind, form, x, count, dy, out, dx)) \
  X(void, scale, (float *x, const float *scale, int64_t width), (x, scale, width)) \
  X(void, round, (fv_kind kind, const float *x, int64_t count, void *out), (kind, x, count, out)) \
  X(void, widen, (fv_kind kind, const void *x, int64_t count, float *out), (kind, x, count, out)) \
  X(void, add, (float *y, const float *x, int64_t count), (y, x, count)) \
  X(void, attention, \
    (fv_kind kind, const fv_cache_layer *layer, int64_t kv, const void *query, const int32_t *blocks, int64_t length, \
     float *scratch, void *out, float *stats), \
    (kind, layer, kv, query, blocks, length, scratch, out, stats)) \
  X(void, attention_backward, \
    (fv_kind kind, const fv_attention_sequence *sequence, int64_t kv, float *scratch), (kind, sequence, kv, scratch)) \
  X(fv_softmax, softmax_statistics, (const float *logits, int64_t count, float inverse_temperature), \
    (logits, count, inverse_temperature)) \
  X(fv_softmax, exponentials, \
    (const float *logits, int64_t count, float inverse_temperature, float *exponentials, double *block_sums), \
    (logits, count, inverse_temperature, exponentials, block_sums)) \
  X(void, softmax_backward, \
    (fv_kind kind, const float *logits, int64_t count, float inverse_temperature, float log_normalizer, \
     int64_t token, float coefficient, void *dlogits), \
    (kind, logits, count, inverse_temperature, log_normalizer, token, coefficient, dlogits)) \
  X(void, adamw_step, \
    (const fv_adamw *settings, fv_kind moments, int64_t begin, int64_t end, float *parameters, const float *gradients, \
     void *first, void *second), \
    (settings, moments, begin, end, parameters, gradients, first, second)) \
  X(double, peak, (fv_kind kind, int64_t rounds), (kind, rounds)) \
  X(double, sum_of_squares, (const float *x, int64_t begin, int64_t end), (x, begin, end))

// Apart, because the VNNI sets have only these of their own.
#define INT8_KERNELS(X) \
  X(void, int8_matmul_block, \
    (const fv_int8_matmul *product, int64_t row_begin, int64_t row_end, int64_t panel_begin, int64_t panel_end), \
    (product, row_begin, row_end, panel_begin, panel_end)) \
  X(void, int8_quantize_row, \
    (fv_kind kind, const void *x, int64_t depth, int64_t units, float *scratch, uint32_t *out, float *scale), \
    (kind, x, depth, units, scratch, out, scale)) \
  X(void, int8_pack_columns, \
    (fv_kind kind, const void *w, int64_t depth, int64_t rows, int64_t column_begin, int64_t units, float *scratch, \
     uint32_t *panels, float *scales, int32_t *offsets), \
    (kind, w, depth, rows, column_begin, units, scratch, panels, scales, offsets)) \
  X(double, int8_peak, (int64_t rounds), (rounds))

#define KERNELS(X) FLOAT_KERNELS(X) INT8_KERNELS(X)

typedef struct {
#define POINTER(type, name, parameters, arguments) type(*name) parameters;
  KERNELS(POINTER)
} kernel_table;

#define DECLARE_portable(type, name, parameters, arguments) type fv_portable_##name parameters;
#define DECLARE_avx2(type, name, parameters, arguments) type fv_avx2_##name parameters;
#define DECLARE_avxvnni(type, name, parameters, arguments) type fv_avxvnni_##name parameters;
#define DECLARE_avx512(type, name, parameters, arguments) type fv_avx512_##name parameters;
#define DECLARE_avx512vnni(type, name, parameters, arguments) type fv_avx512vnni_##name parameters;
#define DECLARE_avx512bf16(type, name, parameters, arguments) type fv_avx512bf16_##name parameters;
#define DECLARE_neon(type, name, parameters, arguments) type fv_neon_##name parameters;
#define ENTRY_neon(type, name, parameters, arguments) .name = fv_neon_##name,
#define ENTRY_portable(type, name, parameters, arguments) .name = fv_portable_##name,
#define ENTRY_avx2(type, name, parameters, arguments) .name = fv_avx2_##name,
#define ENTRY_avxvnni(type, name, parameters, arguments) .name = fv_avxvnni_##name,
#define ENTRY_avx512(type, name, parameters, arguments) .name = fv_avx512_##name,
#define ENTRY_avx512vnni(type, name, parameters, arguments) .name = fv_avx512vnni_##name,
#define ENTRY_avx512bf16(type, name, parameters, arguments) .name = fv_avx512bf16_##name,

KERNELS(DECLARE_portable)
#if defined(__x86_64__)
KERNELS(DECLARE_avx2)
INT8_KERNELS(DECLARE_avxvnni)
KERNELS(DECLARE_avx512)
INT8_KERNELS(DECLARE_avx512vnni)
KERNELS(DECLARE_avx512bf16)
#elif defined(__aarch64__)
KERNELS(DECLARE_neon)
#endif

static const kernel_table tables[] = {
  [fv_portable] = {KERNELS(ENTRY_portable)},
#if defined(__x86_64__)
  [fv_avx2] = {KERNELS(ENTRY_avx2)},
  [fv_avxvnni] = {FLOAT_KERNELS(ENTRY_avx2) INT8_KERNELS(ENTRY_avxvnni)},
  [fv_avx512] = {KERNELS(ENTRY_avx512)},
  [fv_avx512vnni] = {FLOAT_KERNELS(ENTRY_avx512) INT8_KERNELS(ENTRY_avx512vnni)},
  [fv_avx512bf16] = {KERNELS(ENTRY_avx512bf16)},
#elif defined(__aarch64__)
  [fv_neon] = {KERNELS(ENTRY_neon)},
#endif
};

int fv_isa_supported(fv_isa isa) {
  switch (isa) {
    case fv_portable: return 1;
#if defined(__x86_64__)
    case fv_avx2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case fv_avx512:
      return fv_isa_supported(fv_avx2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    case fv_avxvnni: return fv_isa_supported(fv_avx2) && __builtin_cpu_supports("avxvnni");
    case fv_avx512vnni: return fv_isa_supported(fv_avx512) && __builtin_cpu_supports("avx512vnni");
    case fv_avx512bf16: return fv_isa_supported(fv_avx512vnni) && __builtin_cpu_supports("avx512bf16");
#elif defined(__aarch64__)
    case fv_neon: return 1;
#endif
    default: return 0;
  }
}

// -1 until the first question
static _Atomic int active = -1;

static int first_choice(void) {
  const char *wish = getenv("FOVEA_ISA");
  for (int isa = fv_portable; wish && isa <= fv_avx512bf16; isa++)
    if (strcmp(wish, fv_isa_name((fv_isa)isa)) == 0 && fv_isa_supported((fv_isa)isa)) return isa;
  int isa = fv_avx512bf16;
  while (!fv_isa_supported((fv_isa)isa)) isa--;
  return isa;
}

fv_isa fv_isa_active(void) {
  int isa = atomic_load_explicit(&active, memory_order_relaxed);
  if (isa < 0) {
    isa = first_choice();
    atomic_store_explicit(&active, isa, memory_order_relaxed);
  }
  return (fv_isa)isa;
}

int fv_isa_force(fv_isa isa) {
  if (!fv_isa_supported(isa)) return 0;
  atomic_store_explicit(&active, (int)isa, memory_order_relaxed);
  return 1;
}

const char *fv_isa_name(fv_isa isa) {
  static const char *const names[] = {"portable", "neon",     "avx2",      "avxvnni",
                                      "avx512",   "avx512vnni", "avx512bf16"};
  return isa >= fv_portable && isa <= fv_avx512bf16 ? names[isa] : "unknown";
}

static const kernel_table *table(void) { return &tables[fv_isa_active()]; }

fv_softmax fv_exponentials(
  const float *logits, int64_t count, float inverse_temperature, float *exponentials, double *block_sums);

#define CALL(type, name, parameters, arguments) \
  type fv_##name parameters { return table()->name arguments; }
KERNELS(CALL)

int64_t fv_cache_key_units(fv_kind kind, int64_t head_size) {
  return (kind == fv_bf16 ? head_size / 2 : head_size) * fv_block_positions;
}

int64_t fv_cache_value_units(fv_kind kind, int64_t head_size) {
  return (kind == fv_bf16 ? fv_block_positions / 2 : fv_block_positions) * ((head_size + 15) / 16 * 16);
}

void fv_cache_store(
  fv_kind kind, const fv_cache_layer *layer, const void *key, const void *value, int32_t block, int32_t slot) {
  const int64_t size = layer->head_size, wide = (size + 15) / 16 * 16;
  const int64_t units = kind == fv_bf16 ? size / 2 : size;
  for (int64_t kv = 0; kv < layer->key_value_heads; kv++) {
    uint32_t *keys = layer->keys + block * layer->block_stride + kv * fv_cache_key_units(kind, size);
    uint32_t *values = layer->values + block * layer->block_stride + kv * fv_cache_value_units(kind, size);
    const uint32_t *k = (const uint32_t *)key + kv * units;
    for (int64_t j = 0; j < units; j++) keys[j * fv_block_positions + slot] = k[j];
    if (kind == fv_bf16) {
      const uint16_t *v = (const uint16_t *)value + kv * size;
      uint16_t *out = (uint16_t *)(values + slot / 2 * wide) + slot % 2;
      for (int64_t d = 0; d < size; d++) out[2 * d] = v[d];
    } else {
      memcpy(values + slot * wide, (const uint32_t *)value + kv * size, (size_t)size * 4);
    }
  }
}

int64_t fv_attention_scratch(int64_t heads_per_key_value, int64_t length) {
  (void)heads_per_key_value;  // heads are walked four at a time
  return 8 * ((length + 15) / 16 * 16);
}

int64_t fv_attention_backward_scratch(int64_t head_size, int64_t key_capacity) {
  const int64_t wide = (head_size + 15) / 16 * 16, row = (key_capacity + 15) / 16 * 16;
  return 2 * head_size * row + 3 * row * wide + 12 * row + 18 * wide;
}

float fv_log_probability(const float *logits, int64_t token, float inverse_temperature, fv_softmax softmax) {
  return logits[token] * inverse_temperature - softmax.log_normalizer;
}
