// The int8 kernels for avxvnni; its others are those of avx2.
#if defined(__x86_64__)
#include "kernels_prelude.h"
#define FV_HARDWARE_VNNI 1
#define KERNEL(name) fv_avxvnni_##name
#pragma clang attribute push(__attribute__((target("avx2,fma,avxvnni"))), apply_to = function)
#include "vectors_avx2.h"
#include "vectors_common.h"
#include "kernels_int8.h"
#pragma clang attribute pop
#endif
