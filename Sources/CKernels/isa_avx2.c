// The kernels for avx2.
#if defined(__x86_64__)
#include "kernels_prelude.h"
#define KERNEL(name) fv_avx2_##name
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#include "vectors_avx2.h"
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
