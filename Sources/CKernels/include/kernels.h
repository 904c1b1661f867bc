#pragma once
// C kernels of the product; see each header for one concern.
int fovea_kernels_abi(void);
