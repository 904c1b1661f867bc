// The kernels for avx512.
#if defined(__x86_64__)
#include "kernels_prelude.h"
#define KERNEL(name) fv_avx512_##name
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#include "vectors_avx512.h"
#include "kernels_all.h"
#pragma clang attribute pop
#endif
