// SPDX-License-Identifier: MIT
// The asm of the twins that every GPU since sm_80 has, as nvcc sees it.
#include "kernels/gpu/ptx/cp_async.cuh"
#include "kernels/gpu/ptx/ldmatrix.cuh"
#include "kernels/gpu/ptx/mma.cuh"

namespace convoy::CONVOY_TARGET {
namespace {

struct Tiles {
  alignas(16) F16 a[16][16];
  alignas(16) F16 b[16][8];
  alignas(16) F16 out[16][16];
};

template <class T, bool kTransposed>
__global__ void __launch_bounds__(32) use_tensor_core(const T* x, float* y, unsigned bytes) {
  auto& s = shared<Tiles>();
  const unsigned lane = threadIdx.x;
  cp_async<16>(&s.a[lane / 2][8 * (lane % 2)], x + 8 * lane, bytes);
  cp_async_commit();
  cp_async<8>(&s.b[lane / 2][4 * (lane % 2)], x + 256 + 4 * lane);
  cp_async<4>(&s.out[0][2 * lane], x + 256 + 2 * lane);
  cp_async_commit();
  cp_async_wait<1>();
  __syncthreads();
  unsigned a[4], b[2], c[1];
  float d[4] = {};
  ldmatrix<kTransposed>(a, &s.a[lane % 16][8 * (lane / 16)]);
  cp_async_wait_all();
  __syncthreads();
  ldmatrix<kTransposed>(b, &s.b[lane % 16][0]);
  ldmatrix<kTransposed>(c, &s.b[lane % 8][0]);
  mma_m16n8k16<T>(d, a, b);
  stmatrix<kTransposed>(&s.out[lane % 16][8 * (lane / 16)], a);
  __syncthreads();
  for (unsigned i = 0; i < 4; ++i) y[4 * lane + i] = d[i] + c[0] + widen(s.out[i][lane % 16]);
}

}  // namespace

void compile_tensor_core(const Stream& stream, const F16* x, const BF16* z, float* y) {
  const LaunchConfig config{
      .grid = 1, .block = 32, .shared_bytes = sizeof(Tiles), .stream = stream};
  launch(config, use_tensor_core<F16, true>, x, y, 16u);
  launch(config, use_tensor_core<BF16, false>, z, y, 16u);
}

}  // namespace convoy::CONVOY_TARGET
