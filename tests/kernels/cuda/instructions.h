// SPDX-License-Identifier: MIT
#pragma once
// Kernels around single instructions, compiled for CUDA, where the asm runs, and for the simulator,
// where its meaning does. conformance_test.cpp gives both the same numbers.

#include "kernels/base.h"

namespace convoy {

inline constexpr int kTensorCoreInputs = 384, kTensorCoreOutputs = 672;
inline constexpr int kStmatrixBegin = 256, kStmatrixEnd = 512;  // of the outputs
inline constexpr int kWgmmaInputs = 64 * 64 + 256 * 64;
constexpr int wgmma_outputs(int n) { return 64 * n + 4; }

// Of three products a b^T in tiles: rows of a, rows of b, depth.
struct ProductShape {
  int m, n, k;
};

// One load in im2col mode of images [N, H, W, C]: directions and places innermost first.
inline constexpr int kIm2colOutputs = 128 * 64;
struct Im2colShape {
  int C, W, H, N;
  int lower[2], upper[2], step[2];
  int at[4];
  unsigned offset[2];
  int pixels;
};

// x and the operands hold f16 or bf16.
#define CONVOY_INSTRUCTIONS(target)                                                             \
  namespace target {                                                                            \
  /* cp.async of 4, 8 and 16 bytes (of which `bytes` are read), ldmatrix of 1, 2 and 4,         \
     stmatrix, plain or transposed, mma. */                                                     \
  void run_tensor_core(DType dtype, bool transposed, const void* x, float* y, unsigned bytes,   \
                       const Stream& stream);                                                   \
  /* wgmma of 64 x n with factors in shared memory, then with a in registers; elect, fences. */ \
  void run_wgmma(DType dtype, int n, const void* x, float* y, const Stream& stream);            \
  /* Everything that Hopper has, in one kernel: tests/kernels/sim/pipeline.cuh. */              \
  void run_pipelines(DType dtype, int n_of_tile, const void* a, const void* b, void* c,         \
                     ProductShape shape, const Stream& stream);                                 \
  /* 64 channels of each of the load's pixels, swizzled as they are in shared memory. */        \
  void run_im2col(const void* x, float* y, const Im2colShape& shape, const Stream& stream);     \
  }
CONVOY_INSTRUCTIONS(on_cuda)
CONVOY_INSTRUCTIONS(on_sim)
#undef CONVOY_INSTRUCTIONS

}  // namespace convoy
