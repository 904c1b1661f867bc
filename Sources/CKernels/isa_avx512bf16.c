// The kernels for avx512bf16.
#if defined(__x86_64__)
#include "kernels_prelude.h"
#define FV_HARDWARE_BF16 1
#define KERNEL(name) fv_avx512bf16_##name
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma"))), apply_to = function)
#include "vectors_avx512.h"
#include "vectors_common.h"
#include "kernels_matmul.h"
#include "kernels_packing.h"
#include "kernels_layers.h"
#include "kernels_vision.h"
#include "kernels_attention.h"
#include "kernels_vocabulary.h"
#include "kernels_optimizer.h"
#pragma clang attribute pop
#endif
