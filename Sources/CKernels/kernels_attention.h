// Attention over cached blocks of 16 positions, and its backward pass over packed rows.

INLINE int64_t key_units(const fv_kind kind, int64_t head_size) {
  return (kind == fv_bf16 ? head_size / 2 : head_size) * fv_block_positions;
}
INLINE int64_t value_units(const fv_kind kind, int64_t head_size) {
  return (kind == fv_bf16 ? fv_block_positions / 2 : fv_block_positions) * ((head_size + 15) / 16 * 16);
}

// Scores of `heads` queries against `count` blocks of keys: one sequential sum over the units of D per key. Meanwhile
// it asks for `ahead`, a line a unit: the blocks that come next, which lie anywhere in memory.
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

// Weighted sums of values for `heads` heads and `vectors` * 16 of D: one sequential sum over the units of positions. It
// asks for the next block's values too.
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

// The backward pass walks several queries at once, a query being one head of one row: keys, values and their gradients
// are then read and written once for all of them.
enum { backward_queries = 6 };

// Where one task works: keys and values as rows [row][wide] and as columns [size][row], gradients of the rows, and the
// queries' weights [6][row] and vectors [6][wide]. Passed by value: what is stored to cannot be one of these pointers
// then.
typedef struct {
  int64_t size, wide, row;
  float *key_t, *value_t, *keys, *dkeys, *dvalues, *p, *ds, *q, *dout, *dq;
} KERNEL(backward_space);

// Attention weights p and score gradients ds of the queries, over `count` blocks of 16 keys from j on.
INLINE void backward_scores(
  const int queries, const int count, const KERNEL(backward_space) w, int64_t j, vf scale, const float *shift,
  const float *normal, const float *delta) {
  vf score[backward_queries][2], dp[backward_queries][2];
#pragma clang loop unroll(full)
  for (int i = 0; i < queries; i++)
#pragma clang loop unroll(full)
    for (int b = 0; b < count; b++) score[i][b] = dp[i][b] = vf_set1(0);
  for (int64_t d = 0; d < w.size; d++) {
    vf k[2], v[2];
#pragma clang loop unroll(full)
    for (int b = 0; b < count; b++) {
      k[b] = vf_load(w.key_t + d * w.row + j + 16 * b);
      v[b] = vf_load(w.value_t + d * w.row + j + 16 * b);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < queries; i++) {
      const vf x = vf_set1(w.q[i * w.wide + d]), y = vf_set1(w.dout[i * w.wide + d]);
#pragma clang loop unroll(full)
      for (int b = 0; b < count; b++) {
        score[i][b] = vf_fma(x, k[b], score[i][b]);
        dp[i][b] = vf_fma(y, v[b], dp[i][b]);
      }
    }
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < queries; i++)
#pragma clang loop unroll(full)
    for (int b = 0; b < count; b++) {
      const vf exponential = vf_exp(vf_sub(vf_mul(score[i][b], scale), vf_set1(shift[i])));
      const vf weight = vf_mul(exponential, vf_set1(normal[i]));
      vf_store(w.p + i * w.row + j + 16 * b, weight);
      vf_store(
        w.ds + i * w.row + j + 16 * b, vf_mul(vf_mul(weight, vf_sub(dp[i][b], vf_set1(delta[i]))), scale));
    }
}

// From p and ds: dq = ds k, and for every key dk += ds q, dv += p dout, for `vectors` * 16 of D from d on.
INLINE void backward_sums(
  const int queries, const int vectors, const KERNEL(backward_space) w, int64_t length, int64_t d) {
  vf sum[backward_queries][2], x[backward_queries][2], y[backward_queries][2];
#pragma clang loop unroll(full)
  for (int i = 0; i < queries; i++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      sum[i][v] = vf_set1(0);
      x[i][v] = vf_load(w.q + i * w.wide + d + 16 * v);
      y[i][v] = vf_load(w.dout + i * w.wide + d + 16 * v);
    }
  for (int64_t j = 0; j < length; j++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      const int64_t at = j * w.wide + d + 16 * v;
      const vf k = vf_load(w.keys + at);
      vf dk = vf_load(w.dkeys + at), dv = vf_load(w.dvalues + at);
#pragma clang loop unroll(full)
      for (int i = 0; i < queries; i++) {
        const vf a = vf_set1(w.ds[i * w.row + j]);
        sum[i][v] = vf_fma(a, k, sum[i][v]);
        dk = vf_fma(a, x[i][v], dk);
        dv = vf_fma(vf_set1(w.p[i * w.row + j]), y[i][v], dv);
      }
      vf_store(w.dkeys + at, dk);
      vf_store(w.dvalues + at, dv);
    }
#pragma clang loop unroll(full)
  for (int i = 0; i < queries; i++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) vf_store(w.dq + i * w.wide + d + 16 * v, sum[i][v]);
}

// `queries` queries: of the rows from r on, each the `heads` heads from `head` on, which share one key-value head.
INLINE void backward_rows(
  const fv_kind kind, const int queries, const fv_attention_sequence *s, const KERNEL(backward_space) w, int64_t r,
  int64_t head, int64_t heads) {
  const int64_t size = w.size, last = r + queries / heads - 1;
  const int64_t length = s->prefix_count + (s->bidirectional ? s->count : last + 1), blocks = (length + 15) / 16;
  float shift[backward_queries], normal[backward_queries], delta[backward_queries];
  for (int i = 0; i < queries; i++) {
    const int64_t row = r + i / heads, own = head + i % heads, index = row * s->heads + own;
    const char *packed = (const char *)s->own + row * s->row * kind_bytes(kind);
    vf dot = vf_set1(0);
    for (int64_t d = 0; d < size; d += 16) {
      const vf y = vf_load_part(s->dout + index * size + d, size - d, 0);
      vf_store(w.q + i * w.wide + d, vf_load_kind_part(kind, packed, own * size + d, size - d));
      vf_store(w.dout + i * w.wide + d, y);
      dot = vf_fma(y, vf_load_kind_part(kind, s->out, index * size + d, size - d), dot);
    }
    shift[i] = s->stats[2 * index];
    normal[i] = 1.0f / s->stats[2 * index + 1];
    delta[i] = vf_sum(dot);
  }
  const vf scale = vf_set1(s->scale);
  int64_t b = 0;
  for (; b + 2 <= blocks; b += 2) backward_scores(queries, 2, w, 16 * b, scale, shift, normal, delta);
  if (b < blocks) backward_scores(queries, 1, w, 16 * b, scale, shift, normal, delta);
  // an earlier row does not see the later ones' keys
  for (int i = 0; i < queries && !s->bidirectional; i++)
    for (int64_t j = s->prefix_count + r + i / heads + 1; j < length; j++)
      w.p[i * w.row + j] = w.ds[i * w.row + j] = 0;
  int64_t d = 0;
  if (queries <= backward_queries / 2)
    for (; d + 32 <= w.wide; d += 32) backward_sums(queries, 2, w, length, d);
  for (; d < w.wide; d += 16) backward_sums(queries, 1, w, length, d);
  for (int i = 0; i < queries; i++)
    memcpy(
      s->down + (r + i / heads) * s->row + (head + i % heads) * size, w.dq + i * w.wide, (size_t)size * 4);
}

// Keys and values of 16 positions from `first` on, zeros beyond the sequence's length.
INLINE void backward_load(
  const fv_kind kind, const fv_attention_sequence *s, const KERNEL(backward_space) w, int64_t key_column,
  int64_t value_column, int64_t first) {
  float *keys = w.keys + first * w.wide, *values = w.dvalues + first * w.wide;
  for (int64_t i = 0; i < 16; i++) {
    const int64_t j = first + i, own = j - s->prefix_count;
    const char *base = own >= 0 ? (const char *)s->own : (const char *)s->prefix;
    const void *packed = base + (own >= 0 ? own : j) * s->row * kind_bytes(kind);
    for (int64_t d = 0; d < w.wide; d += 16) {
      const int64_t n = own < s->count ? w.size - d : 0;
      vf_store(keys + i * w.wide + d, n > 0 ? vf_load_kind_part(kind, packed, key_column + d, n) : vf_set1(0));
      vf_store(values + i * w.wide + d, n > 0 ? vf_load_kind_part(kind, packed, value_column + d, n) : vf_set1(0));
    }
  }
  for (int64_t d = 0; d < w.size; d++)
    for (int64_t i = 0; i < 16; i++) {
      w.key_t[d * w.row + first + i] = keys[i * w.wide + d];
      w.value_t[d * w.row + first + i] = values[i * w.wide + d];
    }
}

INLINE void attention_backward(const fv_kind kind, const fv_attention_sequence *s, int64_t kv, float *scratch) {
  const int64_t size = s->head_size, wide = (size + 15) / 16 * 16, group = s->heads / s->key_value_heads;
  const int64_t length = s->prefix_count + s->count, row = (s->key_capacity + 15) / 16 * 16;
  const int64_t key_column = (s->heads + kv) * size, value_column = (s->heads + s->key_value_heads + kv) * size;
  KERNEL(backward_space) w = {.size = size, .wide = wide, .row = row};
  float **const parts[] = {&w.key_t, &w.value_t, &w.keys, &w.dkeys, &w.dvalues, &w.p, &w.ds, &w.q, &w.dout, &w.dq};
  const int64_t counts[] = {
    size * row, size * row, row * wide, row * wide, row * wide, backward_queries * row, backward_queries * row,
    backward_queries * wide, backward_queries * wide, backward_queries * wide};
  for (int i = 0; i < 10; i++) {
    *parts[i] = scratch;
    scratch += counts[i];
  }
  for (int64_t first = s->prefix_is_loaded ? s->prefix_count / 16 * 16 : 0; first < length; first += 16)
    backward_load(kind, s, w, key_column, value_column, first);
  memset(w.dkeys, 0, (size_t)(length * wide) * 4);
  memset(w.dvalues, 0, (size_t)(length * wide) * 4);

  for (int64_t g = 0; g < group; g += 4) {
    const int64_t head = kv * group + g, heads = group - g < 4 ? group - g : 4;
    int64_t rows = backward_queries / heads;
    for (int64_t r = 0; r < s->count; r += rows) {
      if (rows > s->count - r) rows = 1;
      switch (rows * heads) {
#define ROWS(n) case n: backward_rows(kind, n, s, w, r, head, heads); break;
        ROWS(1)
        ROWS(2)
        ROWS(3)
        ROWS(4)
        ROWS(6)
#undef ROWS
      }
    }
  }

  for (int64_t j = 0; j < length; j++) {
    const int own = j >= s->prefix_count;
    float *out = (own ? s->down : s->dprefix) + (own ? j - s->prefix_count : j) * s->row;
    for (int64_t d = 0; d < size; d += 16) {
      float *key = out + key_column + d, *value = out + value_column + d;
      vf_store_part(key, size - d, vf_add(vf_load_part(key, size - d, 0), vf_load(w.dkeys + j * wide + d)));
      vf_store_part(value, size - d, vf_add(vf_load_part(value, size - d, 0), vf_load(w.dvalues + j * wide + d)));
    }
  }
}

void KERNEL(attention_backward)(fv_kind kind, const fv_attention_sequence *s, int64_t kv, float *scratch) {
  if (kind == fv_bf16) attention_backward(fv_bf16, s, kv, scratch);
  else attention_backward(fv_f32, s, kv, scratch);
}
