// Calls every kernel of decode, prefill, learner, sampling, optimizer and packing once, at the shapes of SmolLM2-135M,
// under callgrind, which counts each call's instructions apart: `make bench-instructions` prints them and compares them
// with instructions.txt. A count does not depend on what else the machine does, so a regression shows where a clock is
// useless.
//
// A dump's name is "kernel, shape|useful operations|their unit"; deploy/bench-instructions reads it.
#include <stdio.h>
#include <stdlib.h>
#include <valgrind/callgrind.h>

#include "CKernels.h"

// Counts what `call` executes. `count` useful operations; `unit` names one.
#define COUNT(name, count, unit, call) \
  do { \
    char label[160]; \
    snprintf(label, sizeof label, "%s|%lld|%s", name, (long long)(count), unit); \
    CALLGRIND_ZERO_STATS; \
    call; \
    CALLGRIND_DUMP_STATS_AT(label); \
  } while (0)

// C model width, H query heads, K key-value heads, D head width, F feed-forward width, V vocabulary; T positions.
enum { C = 576, H = 9, K = 3, D = 64, F = 1536, V = 49152, T = 128, QKV = (H + 2 * K) * D };

static uint64_t state = 1;

// Roughly -2 ... 2 (xorshift).
static float number(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (float)(int32_t)(state >> 32) * 0x1p-30f;
}

static float *numbers(int64_t count) {
  float *x = malloc((size_t)count * 4);
  for (int64_t i = 0; i < count; i++) x[i] = number();
  return x;
}

static void *rounded(int64_t count) {
  float *x = numbers(count);
  void *out = malloc((size_t)count * 4);
  fv_round(fv_bf16, x, count, out);
  free(x);
  return out;
}

static void *zeros(int64_t count) { return calloc((size_t)count, 4); }

static void product(const char *name, fv_kind kind, int64_t m, int64_t n, int64_t k) {
  const int64_t units = kind == fv_bf16 ? k / 2 : k;
  const fv_matmul p = {m, n, units, rounded(m * units), 64 * units, units, 1, rounded(n * units), zeros(m * n), n,
                       0, 0};
  COUNT(name, m * n * k, "multiply-add", fv_matmul_block(kind, &p, 0, m, 0, n / 64));
}

static void products(void) {
  product("matmul bf16, 1 row, 3072 x 576", fv_bf16, 1, 2 * F, C);
  product("matmul bf16, 32 rows, 3072 x 576", fv_bf16, 32, 2 * F, C);
  product("matmul bf16, 256 rows, 576 x 1536", fv_bf16, 256, C, F);
  product("matmul fp32, 32 rows, 3072 x 576", fv_f32, 32, 2 * F, C);
}

static void int8_products(void) {
  enum { M = 32, N = 2 * F, UNITS = 4 * ((C + 15) / 16) };
  float *rows = numbers(M * C), *weights = numbers(N * C), *scratch = zeros(4 * UNITS), *scales = zeros(N), a_scales[M];
  uint32_t *a = zeros(M * UNITS), *panels = zeros(N * UNITS);
  int32_t *offsets = zeros(N);
  COUNT("int8 pack columns, 3072 x 576", N * C, "element",
        fv_int8_pack_columns(fv_f32, weights, C, N, 0, UNITS, scratch, panels, scales, offsets));
  COUNT("int8 quantize, 32 rows of 576", M * C, "element", {
    for (int i = 0; i < M; i++)
      fv_int8_quantize_row(fv_f32, rows + i * C, C, UNITS, scratch, a + i * UNITS, a_scales + i);
  });
  fv_int8_matmul p = {M, N, UNITS, a, a_scales, panels, scales, offsets, zeros(M * N), N, 0};
  COUNT("matmul int8, 32 rows, 3072 x 576", M * N * C, "multiply-add", fv_int8_matmul_block(&p, 0, M, 0, N / 64));
  p.rows = 1;
  COUNT("matmul int8, 1 row, 3072 x 576", N * C, "multiply-add", fv_int8_matmul_block(&p, 0, 1, 0, N / 64));
}

static void packing(void) {
  float *w = numbers(F * C), *column = zeros(C);
  uint16_t *half = rounded(F * C);
  uint32_t *panels = zeros(F * C);
  COUNT("pack columns from fp32, 1536 x 576", F * C, "element",
        fv_pack_columns_from_f32(fv_bf16, w, C, 0, F, 0, C / 2, panels));
  COUNT("pack columns from bf16, 1536 x 576", F * C, "element",
        fv_pack_columns_from_bf16(fv_bf16, half, C, 0, F, 0, C / 2, panels));
  COUNT("pack depth rows from fp32, 576 x 1536", F * C, "element",
        fv_pack_depth_rows_from_f32(fv_bf16, w, F, C, F, 0, C / 2, 0, F / 64, panels));
  COUNT("pack depth rows from bf16, 576 x 1536", F * C, "element",
        fv_pack_depth_rows(fv_bf16, half, F, C, F, 0, C / 2, 0, F / 64, panels));
  COUNT("unpack column, 576", C, "element", fv_unpack_column(fv_bf16, panels, C / 2, 7, C, column));
}

static void layers(void) {
  float *x = numbers(QKV), *add = numbers(C), *weight = numbers(C), *gradient = zeros(2 * F), *cosine = numbers(D / 2);
  float *gate_up = numbers(2 * F), inverse[T];
  void *saved = rounded(2 * F), *out = zeros(2 * F);
  COUNT("rmsnorm, 576", C, "element", inverse[0] = fv_rmsnorm(fv_bf16, x, add, weight, 1e-5f, C, out));
  COUNT("rmsnorm backward, 576", C, "element", fv_rmsnorm_backward(add, x, inverse[0], weight, C, gradient));
  for (int i = 0; i < T; i++) inverse[i] = 1;
  float *dy = numbers(T * C), *rows = numbers(T * C);
  COUNT("rmsnorm weight backward, 128 x 576", T * C, "element",
        fv_rmsnorm_weight_backward(dy, rows, inverse, T, C, 0, C, gradient));
  COUNT("rope, 12 heads x 64", (H + K) * D, "element", fv_rope(x, H + K, D, cosine, cosine, 1));
  COUNT("swiglu, 1536", F, "element", fv_swiglu(fv_bf16, gate_up, F, out));
  COUNT("swiglu backward, 1536", F, "element", fv_swiglu_backward(fv_bf16, fv_bf16, saved, F, dy, out, gradient));
  COUNT("round, 3072", 2 * F, "element", fv_round(fv_bf16, gate_up, 2 * F, out));
  COUNT("widen, 3072", 2 * F, "element", fv_widen(fv_bf16, saved, 2 * F, gradient));
  COUNT("add, 576", C, "element", fv_add(x, add, C));
}

static void attention(void) {
  const int64_t keys = K * fv_cache_key_units(fv_bf16, D), stride = keys + K * fv_cache_value_units(fv_bf16, D);
  uint32_t *cache = zeros(T / 16 * stride);
  fv_cache_layer layer = {D, K, H / K, 0.125f, cache, cache + keys, stride};
  uint16_t *rows = rounded(T * QKV), *out = zeros(T * H * D);
  int32_t blocks[T / 16];
  for (int i = 0; i < T / 16; i++) blocks[i] = i;
  COUNT("cache store, 128 positions", T * 2 * K * D, "element", {
    for (int t = 0; t < T; t++)
      fv_cache_store(fv_bf16, &layer, rows + t * QKV + H * D, rows + t * QKV + (H + K) * D, t / 16, t % 16);
  });
  float *scratch = zeros(fv_attention_backward_scratch(D, T) + 8 * T), *stats = zeros(T * H * 2);
  COUNT("attention, 128 keys", 2 * H * D * T, "multiply-add", {
    for (int kv = 0; kv < K; kv++)
      fv_attention(fv_bf16, &layer, kv, rows, blocks, T, scratch, out, stats);
  });
  for (int t = 0; t < T; t++)
    for (int kv = 0; kv < K; kv++)
      fv_attention(
        fv_bf16, &layer, kv, rows + t * QKV, blocks, t + 1, scratch, out + t * H * D, stats + t * H * 2);
  float *gradient = zeros(T * QKV);
  const fv_attention_sequence sequence = {D, H, K, 0.125f, QKV, rows, rows, 0, T, 0, 0, T, out, numbers(T * H * D),
                                          stats, gradient, gradient};
  COUNT("attention backward, 128 positions", 5 * H * D * T * (T + 1) / 2, "multiply-add", {
    for (int kv = 0; kv < K; kv++) fv_attention_backward(fv_bf16, &sequence, kv, scratch);
  });
}

static void vocabulary(void) {
  float *logits = numbers(V), *scratch = numbers(3 * V);
  for (int i = 0; i < V; i++) logits[i] *= 4;
  fv_softmax softmax;
  COUNT("softmax statistics, 49152", V, "element", softmax = fv_softmax_statistics(logits, V, 1));
  COUNT("softmax backward, 49152", V, "element",
        fv_softmax_backward(fv_bf16, logits, V, 1, softmax.log_normalizer, 7, 0.3f, scratch));
  COUNT("sample, temperature, 49152", V, "element", fv_sample(logits, V, (fv_sampling){1, 0, 1, 0}, 0.37f, scratch));
  COUNT("sample, top-k 50 and top-p 0.9, 49152", V, "element",
        fv_sample(logits, V, (fv_sampling){1, 50, 0.9f, 0}, 0.37f, scratch));
}

static void optimizer(void) {
  const fv_adamw settings = {1e-6f, 0.9f, 0.99f, 1e-8f, 0.1f, 0.1f, 0.01f, 0.5f, 1};
  float *parameters = numbers(F * C), *gradients = numbers(F * C), *first = zeros(F * C), *second = zeros(F * C);
  COUNT("sum of squares, 884736", F * C, "element", (void)fv_sum_of_squares(gradients, 0, F * C));
  COUNT("adamw, 884736", F * C, "element",
        fv_adamw_step(&settings, fv_f32, 0, F * C, parameters, gradients, first, second));
}

// One call of the pool, which sets the mode of denormals that the kernels define.
static void all(void *context, int64_t index, int64_t thread) {
  (void)context, (void)index, (void)thread;
  products();
  int8_products();
  packing();
  layers();
  attention();
  vocabulary();
  optimizer();
}

int main(void) {
  fprintf(stderr, "%s\n", fv_isa_name(fv_isa_active()));
  fv_pool *pool = fv_pool_create(1);
  fv_pool_run(pool, 1, all, 0);
  fv_pool_destroy(pool);
  return 0;
}
