// The int8 kernels for avx512vnni; its others are those of avx512.
#if defined(__x86_64__)
#include "kernels_prelude.h"
#define FV_HARDWARE_VNNI 1
#define KERNEL(name) fv_avx512vnni_##name
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma"))), apply_to = function)
#include "vectors_avx512.h"
#include "vectors_common.h"
#include "kernels_int8.h"
#pragma clang attribute pop
#endif
