// Grouped-query attention over a cache of blocks of 16 positions, forward; and its backward pass over packed rows.
//
// Keys of one block and key-value head are [units of D][16 positions] units; values [units of 16 positions][Dp] units,
// Dp = D rounded up to 16. A query walks its keys in ascending position, block by block, so its result is the same bits
// whether it is computed alone (decode) or together with others (prefill, learner).
#pragma once
#include "fovea_isa.h"

enum { fv_block_positions = 16 };

typedef struct {
  int64_t head_size, key_value_heads, heads_per_key_value;
  // 1 / sqrt(D)
  float scale;
  // This layer's keys and values of block 0, [K][keys of a block] and [K][values of a block]; those of block b lie
  // b * block_stride units further on.
  uint32_t *keys, *values;
  int64_t block_stride;
} fv_cache_layer;

// Packed words of one block's keys (and values) of one key-value head.
int64_t fv_cache_key_units(fv_kind kind, int64_t head_size);
int64_t fv_cache_value_units(fv_kind kind, int64_t head_size);

// Writes one position: key and value [K, D] of the kind into `slot` of `block`.
void fv_cache_store(
  fv_kind kind, const fv_cache_layer *layer, const void *key, const void *value, int32_t block, int32_t slot);

// The heads of key-value head `kv` for one query row: query [H, D] of the kind, `length` keys in `blocks`; writes its
// heads of out [H, D] of the kind. stats (may be NULL) [H][2]: maximum and sum of the softmax. scratch: floats,
// fv_attention_scratch(heads_per_key_value, length).
//   s_j = dot(q, k_j) * scale, m = max s, p_j = exp(s_j - m) rounded to the kind, l = sum p_j, out = dot(p, v) / l
// where dot is a sequential sum, as in fovea_matmul.h.
void fv_attention(
  fv_kind kind, const fv_cache_layer *layer, int64_t kv, const void *query, const int32_t *blocks, int64_t length,
  float *scratch, void *out, float *stats);
int64_t fv_attention_scratch(int64_t heads_per_key_value, int64_t length);

// Backward of one sequence for one key-value head. Rows are packed [q H*D | k K*D | v K*D] of the kind, `row` elements
// apart. The sequence has `count` own rows; its keys are `prefix_count` prefix rows and then its own, causally, or all
// of its own (bidirectional, as the patches of an image attend).
typedef struct {
  int64_t head_size, heads, key_value_heads;
  float scale;
  int64_t row;
  const void *prefix, *own;
  int64_t prefix_count, count;
  int32_t bidirectional;
  // Keys that the scratch space has room for, at least prefix_count + count. prefix_is_loaded: the call before on this
  // scratch space had the same prefix, key-value head and capacity, or was the prefix itself, so its keys and values
  // lie there.
  int32_t prefix_is_loaded;
  int64_t key_capacity;
  // own rows: out [count][H*D] of the kind, dout [count][H*D] fp32, stats [count][H][2]
  const void *out;
  const float *dout, *stats;
  // fp32, packed like the rows, `row` apart: q of own rows is set, k and v of own and prefix rows are added to.
  float *dprefix, *down;
} fv_attention_sequence;

void fv_attention_backward(fv_kind kind, const fv_attention_sequence *sequence, int64_t kv, float *scratch);
int64_t fv_attention_backward_scratch(int64_t head_size, int64_t key_capacity);
