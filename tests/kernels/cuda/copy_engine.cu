// SPDX-License-Identifier: MIT
// The asm of mbarriers and of the copy engine, as nvcc sees it.
#include "kernels/gpu/ptx/fence.cuh"
#include "kernels/gpu/ptx/tma.cuh"

namespace convoy::CONVOY_TARGET {
namespace {

struct Box {
  alignas(1024) F16 values[64][64];
  Mbarrier full, empty;
};

__global__ void __launch_bounds__(128)
    use_copy_engine(const __grid_constant__ TensorMap matrix,
                    const __grid_constant__ TensorMap images, const float* x, float* y) {
  auto& s = shared<Box>();
  if (threadIdx.x == 0) {
    tma_prefetch(matrix);
    mbarrier_init(s.full, 1);
    mbarrier_init(s.empty, 2);
    fence_mbarrier_init();
  }
  cluster_sync();
  if (threadIdx.x == 0) {
    mbarrier_expect(s.full, 16);
    mbarrier_arrive_expect(s.full, 8192);
    tma_load(s.values, matrix, s.full, {0, 64});
    tma_load(s.values, images, s.full, {0, 64, 1, 2});
    tma_load(s.values, images, s.full, {0});
    tma_load(s.values, images, s.full, {0, 1, 2});
    tma_load_multicast(s.values, matrix, s.full, {0, 64}, 3);
    tma_load_multicast(s.values, images, s.full, {0, 64, 1, 2}, 3);
    bulk_load(s.values, x, 16, s.full);
  }
  mbarrier_wait(s.full, 0);
  mbarrier_arrive(s.empty);
  mbarrier_arrive_remote(mbarrier_of_rank(s.empty, 1));
  mbarrier_wait(s.empty, 1);
  y[threadIdx.x] = widen(s.values[0][threadIdx.x % 64]);
  fence_proxy_async();
  __syncthreads();
  if (threadIdx.x == 0) {
    tma_store(matrix, s.values, {0, 1});
    tma_store(images, s.values, {0, 1, 2, 3});
    tma_store_commit();
    tma_store_wait_read<1>();
    tma_store_wait<0>();
    mbarrier_invalidate(s.full);
  }
  cluster_sync();
}

}  // namespace

void compile_copy_engine(const Stream& stream, const TensorMap& map, const float* x, float* y) {
  launch({.grid = 2, .block = 128, .shared_bytes = sizeof(Box), .stream = stream, .cluster = 2},
         use_copy_engine, map, map, x, y);
}

}  // namespace convoy::CONVOY_TARGET
