// The kernels in portable C.
#include "kernels_prelude.h"
#define KERNEL(name) fv_portable_##name
#include "vectors_portable.h"
#include "kernels_all.h"
