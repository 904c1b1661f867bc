// Attention over cached blocks of 16 positions, and its backward pass over packed rows.

INLINE int64_t key_units(const fv_kind kind, int64_t head_size) {
  return (kind == fv_bf16 ? head_size / 2 : head_size) * fv_block_positions;
}
INLINE int64_t value_units(const fv_kind kind, int64_t head_size) {
  return (kind == fv_bf16 ? fv_block_positions / 2 : fv_block_positions) * ((head_size + 15) / 16 * 16);
}

// Scores of `heads` queries against `blocks` consecutive table entries: one chain over the units of D per key.
INLINE void score_tile(
  const fv_kind kind, const int heads, const int count, const uint32_t *query, int64_t units, const uint32_t *keys,
  const int64_t *offsets, vf scale, float *scores, int64_t score_row) {
  vf s[4][2];
#pragma clang loop unroll(full)
  for (int h = 0; h < heads; h++)
#pragma clang loop unroll(full)
    for (int b = 0; b < count; b++) s[h][b] = vf_set1(0);
  for (int64_t j = 0; j < units; j++) {
    vu k[2];
#pragma clang loop unroll(full)
    for (int b = 0; b < count; b++) k[b] = vu_load(keys + offsets[b] + 16 * j);
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

// Weighted sums of values for `heads` heads and `vectors` * 16 of D: one chain over the units of positions.
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
    const int64_t end = units - first < per_block ? units - first : per_block;
    for (int64_t j = 0; j < end; j++) {
      vu x[4];
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) x[v] = vu_load(block + j * row + 16 * v);
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
  const int64_t key_block = key_units(kind, size), key_stride = key_block * layer->key_value_heads;
  const int64_t value_block = value_units(kind, size), value_stride = value_block * layer->key_value_heads;
  const vf scale = vf_set1(layer->scale);
  float *scores = scratch;
  uint32_t *weights = (uint32_t *)(scratch + 4 * row);
  const int64_t weight_row = kind == fv_bf16 ? row / 2 : row;

  const uint32_t *keys = layer->keys + kv * key_block;
  int64_t b = 0;
  for (; b + 2 <= block_count; b += 2) {
    const int64_t offsets[2] = {blocks[b] * key_stride, blocks[b + 1] * key_stride};
    score_tile(kind, heads, 2, query, units, keys, offsets, scale, scores + 16 * b, row);
  }
  if (b < block_count) {
    const int64_t offsets[2] = {blocks[b] * key_stride, 0};
    score_tile(kind, heads, 1, query, units, keys, offsets, scale, scores + 16 * b, row);
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

  const uint32_t *values = layer->values + kv * value_block;
  const int64_t value_row = (size + 15) / 16 * 16;
  for (int64_t d = 0; d < size; d += 64) {
    const int64_t rest = size - d;
    vf sums[4][4];
#define VALUES(n) \
  value_tile(kind, heads, n, weights, weight_row, length, values + d, value_stride, blocks, value_row, sums)
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

INLINE void attention_backward(const fv_kind kind, const fv_attention_sequence *s, int64_t kv, float *scratch) {
  const int64_t size = s->head_size, wide = (size + 15) / 16 * 16, group = s->heads / s->key_value_heads;
  const int64_t length = s->prefix_count + s->count, row = (length + 15) / 16 * 16;
  const int64_t key_column = (s->heads + kv) * size, value_column = (s->heads + s->key_value_heads + kv) * size;
  float *key_t = scratch, *value_t = key_t + size * row, *keys = value_t + size * row;
  float *dkeys = keys + length * wide, *dvalues = dkeys + length * wide;
  float *p = dvalues + length * wide, *ds = p + row, *q = ds + row, *dout = q + wide, *dq = dout + wide;

  memset(key_t, 0, (size_t)(2 * size * row + 3 * length * wide) * 4);
  for (int64_t j = 0; j < length; j++) {
    const int own = j >= s->prefix_count;
    const char *base = (const char *)(own ? s->own : s->prefix);
    const void *packed = base + (own ? j - s->prefix_count : j) * s->row * kind_bytes(kind);
    for (int64_t d = 0; d < size; d++) {
      const float k = kind_element(kind, packed, key_column + d);
      keys[j * wide + d] = k;
      key_t[d * row + j] = k;
      value_t[d * row + j] = kind_element(kind, packed, value_column + d);
    }
  }
  for (int64_t i = size; i < wide; i++) q[i] = dout[i] = 0;

  for (int64_t r = 0; r < s->count; r++) {
    const int64_t n = s->prefix_count + r + 1, blocks = (n + 15) / 16 * 16;
    for (int64_t g = 0; g < group; g++) {
      const int64_t head = kv * group + g;
      const float m = s->stats[2 * (r * s->heads + head)], sum = s->stats[2 * (r * s->heads + head) + 1];
      vf dot = vf_set1(0);
      for (int64_t d = 0; d < size; d += 16) {
        const vf x = vf_load_kind_part(
          kind, (const char *)s->own + r * s->row * kind_bytes(kind), head * size + d, size - d);
        const vf y = vf_load_part(s->dout + (r * s->heads + head) * size + d, size - d, 0);
        vf_store(q + d, x);
        vf_store(dout + d, y);
        dot = vf_fma(y, vf_load_kind_part(kind, s->out, (r * s->heads + head) * size + d, size - d), dot);
      }
      const vf delta = vf_set1(vf_sum(dot)), shift = vf_set1(m), scale = vf_set1(s->scale);
      const vf normal = vf_set1(1.0f / sum);
      for (int64_t j = 0; j < blocks; j += 16) {
        vf score = vf_set1(0), dp = vf_set1(0);
        for (int64_t d = 0; d < size; d++) {
          score = vf_fma(vf_set1(q[d]), vf_load(key_t + d * row + j), score);
          dp = vf_fma(vf_set1(dout[d]), vf_load(value_t + d * row + j), dp);
        }
        const vf weight = vf_mul(vf_exp(vf_sub(vf_mul(score, scale), shift)), normal);
        vf_store(p + j, weight);
        vf_store(ds + j, vf_mul(vf_mul(weight, vf_sub(dp, delta)), scale));
      }
      for (int64_t d = 0; d < wide; d += 64) {
        const int64_t vectors = wide - d >= 64 ? 4 : (wide - d) / 16;
        vf acc[4], qv[4], dv[4];
        for (int64_t v = 0; v < vectors; v++) {
          acc[v] = vf_set1(0);
          qv[v] = vf_load(q + d + 16 * v);
          dv[v] = vf_load(dout + d + 16 * v);
        }
        for (int64_t j = 0; j < n; j++) {
          const vf a = vf_set1(ds[j]), b = vf_set1(p[j]);
          float *k = keys + j * wide + d, *dk = dkeys + j * wide + d, *dval = dvalues + j * wide + d;
          for (int64_t v = 0; v < vectors; v++) {
            acc[v] = vf_fma(a, vf_load(k + 16 * v), acc[v]);
            vf_store(dk + 16 * v, vf_fma(a, qv[v], vf_load(dk + 16 * v)));
            vf_store(dval + 16 * v, vf_fma(b, dv[v], vf_load(dval + 16 * v)));
          }
        }
        for (int64_t v = 0; v < vectors; v++) vf_store(dq + d + 16 * v, acc[v]);
      }
      memcpy(s->down + r * s->row + head * size, dq, (size_t)size * 4);
    }
  }
  for (int64_t j = 0; j < length; j++) {
    const int own = j >= s->prefix_count;
    float *out = (own ? s->down : s->dprefix) + (own ? j - s->prefix_count : j) * s->row;
    for (int64_t d = 0; d < size; d++) {
      out[key_column + d] += dkeys[j * wide + d];
      out[value_column + d] += dvalues[j * wide + d];
    }
  }
}

void KERNEL(attention_backward)(fv_kind kind, const fv_attention_sequence *s, int64_t kv, float *scratch) {
  if (kind == fv_bf16) attention_backward(fv_bf16, s, kv, scratch);
  else attention_backward(fv_f32, s, kv, scratch);
}
