// Attention over cached blocks of 16 positions, and its backward pass over packed rows.

INLINE int64_t key_units(const fv_kind kind, int64_t head_size) {
  return (kind == fv_bf16 ? head_size / 2 : head_size) * fv_block_positions;
}
INLINE int64_t value_units(const fv_kind kind, int64_t head_size) {
  return (kind == fv_bf16 ? fv_block_positions / 2 : fv_block_positions) * ((head_size + 15) / 16 * 16);
}

// Scores of `heads` queries against `count` blocks of keys: one chain over the units of D per key. Meanwhile it asks for
// `ahead`, a line a unit: the blocks that come next, which lie anywhere in memory.
INLINE void score_tile(
  const fv_kind kind, const int heads, const int count, const uint32_t *query, int64_t units,
  const uint32_t *const *keys, const uint32_t *const *ahead, vf scale, float *scores, int64_t score_row) {
  vf s[4][2];
#pragma clang loop unroll(full)
  for (int h = 0; h < heads; h++)
#pragma clang loop unroll(full)
    for (int b = 0; b < count; b++) s[h][b] = vf_set1(0);
  for (int64_t j = 0; j < units; j++) {
    vu k[2];
    __builtin_prefetch(ahead[0] + 16 * j);
    __builtin_prefetch(ahead[1] + 16 * j);
#pragma clang loop unroll(full)
    for (int b = 0; b < count; b++) k[b] = vu_load(keys[b] + 16 * j);
#pragma clang loop unroll(full)
    for (int h = 0; h < heads; h++) {
      const vu q = vu_set1(query[h * units + j]);
#pragma clang loop unroll(full)
      for (int b = 0; b < count; b++) s[h][b] = vf_dot(kind, s[h][b], q, k[b]);
    }
  }
#pragma clang loop unroll(full)
  for (int h = 0; h < heads; h++)
#pragma clang loop unroll(full)
    for (int b = 0; b < count; b++) vf_store(scores + h * score_row + 16 * b, vf_mul(s[h][b], scale));
}

// Weighted sums of values for `heads` heads and `vectors` * 16 of D: one chain over the units of positions. It asks for the
// next block's values too.
INLINE void value_tile(
  const fv_kind kind, const int heads, const int vectors, const uint32_t *weights, int64_t weight_row, int64_t length,
  const uint32_t *values, int64_t block_stride, const int32_t *blocks, int64_t row, vf sums[4][4]) {
  const int64_t step = kind == fv_bf16 ? 2 : 1, per_block = fv_block_positions / step;
  const int64_t units = (length + step - 1) / step;
#pragma clang loop unroll(full)
  for (int h = 0; h < heads; h++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) sums[h][v] = vf_set1(0);
  for (int64_t first = 0; first < units; first += per_block) {
    const uint32_t *block = values + blocks[first / per_block] * block_stride;
    const uint32_t *ahead = first + per_block < units ? values + blocks[first / per_block + 1] * block_stride : block;
    const int64_t end = units - first < per_block ? units - first : per_block;
    for (int64_t j = 0; j < end; j++) {
      vu x[4];
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) {
        __builtin_prefetch(ahead + j * row + 16 * v);
        x[v] = vu_load(block + j * row + 16 * v);
      }
#pragma clang loop unroll(full)
      for (int h = 0; h < heads; h++) {
        const vu w = vu_set1(weights[h * weight_row + first + j]);
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) sums[h][v] = vf_dot(kind, sums[h][v], w, x[v]);
      }
    }
  }
}

// `heads` (1 to 4) heads that share one key-value head.
INLINE void attend(
  const fv_kind kind, const int heads, const fv_cache_layer *layer, int64_t kv, const uint32_t *query,
  const int32_t *blocks, int64_t length, float *scratch, void *out, int64_t out_head, float *stats) {
  const int64_t size = layer->head_size, units = kind == fv_bf16 ? size / 2 : size;
  const int64_t block_count = (length + 15) / 16, row = block_count * 16;
  const vf scale = vf_set1(layer->scale);
  float *scores = scratch;
  uint32_t *weights = (uint32_t *)(scratch + 4 * row);
  const int64_t weight_row = kind == fv_bf16 ? row / 2 : row;

  const uint32_t *keys = layer->keys + kv * key_units(kind, size);
  const uint32_t *values = layer->values + kv * value_units(kind, size);
  const int64_t stride = layer->block_stride;
  for (int64_t b = 0; b < block_count; b += 2) {
    const uint32_t *pair[2], *ahead[2];
    for (int i = 0; i < 2; i++) {
      pair[i] = keys + blocks[b + i < block_count ? b + i : b] * stride;
      // after the last keys come the first values
      const int64_t next = b + 2 + i;
      ahead[i] = next < block_count ? keys + blocks[next] * stride : values + blocks[i < block_count ? i : 0] * stride;
    }
    if (b + 1 < block_count) score_tile(kind, heads, 2, query, units, pair, ahead, scale, scores + 16 * b, row);
    else score_tile(kind, heads, 1, query, units, pair, ahead, scale, scores + 16 * b, row);
  }

  float sum[4];
  for (int h = 0; h < heads; h++) {
    float *s = scores + h * row;
    for (int64_t i = length; i < row; i++) s[i] = -INFINITY;
    vf maximum = vf_load(s);
    for (int64_t i = 16; i < row; i += 16) maximum = vf_max(vf_load(s + i), maximum);
    const float m = vf_maximum(maximum);
    const vf shift = vf_set1(m);
    vf total = vf_set1(0);
    for (int64_t i = 0; i < row; i += 16) {
      const vf p = vf_exp(vf_sub(vf_load(s + i), shift));
      uint32_t *w = weights + h * weight_row;
      if (kind == fv_bf16) {
        const vu rounded = vu_round_bf16(p);
        vu_store_halves((uint16_t *)w + i, rounded);
        total = vf_add(total, vf_from_bf16(rounded));
      } else {
        vu_store(w + i, vu_bits(p));
        total = vf_add(total, p);
      }
    }
    sum[h] = vf_sum(total);
    if (stats) {
      stats[2 * h] = m;
      stats[2 * h + 1] = sum[h];
    }
  }

  const int64_t value_row = (size + 15) / 16 * 16;
  for (int64_t d = 0; d < size; d += 64) {
    const int64_t rest = size - d;
    vf sums[4][4];
#define VALUES(n) \
  value_tile(kind, heads, n, weights, weight_row, length, values + d, stride, blocks, value_row, sums)
    const int vectors = rest >= 64 ? 4 : (int)((rest + 15) / 16);
    switch (vectors) {
      case 4: VALUES(4); break;
      case 3: VALUES(3); break;
      case 2: VALUES(2); break;
      default: VALUES(1); break;
    }
#undef VALUES
    for (int h = 0; h < heads; h++)
      for (int v = 0; v < vectors; v++)
        vf_store_kind_part(
          kind, out, h * out_head + d + 16 * v, rest - 16 * v, vf_div(sums[h][v], vf_set1(sum[h])));
  }
}

INLINE void attention(
  const fv_kind kind, const fv_cache_layer *layer, int64_t kv, const void *query, const int32_t *blocks, int64_t length,
  float *scratch, void *out, float *stats) {
  const int64_t size = layer->head_size, units = kind == fv_bf16 ? size / 2 : size;
  const int64_t group = layer->heads_per_key_value;
  for (int64_t g = 0; g < group; g += 4) {
    const int64_t head = kv * group + g;
    const uint32_t *q = (const uint32_t *)query + head * units;
    void *o = kind == fv_bf16 ? (void *)((uint16_t *)out + head * size) : (void *)((float *)out + head * size);
    float *s = stats ? stats + 2 * head : 0;
#define ATTEND(n) attend(kind, n, layer, kv, q, blocks, length, scratch, o, size, s)
    switch (group - g) {
      case 1: ATTEND(1); break;
      case 2: ATTEND(2); break;
      case 3: ATTEND(3); break;
      default: ATTEND(4); break;
    }
#undef ATTEND
  }
}

void KERNEL(attention)(
  fv_kind kind, const fv_cache_layer *layer, int64_t kv, const void *query, const int32_t *blocks, int64_t length,
  float *scratch, void *out, float *stats) {
  if (kind == fv_bf16) attention(fv_bf16, layer, kv, query, blocks, length, scratch, out, stats);
  else attention(fv_f32, layer, kv, query, blocks, length, scratch, out, stats);
}

INLINE int64_t kind_bytes(const fv_kind kind) { return kind == fv_bf16 ? 2 : 4; }

INLINE float kind_element(const fv_kind kind, const void *p, int64_t i) {
  if (kind == fv_f32) return ((const float *)p)[i];
  const uint32_t bits = (uint32_t)((const uint16_t *)p)[i] << 16;
  float x;
  memcpy(&x, &bits, 4);
  return x;
}

// Attention weights p and score gradients ds of `heads` heads of one query row, over `count` blocks of 16 keys from j on.
INLINE void backward_scores(
  const int heads, const int count, int64_t size, int64_t row, int64_t wide, const float *key_t, const float *value_t,
  const float *q, const float *dout, int64_t j, vf scale, const vf *shift, const vf *normal, const vf *delta, float *p,
  float *ds) {
  vf score[4][2], dp[4][2];
#pragma clang loop unroll(full)
  for (int h = 0; h < heads; h++)
#pragma clang loop unroll(full)
    for (int b = 0; b < count; b++) score[h][b] = dp[h][b] = vf_set1(0);
  for (int64_t d = 0; d < size; d++) {
    vf k[2], v[2];
#pragma clang loop unroll(full)
    for (int b = 0; b < count; b++) {
      k[b] = vf_load(key_t + d * row + j + 16 * b);
      v[b] = vf_load(value_t + d * row + j + 16 * b);
    }
#pragma clang loop unroll(full)
    for (int h = 0; h < heads; h++) {
      const vf x = vf_set1(q[h * wide + d]), y = vf_set1(dout[h * wide + d]);
#pragma clang loop unroll(full)
      for (int b = 0; b < count; b++) {
        score[h][b] = vf_fma(x, k[b], score[h][b]);
        dp[h][b] = vf_fma(y, v[b], dp[h][b]);
      }
    }
  }
#pragma clang loop unroll(full)
  for (int h = 0; h < heads; h++)
#pragma clang loop unroll(full)
    for (int b = 0; b < count; b++) {
      const vf weight = vf_mul(vf_exp(vf_sub(vf_mul(score[h][b], scale), shift[h])), normal[h]);
      vf_store(p + h * row + j + 16 * b, weight);
      vf_store(ds + h * row + j + 16 * b, vf_mul(vf_mul(weight, vf_sub(dp[h][b], delta[h])), scale));
    }
}

// From p and ds: dq = ds k, and for every key dk += ds q, dv += p dout, for `vectors` * 16 of D.
INLINE void backward_sums(
  const int heads, const int vectors, int64_t keys_count, int64_t row, int64_t wide, const float *p, const float *ds,
  const float *q, const float *dout, const float *keys, float *dkeys, float *dvalues, float *dq) {
  vf sum[4][2], x[4][2], y[4][2];
#pragma clang loop unroll(full)
  for (int h = 0; h < heads; h++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      sum[h][v] = vf_set1(0);
      x[h][v] = vf_load(q + h * wide + 16 * v);
      y[h][v] = vf_load(dout + h * wide + 16 * v);
    }
  for (int64_t j = 0; j < keys_count; j++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      const vf k = vf_load(keys + j * wide + 16 * v);
      vf dk = vf_load(dkeys + j * wide + 16 * v), dv = vf_load(dvalues + j * wide + 16 * v);
#pragma clang loop unroll(full)
      for (int h = 0; h < heads; h++) {
        const vf a = vf_set1(ds[h * row + j]);
        sum[h][v] = vf_fma(a, k, sum[h][v]);
        dk = vf_fma(a, x[h][v], dk);
        dv = vf_fma(vf_set1(p[h * row + j]), y[h][v], dv);
      }
      vf_store(dkeys + j * wide + 16 * v, dk);
      vf_store(dvalues + j * wide + 16 * v, dv);
    }
#pragma clang loop unroll(full)
  for (int h = 0; h < heads; h++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) vf_store(dq + h * wide + 16 * v, sum[h][v]);
}

// Where one task works: the sequence's keys and values, their gradients, and one row's heads.
typedef struct {
  int64_t size, wide, row;
  float *key_t, *value_t, *keys, *dkeys, *dvalues, *p, *ds, *q, *dout, *dq;
} KERNEL(backward_space);

// Row r of the sequence for `heads` (1 to 4) heads from `head` on, which share one key-value head.
INLINE void backward_row(
  const fv_kind kind, const int heads, const fv_attention_sequence *s, const KERNEL(backward_space) *w, int64_t r,
  int64_t head) {
  const int64_t n = s->prefix_count + (s->bidirectional ? s->count : r + 1), blocks = (n + 15) / 16, size = w->size;
  vf shift[4], normal[4], delta[4];
  for (int h = 0; h < heads; h++) {
    const int64_t index = r * s->heads + head + h;
    vf dot = vf_set1(0);
    for (int64_t d = 0; d < size; d += 16) {
      const char *own = (const char *)s->own + r * s->row * kind_bytes(kind);
      const vf y = vf_load_part(s->dout + index * size + d, size - d, 0);
      vf_store(w->q + h * w->wide + d, vf_load_kind_part(kind, own, (head + h) * size + d, size - d));
      vf_store(w->dout + h * w->wide + d, y);
      dot = vf_fma(y, vf_load_kind_part(kind, s->out, index * size + d, size - d), dot);
    }
    shift[h] = vf_set1(s->stats[2 * index]);
    normal[h] = vf_set1(1.0f / s->stats[2 * index + 1]);
    delta[h] = vf_set1(vf_sum(dot));
  }
  const vf scale = vf_set1(s->scale);
#define SCORES(count) \
  backward_scores( \
    heads, count, size, w->row, w->wide, w->key_t, w->value_t, w->q, w->dout, 16 * b, scale, shift, normal, delta, \
    w->p, w->ds)
  int64_t b = 0;
  for (; b + 2 <= blocks; b += 2) SCORES(2);
  if (b < blocks) SCORES(1);
#undef SCORES
#define SUMS(vectors) \
  backward_sums( \
    heads, vectors, n, w->row, w->wide, w->p, w->ds, w->q + d, w->dout + d, w->keys + d, w->dkeys + d, \
    w->dvalues + d, w->dq + d)
  int64_t d = 0;
  for (; d + 32 <= w->wide; d += 32) SUMS(2);
  if (d < w->wide) SUMS(1);
#undef SUMS
  for (int h = 0; h < heads; h++)
    memcpy(s->down + r * s->row + (head + h) * size, w->dq + h * w->wide, (size_t)size * 4);
}

INLINE void attention_backward(const fv_kind kind, const fv_attention_sequence *s, int64_t kv, float *scratch) {
  const int64_t size = s->head_size, wide = (size + 15) / 16 * 16, group = s->heads / s->key_value_heads;
  const int64_t length = s->prefix_count + s->count, row = (length + 15) / 16 * 16;
  const int64_t key_column = (s->heads + kv) * size, value_column = (s->heads + s->key_value_heads + kv) * size;
  KERNEL(backward_space) w = {.size = size, .wide = wide, .row = row};
  float **const parts[] = {&w.key_t, &w.value_t, &w.keys, &w.dkeys, &w.dvalues, &w.p, &w.ds, &w.q, &w.dout, &w.dq};
  const int64_t counts[] = {
    size * row, size * row, length * wide, length * wide, length * wide, 4 * row, 4 * row, 4 * wide, 4 * wide, 4 * wide};
  for (int i = 0; i < 10; i++) {
    *parts[i] = scratch;
    scratch += counts[i];
  }
  memset(w.key_t, 0, (size_t)(w.p - w.key_t) * 4);
  for (int64_t j = 0; j < length; j++) {
    const int own = j >= s->prefix_count;
    const char *base = (const char *)(own ? s->own : s->prefix);
    const void *packed = base + (own ? j - s->prefix_count : j) * s->row * kind_bytes(kind);
    for (int64_t d = 0; d < size; d++) {
      const float k = kind_element(kind, packed, key_column + d);
      w.keys[j * wide + d] = k;
      w.key_t[d * row + j] = k;
      w.value_t[d * row + j] = kind_element(kind, packed, value_column + d);
    }
  }
  for (int64_t r = 0; r < s->count; r++)
    for (int64_t g = 0; g < group; g += 4) {
      const int64_t head = kv * group + g;
      switch (group - g) {
        case 1: backward_row(kind, 1, s, &w, r, head); break;
        case 2: backward_row(kind, 2, s, &w, r, head); break;
        case 3: backward_row(kind, 3, s, &w, r, head); break;
        default: backward_row(kind, 4, s, &w, r, head); break;
      }
    }
  for (int64_t j = 0; j < length; j++) {
    const int own = j >= s->prefix_count;
    float *out = (own ? s->down : s->dprefix) + (own ? j - s->prefix_count : j) * s->row;
    for (int64_t d = 0; d < size; d++) {
      out[key_column + d] += w.dkeys[j * wide + d];
      out[value_column + d] += w.dvalues[j * wide + d];
    }
  }
}

void KERNEL(attention_backward)(fv_kind kind, const fv_attention_sequence *s, int64_t kv, float *scratch) {
  if (kind == fv_bf16) attention_backward(fv_bf16, s, kv, scratch);
  else attention_backward(fv_f32, s, kv, scratch);
}
