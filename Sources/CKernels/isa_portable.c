// The kernels in portable C.
#include "kernels_prelude.h"
#define KERNEL(name) fv_portable_##name
#include "vectors_portable.h"
#include "vectors_common.h"
#include "kernels_matmul.h"
#include "kernels_packing.h"
#include "kernels_layers.h"
#include "kernels_vision.h"
#include "kernels_attention.h"
#include "kernels_vocabulary.h"
#include "kernels_optimizer.h"
