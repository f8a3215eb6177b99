// SPDX-License-Identifier: MIT
#pragma once
// c = a b^T by everything that Hopper has, as a proof that the simulator's twins fit together: a
// persistent, warp-specialised kernel over clusters of two blocks.
//
// Each block computes tiles of 128 x kN. Its first warpgroup gives away its registers and lets one
// thread load: stages of 64 along k through full and empty mbarriers. The two blocks of a cluster
// work on neighbours along m, so each loads its own rows of a, and half of the rows of b for both.
// The other two warpgroups multiply 64 rows each, and store through shared memory.

#include "kernels/gpu/gpu.cuh"
#include "kernels/gpu/ptx/elect.cuh"
#include "kernels/gpu/ptx/fence.cuh"
#include "kernels/gpu/ptx/ldmatrix.cuh"
#include "kernels/gpu/ptx/registers.cuh"
#include "kernels/gpu/ptx/tma.cuh"
#include "kernels/gpu/ptx/wgmma.cuh"

namespace convoy::CONVOY_TARGET {

// What a test may plant.
enum class PipelineFault { none, no_empty_arrival, wrong_parity, too_few_bytes };

template <class Type, int kColumns, int kDepth, PipelineFault kPlanted = PipelineFault::none>
struct PipelineConfig {
  using T = Type;
  static constexpr int kM = 128, kN = kColumns, kK = 64;  // of a tile
  static constexpr int kStages = kDepth;
  static constexpr int kBlocks = 2;     // of a cluster
  static constexpr int kConsumers = 2;  // warpgroups
  static constexpr int kThreads = 128 * (1 + kConsumers);
  static constexpr PipelineFault kFault = kPlanted;

  struct Storage {
    alignas(1024) T a[kStages][kM * kK];
    alignas(1024) T b[kStages][kN * kK];
    alignas(1024) T c[kConsumers][64 * kN];  // boxes of 64 columns
    Mbarrier full[kStages], empty[kStages];
  };
};

struct PipelineShape {
  int m, n, k;
};

// ---- scheduler: which tile ----

struct PipelineTile {
  int row, column;  // first of this block
};

// Calls f(tile) for each tile of this block's cluster, in an order that all its warps share.
template <class Config, class F>
__device__ __forceinline__ void for_each_tile(const PipelineShape& shape, F f) {
  const int rows = Config::kM * Config::kBlocks;
  const int tiles_m = (shape.m + rows - 1) / rows;
  const int tiles_n = (shape.n + Config::kN - 1) / Config::kN;
  const int clusters = static_cast<int>(gridDim.x) / Config::kBlocks;
  for (int t = static_cast<int>(blockIdx.x) / Config::kBlocks; t < tiles_m * tiles_n;
       t += clusters) {
    f(PipelineTile{t % tiles_m * rows + static_cast<int>(cluster_rank()) * Config::kM,
                   t / tiles_m * Config::kN});
  }
}

// A position in the ring of stages, and the parity of the lap.
template <class Config>
struct PipelineSlot {
  int stage = 0;
  unsigned lap = 0;

  __device__ __forceinline__ void next() {
    if (++stage == Config::kStages) {
      stage = 0;
      lap ^= 1;
    }
  }
};

// ---- producer: one thread ----

template <class Config>
__device__ __forceinline__ void produce(typename Config::Storage& s, const TensorMap& a,
                                        const TensorMap& b, const PipelineShape& shape) {
  constexpr int kHalf = Config::kN / Config::kBlocks;
  constexpr unsigned kBytes =
      sizeof(s.a[0]) + sizeof(s.b[0]) - (Config::kFault == PipelineFault::too_few_bytes ? 128 : 0);
  const int rank = static_cast<int>(cluster_rank());
  PipelineSlot<Config> slot;
  for_each_tile<Config>(shape, [&](PipelineTile tile) {
    for (int k = 0; k < shape.k; k += Config::kK) {
      mbarrier_wait(s.empty[slot.stage], slot.lap ^ 1);
      Mbarrier& full = s.full[slot.stage];
      mbarrier_arrive_expect(full, kBytes);
      tma_load(s.a[slot.stage], a, full, {k, tile.row});
      tma_load_multicast(s.b[slot.stage] + rank * kHalf * Config::kK, b, full,
                         {k, tile.column + rank * kHalf}, 3);
      slot.next();
    }
  });
}

// ---- consumer: a warpgroup, 64 rows ----

// The stage is free in this block, for the loads of both.
template <class Config>
__device__ __forceinline__ void free_stage(typename Config::Storage& s, int stage) {
  if (Config::kFault == PipelineFault::no_empty_arrival) return;
  const unsigned lane = threadIdx.x % 32;
  if (lane < Config::kBlocks) mbarrier_arrive_remote(mbarrier_of_rank(s.empty[stage], lane));
}

template <class Config>
__device__ __forceinline__ void multiply_tile(typename Config::Storage& s, int consumer,
                                              float (&d)[Config::kN / 2],
                                              PipelineSlot<Config>& slot, int k_extent) {
  constexpr unsigned kFlip = Config::kFault == PipelineFault::wrong_parity ? 1 : 0;
  int previous = -1;
  for (int k = 0; k < k_extent; k += Config::kK) {
    mbarrier_wait(s.full[slot.stage], slot.lap ^ kFlip);
    const std::uint64_t a =
        swizzled_descriptor<Major::k>(s.a[slot.stage] + consumer * 64 * Config::kK);
    const std::uint64_t b = swizzled_descriptor<Major::k>(s.b[slot.stage]);
    wgmma_fence(d);
    for (int i = 0; i < Config::kK / 16; ++i) {
      wgmma<typename Config::T, Config::kN>(d, a + i * kNextK16<Major::k>,
                                            b + i * kNextK16<Major::k>, k > 0 || i > 0);
    }
    wgmma_commit();
    // One stage is still being multiplied while the next one is issued.
    wgmma_wait<1>();
    if (previous >= 0) free_stage<Config>(s, previous);
    previous = slot.stage;
    slot.next();
  }
  wgmma_wait<0>(d);
  free_stage<Config>(s, previous);
}

// ---- epilogue: a warpgroup's rows, through shared memory ----

template <class T>
__device__ __forceinline__ unsigned pack(float low, float high) {
  return narrow<T>(low).bits | unsigned{narrow<T>(high).bits} << 16;
}

template <class Config>
__device__ __forceinline__ void store_tile(typename Config::Storage& s, int consumer,
                                           const float (&d)[Config::kN / 2], const TensorMap& c,
                                           PipelineTile tile) {
  using T = typename Config::T;
  const int thread = static_cast<int>(threadIdx.x) % 128, lane = thread % 32;
  T* staged = s.c[consumer];
  const unsigned barrier = 1 + static_cast<unsigned>(consumer);
  if (thread == 0) tma_store_wait_read<0>();  // the tile before
  named_barrier_sync(barrier, 128);
  // Lanes 0 to 15 name the rows of 8 columns, 16 to 31 those of the next 8.
  const int row = thread / 32 * 16 + lane % 16;
  for (int j = 0; j < Config::kN / 8; j += 2) {
    const unsigned fragment[4] = {
        pack<T>(d[4 * j], d[4 * j + 1]), pack<T>(d[4 * j + 2], d[4 * j + 3]),
        pack<T>(d[4 * j + 4], d[4 * j + 5]), pack<T>(d[4 * j + 6], d[4 * j + 7])};
    const int unit = j + lane / 16;
    stmatrix(staged + unit / 8 * 64 * 64 + row * 64 + (unit % 8 ^ row % 8) * 8, fragment);
  }
  fence_proxy_async();
  named_barrier_sync(barrier, 128);
  if (thread == 0) {
    for (int n = 0; n < Config::kN; n += 64) {
      tma_store(c, staged + n * 64, {tile.column + n, tile.row + 64 * consumer});
    }
    tma_store_commit();
  }
}

// ---- the kernel ----

template <class Config>
__global__ void __launch_bounds__(Config::kThreads, 1)
    gemm_pipeline(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b,
                  const __grid_constant__ TensorMap c, PipelineShape shape) {
  auto& s = shared<typename Config::Storage>();
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < Config::kStages; ++stage) {
      mbarrier_init(s.full[stage], 1);
      mbarrier_init(s.empty[stage], 4 * Config::kConsumers * Config::kBlocks);  // every warp
    }
    fence_mbarrier_init();
  }
  cluster_sync();
  const int warpgroup = static_cast<int>(threadIdx.x) / 128;
  if (warpgroup == 0) {
    release_registers<24>();
    if (threadIdx.x < 32 && elect_one()) produce<Config>(s, a, b, shape);
  } else {
    acquire_registers<240>();
    PipelineSlot<Config> slot;
    float d[Config::kN / 2];
    for_each_tile<Config>(shape, [&](PipelineTile tile) {
      multiply_tile<Config>(s, warpgroup - 1, d, slot, shape.k);
      store_tile<Config>(s, warpgroup - 1, d, c, tile);
    });
    if (threadIdx.x % 128 == 0) tma_store_wait_read<0>();
  }
  cluster_sync();  // neither block leaves while the other may still load into it or arrive at it
}

// a [m, k], b [n, k], c [m, n]; k and n multiples of 8.
template <class Config>
void run_pipeline(const typename Config::T* a, const typename Config::T* b, typename Config::T* c,
                  PipelineShape shape, int clusters, const Stream& stream) {
  const DType dtype = std::is_same_v<typename Config::T, F16> ? DType::f16 : DType::bf16;
  const auto map = [&](const void* data, int rows, int columns, int box_rows) {
    return tensor_map(TensorMapSpec{.data = data,
                                    .dtype = dtype,
                                    .rank = 2,
                                    .extent = {columns, rows},
                                    .stride = {1, columns},
                                    .box = {64, box_rows},
                                    .swizzle = Swizzle::bytes128});
  };
  launch({.grid = static_cast<unsigned>(Config::kBlocks * clusters),
          .block = Config::kThreads,
          .shared_bytes = sizeof(typename Config::Storage),
          .stream = stream,
          .cluster = Config::kBlocks},
         gemm_pipeline<Config>, map(a, shape.m, shape.k, Config::kM),
         map(b, shape.n, shape.k, Config::kN / Config::kBlocks), map(c, shape.m, shape.n, 64),
         shape);
}

}  // namespace convoy::CONVOY_TARGET
