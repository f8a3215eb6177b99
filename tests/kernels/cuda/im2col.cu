// SPDX-License-Identifier: MIT
// The twin of TMA's im2col mode: one column of pixels, as it lies in shared memory.
#include "kernels/gpu/ptx/fence.cuh"
#include "kernels/gpu/ptx/tma.cuh"
#include "tests/kernels/cuda/instructions.h"

namespace convoy::CONVOY_TARGET {
namespace {

struct Column {
  alignas(1024) F16 values[kIm2colOutputs];
  Mbarrier full;
};

__global__ void __launch_bounds__(128)
    use_im2col(const __grid_constant__ TensorMap map, Im2colShape shape, float* y) {
  auto& s = shared<Column>();
  if (threadIdx.x == 0) {
    mbarrier_init(s.full, 1);
    fence_mbarrier_init();
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect(s.full, static_cast<unsigned>(shape.pixels) * 128);
    tma_load_im2col(s.values, map, s.full, {shape.at[0], shape.at[1], shape.at[2], shape.at[3]},
                    {shape.offset[0], shape.offset[1]});
  }
  mbarrier_wait(s.full, 0);
  for (int i = static_cast<int>(threadIdx.x); i < shape.pixels * 64; i += 128) {
    y[i] = widen(s.values[i]);
  }
}

}  // namespace

void run_im2col(const void* x, float* y, const Im2colShape& s, const Stream& stream) {
  const TensorMap map = tensor_map(Im2colMapSpec{
      .data = x,
      .dtype = DType::f16,
      .extent = {s.C, s.W, s.H, s.N},
      .stride = {1, s.C, s.W * s.C, s.H * s.W * s.C},
      .walk = {{s.lower[0], s.lower[1]}, {s.upper[0], s.upper[1]}, {s.step[0], s.step[1]}},
      .channels = 64,
      .pixels = s.pixels,
      .swizzle = Swizzle::bytes128});
  launch({.grid = 1, .block = 128, .shared_bytes = sizeof(Column), .stream = stream}, use_im2col,
         map, s, y);
}

}  // namespace convoy::CONVOY_TARGET
