// SPDX-License-Identifier: MIT
// The twins of the instructions that every GPU since sm_80 has.
#include "kernels/gpu/ptx/cp_async.cuh"
#include "kernels/gpu/ptx/ldmatrix.cuh"
#include "kernels/gpu/ptx/mma.cuh"
#include "tests/kernels/cuda/instructions.h"

namespace convoy::CONVOY_TARGET {
namespace {

struct Tiles {
  alignas(16) F16 a[16][16];
  alignas(16) F16 b[16][8];
  alignas(16) F16 out[16][16];
};

// x holds the bits of T; what is not multiplied comes out as if it were f16.
template <class T, bool kTransposed>
__global__ void __launch_bounds__(32) use_tensor_core(const F16* x, float* y, unsigned bytes) {
  auto& s = shared<Tiles>();
  const unsigned lane = threadIdx.x;
  cp_async<16>(&s.a[lane / 2][8 * (lane % 2)], x + 8 * lane, bytes);
  cp_async_commit();
  cp_async<8>(&s.b[lane / 2][4 * (lane % 2)], x + 256 + 4 * lane);
  cp_async<4>(&s.out[0][2 * lane], x + 256 + 2 * lane);
  cp_async_commit();
  cp_async_wait<1>();
  __syncthreads();
  y[640 + lane] = widen(s.a[lane / 2][8 * (lane % 2) + 7]);
  unsigned a[4], b[2], c[1];
  float d[4] = {};
  ldmatrix<kTransposed>(a, &s.a[lane % 16][8 * (lane / 16)]);
  cp_async_wait_all();
  __syncthreads();
  ldmatrix<kTransposed>(b, &s.b[lane % 16][0]);
  ldmatrix<kTransposed>(c, &s.b[lane % 8][0]);
  for (int i = 0; i < 2; ++i) y[128 + 2 * lane + i] = half_of<F16>(c[0], i);
  for (int i = 0; i < 2; ++i) y[192 + 2 * lane + i] = widen(s.out[lane / 8][2 * (lane % 8) + i]);
  __syncthreads();
  mma_m16n8k16<T>(d, a, b);
  stmatrix<kTransposed>(&s.out[lane % 16][8 * (lane / 16)], a);
  __syncthreads();
  for (unsigned i = 0; i < 4; ++i) y[4 * lane + i] = d[i];
  for (unsigned i = 0; i < 8; ++i)
    y[kStmatrixBegin + 8 * lane + i] = widen(s.out[lane / 2][8 * (lane % 2) + i]);
}

}  // namespace

void run_tensor_core(DType dtype, bool transposed, const void* x, float* y, unsigned bytes,
                     const Stream& stream) {
  const LaunchConfig config{
      .grid = 1, .block = 32, .shared_bytes = sizeof(Tiles), .stream = stream};
  const auto* const values = static_cast<const F16*>(x);
  if (dtype == DType::f16 && transposed) {
    return launch(config, use_tensor_core<F16, true>, values, y, bytes);
  }
  if (dtype == DType::f16) return launch(config, use_tensor_core<F16, false>, values, y, bytes);
  if (transposed) return launch(config, use_tensor_core<BF16, true>, values, y, bytes);
  launch(config, use_tensor_core<BF16, false>, values, y, bytes);
}

}  // namespace convoy::CONVOY_TARGET
