// SPDX-License-Identifier: MIT
// The twins of wgmma and its companions.
#include "kernels/gpu/ptx/wgmma.cuh"

#include "kernels/gpu/ptx/dependency.cuh"
#include "kernels/gpu/ptx/elect.cuh"
#include "kernels/gpu/ptx/fence.cuh"
#include "tests/kernels/cuda/instructions.h"

namespace convoy::CONVOY_TARGET {
namespace {

struct Operands {
  alignas(1024) F16 a[64][64];
  alignas(1024) F16 b[256][64];
};

// x holds the bits of T: a, then b.
template <class T, int kN, Major kA, Major kB>
__global__ void __launch_bounds__(128, 1) use_wgmma(const F16* x, float* y) {
  auto& s = shared<Operands>();
  previous_kernel_wait();
  for (unsigned i = threadIdx.x; i < 64 * 64; i += 128) s.a[i / 64][i % 64] = x[i];
  for (unsigned i = threadIdx.x; i < 256 * 64; i += 128) s.b[i / 64][i % 64] = x[64 * 64 + i];
  fence_proxy_async();
  __syncthreads();
  float d[kN / 2];
  unsigned r[4];
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned at = (8 * threadIdx.x + 2 * i) % (64 * 64);
    r[i] = x[at].bits | static_cast<unsigned>(x[at + 1].bits) << 16;
  }
  wgmma_fence(d);
  for (int k = 0; k < 4; ++k) {
    wgmma<T, kN, kA, kB>(d, swizzled_descriptor<kA>(s.a) + k * kNextK16<kA>,
                         swizzled_descriptor<kB>(s.b) + k * kNextK16<kB>, k > 0);
  }
  wgmma_commit();
  wgmma_wait<0>(d);
  pin(r);
  wgmma_fence(d);
  wgmma<T, kN, kB>(d, r, swizzled_descriptor<kB>(s.b), true);
  wgmma_commit();
  wgmma_wait<0>(d);
  next_kernel_may_start();
  if (elect_one()) y[64 * kN + threadIdx.x / 32] = 1;
  for (int i = 0; i < kN / 2; ++i) y[i * 128 + threadIdx.x] = d[i];
}

template <int kN>
void run_width(DType dtype, const F16* x, float* y, const Stream& stream) {
  const LaunchConfig config{
      .grid = 1, .block = 128, .shared_bytes = sizeof(Operands), .stream = stream};
  if (dtype == DType::f16) {
    return launch(config, use_wgmma<F16, kN, Major::k, Major::k>, x, y);
  }
  // A swizzled row of n has 64 elements: of other widths b lies along k.
  constexpr Major kB = kN % 64 == 0 ? Major::mn : Major::k;
  launch(config, use_wgmma<BF16, kN, Major::mn, kB>, x, y);
}

}  // namespace

void run_wgmma(DType dtype, int n, const void* x, float* y, const Stream& stream) {
  const auto* const values = static_cast<const F16*>(x);
  if (n == 8) return run_width<8>(dtype, values, y, stream);
  if (n == 64) return run_width<64>(dtype, values, y, stream);
  if (n == 96) return run_width<96>(dtype, values, y, stream);
  if (n == 128) return run_width<128>(dtype, values, y, stream);
  run_width<256>(dtype, values, y, stream);
}

}  // namespace convoy::CONVOY_TARGET
