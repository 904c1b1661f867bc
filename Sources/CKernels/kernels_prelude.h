// What every isa_*.c includes before its vectors. No contraction: an fma is written where one is meant.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif
#include "CKernels.h"
#pragma STDC FP_CONTRACT OFF
