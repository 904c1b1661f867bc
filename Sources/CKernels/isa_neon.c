// The kernels for neon.
#if defined(__aarch64__)
#include "kernels_prelude.h"
#define KERNEL(name) fv_neon_##name
#include "vectors_neon.h"
#include "kernels_all.h"
#endif
