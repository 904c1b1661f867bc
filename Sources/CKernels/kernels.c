#include "kernels.h"
int fovea_kernels_abi(void) { return 1; }
