// The C kernels of the product, one header a concern.
//
// Every kernel exists once, as code over vectors of 16 lanes (vectors_*.h), and is compiled once per instruction set.
// All of them do the same operations in the same order, so that they give the same bits: products are the sequential
// sum of fovea_matmul.h, reductions run over 16 lanes (lane = index mod 16) and end in one fixed tree, exp and log are
// our own polynomials, no libm is called, and denormals are flushed to zero (fovea_pool.h sets that mode on every
// thread).
#pragma once
#include "fovea_attention.h"
#include "fovea_int8.h"
#include "fovea_isa.h"
#include "fovea_layers.h"
#include "fovea_matmul.h"
#include "fovea_optimizer.h"
#include "fovea_pool.h"
#include "fovea_vision.h"
#include "fovea_vocabulary.h"
