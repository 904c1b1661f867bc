// The kernels for neon.
#if defined(__aarch64__)
#include "kernels_prelude.h"
#define KERNEL(name) fv_neon_##name
#include "vectors_neon.h"
#include "vectors_common.h"
#include "kernels_matmul.h"
#include "kernels_packing.h"
#include "kernels_layers.h"
#include "kernels_vision.h"
#include "kernels_attention.h"
#include "kernels_vocabulary.h"
#include "kernels_optimizer.h"
#endif
