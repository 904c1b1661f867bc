// The kernels for avx2.
#if defined(__x86_64__)
#include "kernels_prelude.h"
#define KERNEL(name) fv_avx2_##name
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#include "vectors_avx2.h"
#include "kernels_all.h"
#pragma clang attribute pop
#endif
