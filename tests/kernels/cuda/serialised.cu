// SPDX-License-Identifier: MIT
// Reads accumulators while wgmma writes them, so that ptxas orders the two by itself and says so:
// what scripts/cmake/strict_ptxas.sh must see.
#include "kernels/gpu/ptx/wgmma.cuh"

namespace convoy::CONVOY_TARGET {

struct Operands {
  alignas(1024) F16 a[64][64];
  alignas(1024) F16 b[64][64];
};

__device__ __noinline__ float twice(float x) { return x * 2 + static_cast<float>(threadIdx.x); }

__global__ void __launch_bounds__(128, 1) call_between_issue_and_wait(float* y) {
  auto& s = shared<Operands>();
  float d[32];
  for (int i = 0; i < 32; ++i) d[i] = y[i];
  wgmma_fence(d);
  wgmma<F16, 64, Major::k, Major::k>(d, swizzled_descriptor<Major::k>(s.a),
                                     swizzled_descriptor<Major::k>(s.b), true);
  y[threadIdx.x] = twice(y[5]);
  wgmma_commit();
  wgmma_wait<0>(d);
  for (int i = 0; i < 32; ++i) y[i * 128 + threadIdx.x] = d[i];
}

}  // namespace convoy::CONVOY_TARGET
