// The kernels for avx512bf16.
#if defined(__x86_64__)
#include "kernels_prelude.h"
#define FV_HARDWARE_BF16 1
#define FV_HARDWARE_VNNI 1
#define KERNEL(name) fv_avx512bf16_##name
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16,avx2,fma"))), apply_to = function)
#include "vectors_avx512.h"
#include "kernels_all.h"
#pragma clang attribute pop
#endif
