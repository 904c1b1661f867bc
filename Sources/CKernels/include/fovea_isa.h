// Instruction sets and their choice at run time.
#pragma once
#include <stdint.h>

// The element type of packed weights, product inputs and the key-value cache.
typedef enum { fv_bf16 = 0, fv_f32 = 1 } fv_kind;

typedef enum {
  fv_portable = 0,
  fv_neon = 1,
  fv_avx2 = 2,
  fv_avxvnni = 3,
  fv_avx512 = 4,
  fv_avx512vnni = 5,
  fv_avx512bf16 = 6  // and VNNI: every processor with the one has the other
} fv_isa;

// The instruction set in use: what fv_isa_force chose, or the environment's FOVEA_ISA, or the best that the processor
// has. A FOVEA_ISA that is unknown or not supported counts as none; a process checks it when it starts and reports it.
fv_isa fv_isa_active(void);
// Whether this processor can run it.
int fv_isa_supported(fv_isa isa);
// Uses this instruction set from now on. Returns 0 when the processor cannot run it (nothing changes).
int fv_isa_force(fv_isa isa);
// "portable", "neon", "avx2", "avxvnni", "avx512", "avx512vnni", "avx512bf16".
const char *fv_isa_name(fv_isa isa);
