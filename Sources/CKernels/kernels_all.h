// Every kernel, for the vectors of the isa_*.c that includes this file: one list, so that no instruction set lacks a
// kernel. Not guarded: each of those files includes it once.
#include "vectors_common.h"
#include "kernels_matmul.h"
#include "kernels_int8.h"
#include "kernels_packing.h"
#include "kernels_layers.h"
#include "kernels_vision.h"
#include "kernels_attention.h"
#include "kernels_vocabulary.h"
#include "kernels_optimizer.h"
