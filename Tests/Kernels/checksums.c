// Prints a checksum of every kernel's results on fixed inputs. Built for two processors, it must print the same lines:
// `make check-neon` compares this machine with an emulated 64-bit Arm.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "CKernels.h"

static uint64_t state = 1;

static float number(void) {  // xorshift; roughly -2 ... 2, now and then a special value
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  static const float special[] = {0, -0.0f, 1e-40f, -1e-39f, 1e30f, 3e38f};
  if (state % 61 == 0) return special[(state >> 8) % 6];
  return (float)(int32_t)(state >> 32) * 0x1p-30f;
}

static float *numbers(int64_t count) {
  float *x = malloc((size_t)count * 4);
  for (int64_t i = 0; i < count; i++) x[i] = number();
  return x;
}

static float *plain(int64_t count) {
  float *x = numbers(count);
  for (int64_t i = 0; i < count; i++)
    if (!(x[i] > -4 && x[i] < 4)) x[i] = 0.5f;
  return x;
}

static void print(const char *name, const void *bytes, size_t count) {
  uint64_t hash = 14695981039346656037ull;
  for (size_t i = 0; i < count; i++) hash = (hash ^ ((const uint8_t *)bytes)[i]) * 1099511628211ull;
  printf("%-28s %016llx\n", name, (unsigned long long)hash);
}

static void check(void *context, int64_t index, int64_t thread) {
  (void)context, (void)index, (void)thread;
  for (fv_kind kind = fv_bf16; kind <= fv_f32; kind++) {
    enum { m = 67, n = 130, k = 1800 };
    const int64_t units = kind == fv_bf16 ? k / 2 : k;
    float *x = numbers(m * k), *w = numbers(n * k), *bias = numbers(n), *y = calloc(m * n, 4);
    uint32_t *a = calloc(m * k, 4), *panels = calloc(3 * units * 64, 4);
    fv_round(kind, x, m * k, a);
    print("round", a, (size_t)(m * k) * (kind == fv_bf16 ? 2 : 4));
    fv_pack_columns_from_f32(kind, w, k, 0, n, 0, units, panels);
    fv_matmul product = {m, n, units, a, 64 * units, units, 1, panels, y, n, bias, 0};
    fv_matmul_block(kind, &product, 0, m, 0, 3);
    for (int i = 0; i < m * n; i++)
      if (y[i] != y[i]) y[i] = 0;  // the sign of a NaN is not defined
    print("matmul", y, m * n * 4);

    enum { deep = k - 2, fours = (deep + 15) / 16 * 4, wide = 192 };
    uint32_t *quantized = calloc(m * fours, 4), *columns = calloc(wide * fours, 4);
    float space8[4 * fours], row_scales[m], scales[wide] = {0};
    int32_t offsets[wide] = {0};
    for (int i = 0; i < m; i++) {
      const char *at = (const char *)a + (size_t)(i * deep) * (kind == fv_bf16 ? 2 : 4);
      fv_int8_quantize_row(kind, at, deep, fours, space8, quantized + i * fours, &row_scales[i]);
    }
    print("int8 quantize row", quantized, m * fours * 4);
    uint32_t *weights = calloc(n * deep, 4);
    fv_round(kind, w, n * deep, weights);
    fv_int8_pack_columns(kind, weights, deep, n, 0, fours, space8, columns, scales, offsets);
    print("int8 pack", columns, wide * fours * 4);
    fv_int8_matmul integers = {m, n, fours, quantized, row_scales, columns, scales, offsets, y, n, bias};
    fv_int8_matmul_block(&integers, 0, m, 0, 3);
    for (int i = 0; i < m * n; i++)
      if (y[i] != y[i]) y[i] = 0;
    print("int8 matmul", y, m * n * 4);

    enum { c = 75 };
    float *row = plain(2 * c), *add = plain(c), *weight = plain(c), out[2 * c] = {0}, gradient[2 * c] = {0};
    const float inverse = fv_rmsnorm(kind, row, add, weight, 1e-5f, c, out);
    fv_rmsnorm_backward(add, row, inverse, weight, c, gradient);
    print("rmsnorm", out, c * 2);
    print("rmsnorm backward", gradient, c * 4);
    fv_swiglu(kind, row, c, out);
    print("swiglu", out, c * 2);
    uint32_t saved[2 * c];
    fv_round(kind, row, 2 * c, saved);
    fv_swiglu_backward(kind, fv_f32, saved, c, add, out, gradient);
    print("swiglu backward", gradient, sizeof gradient);
    float moments[2];
    fv_layernorm(kind, row, add, weight, add, 1e-5f, c, out, moments);
    print("layernorm", out, c * 2);
    fv_layernorm_backward(add, row, moments, weight, c, gradient);
    fv_layernorm_weight_backward(add, row, moments, 1, c, 0, c, gradient, gradient + c);
    print("layernorm backward", gradient, sizeof gradient);
    for (int form = fv_gelu_exact; form <= fv_gelu_quick; form++) {
      fv_gelu(kind, (fv_gelu_form)form, row, c, out);
      print("gelu", out, c * 2);
      fv_gelu_backward(kind, (fv_gelu_form)form, saved, c, add, out, gradient);
      print("gelu backward", gradient, c * 4);
    }

    enum { heads = 6, kv = 2, d = 20, positions = 37, blocks = 3, width = (heads + 2 * kv) * d };
    const int64_t keys = kv * fv_cache_key_units(kind, d), stride = keys + kv * fv_cache_value_units(kind, d);
    uint32_t *cache = calloc((size_t)(blocks * stride), 4);
    fv_cache_layer layer = {d, kv, heads / kv, 0.2236f, cache, cache + keys, stride};
    float *packed = plain(positions * width);
    const size_t bytes = kind == fv_bf16 ? 2 : 4;
    char *rows = calloc(positions * width, 4), *attended = calloc(positions * heads * d, 4);
    fv_round(kind, packed, positions * width, rows);
    const int32_t table[] = {2, 0, 1};
    for (int t = 0; t < positions; t++) {
      const char *key = rows + (size_t)(t * width + heads * d) * bytes;
      fv_cache_store(kind, &layer, key, key + kv * d * bytes, table[t / 16], t % 16);
    }
    float *scratch = malloc((size_t)(fv_attention_backward_scratch(d, positions) + 8 * 64) * 4);
    float stats[positions * heads * 2], *dheads = calloc(positions * width, 4);
    for (int t = 0; t < positions; t++)
      for (int head = 0; head < kv; head++)
        fv_attention(
          kind, &layer, head, rows + (size_t)(t * width) * bytes, table, t + 1, scratch,
          attended + (size_t)(t * heads * d) * bytes, stats + t * heads * 2);
    print("attention", attended, positions * heads * d * bytes);
    print("attention statistics", stats, sizeof stats);
    float *dout = plain(positions * heads * d);
    fv_attention_sequence sequence = {d, heads, kv, 0.2236f, width, rows, rows, 0, positions, 0, 0, positions, attended,
                                      dout, stats, dheads, dheads};
    for (int head = 0; head < kv; head++) fv_attention_backward(kind, &sequence, head, scratch);
    print("attention backward", dheads, positions * width * 4);
    sequence.bidirectional = 1;
    for (int head = 0; head < kv; head++) fv_attention_backward(kind, &sequence, head, scratch);
    print("bidirectional attention backward", dheads, positions * width * 4);

    enum { v = 3001 };
    float *logits = plain(v), *space = malloc(3 * v * 4), dlogits[v];
    const fv_softmax softmax = fv_softmax_statistics(logits, v, 1.25f);
    print("softmax", &softmax, sizeof softmax);
    fv_softmax_backward(fv_f32, logits, v, 1.25f, softmax.log_normalizer, 7, 0.3f, dlogits);
    print("softmax backward", dlogits, sizeof dlogits);
    const fv_draw draw = fv_sample(logits, v, (fv_sampling){0.8f, 40, 0.9f, 0.01f}, 0.37f, space);
    print("sample", &draw, sizeof draw);
    fv_adamw settings = {1e-3f, 0.9f, 0.99f, 1e-8f, 0.1f, 0.1f, 0.01f, 0.5f, 3};
    for (int i = 0; i < v; i++) space[i] = logits[i] * logits[i];
    fv_adamw_step(&settings, fv_f32, 0, v, logits, dlogits, space + v, space);
    print("adamw", logits, v * 4);
    fv_adamw_step(&settings, fv_bf16, 0, v, logits, dlogits, space + v, space);
    print("adamw with bf16 moments", space, v * 4);
  }
  double cosine, sine;
  fv_cosine_sine(1234.5, &cosine, &sine);
  const double scalars[] = {cosine, sine, fv_log(3.7), fv_exp(-2.3)};
  print("scalars", scalars, sizeof scalars);
}

int main(void) {
  fv_pool *pool = fv_pool_create(1);
  fv_pool_run(pool, 1, check, 0);
  fv_pool_destroy(pool);
  fprintf(stderr, "%s\n", fv_isa_name(fv_isa_active()));
  return 0;
}
