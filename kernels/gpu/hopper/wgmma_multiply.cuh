// SPDX-License-Identifier: MIT
#pragma once
// What the products by wgmma share, second part: the warpgroup that loads, and those that multiply.
// Where the factors stand is said by a kernel's argument:
//
//   int depth(tile)             // in stages of kK, the last of which may be a part; one at least
//   auto walk<Config>(tile)     // over the stages
//     .load(a, b, maps, full)   // issues the copies of one, of both factors
//     .more(), .next()

#include "kernels/gpu/hopper/wgmma_tile.cuh"
#include "kernels/gpu/ptx/elect.cuh"
#include "kernels/gpu/ptx/fence.cuh"
#include "kernels/gpu/ptx/registers.cuh"
#include "kernels/gpu/ptx/tma.cuh"

namespace convoy::CONVOY_TARGET {

// ---- producer: one thread ----

// A stage of one factor: rows `row` to row + kRows, 64 steps of k. What lies outside is zeros.
template <Major kMajor, int kRows, class T>
__device__ __forceinline__ void load_stage(T* to, const TensorMap& map, Mbarrier& full, int row,
                                           int k, int product) {
  if constexpr (kMajor == Major::k) {
    tma_load(to, map, full, {k, row, product});
  } else {
    for (int i = 0; i < kRows; i += 64) tma_load(to + i * 64, map, full, {row + i, k, product});
  }
}

template <class Config, class Loads>
__device__ __forceinline__ void produce(typename Config::Storage& s, const TensorMap& a,
                                        const TensorMap& b, const Loads& loads,
                                        const WgmmaShape& shape) {
  WgmmaSlot<Config> slot;
  for_each_tile<Config>(shape, [&](WgmmaTile tile) {
    for (auto walk = loads.template walk<Config>(tile); walk.more(); walk.next()) {
      mbarrier_wait(s.empty[slot.stage], slot.lap ^ 1);
      Mbarrier& full = s.full[slot.stage];
      mbarrier_arrive_expect(full, sizeof(s.a[0]) + sizeof(s.b[0]));
      walk.load(s.a[slot.stage], s.b[slot.stage], a, b, full);
      slot.next();
    }
  });
}

// ---- consumer: a warpgroup, 64 rows ----

template <class Config>
__device__ __forceinline__ void multiply_tile(typename Config::Storage& s, int consumer,
                                              float (&d)[Config::kN / 2], WgmmaSlot<Config>& slot,
                                              int depth) {
  constexpr Major kA = Config::kMajorA, kB = Config::kMajorB;
  const bool frees = threadIdx.x % 32 == 0;
  int previous = -1;
  for (int k = 0; k < depth; k += Config::kK) {
    mbarrier_wait(s.full[slot.stage], slot.lap);
    const std::uint64_t a =
        swizzled_descriptor<kA>(s.a[slot.stage] + consumer * 64 * Config::kK, Config::kK);
    const std::uint64_t b = swizzled_descriptor<kB>(s.b[slot.stage], Config::kK);
    wgmma_fence(d);
    for (int i = 0; i < Config::kK / 16; ++i) {
      wgmma<typename Config::T, Config::kN, kA, kB>(d, a + i * kNextK16<kA>, b + i * kNextK16<kB>,
                                                    k > 0 || i > 0);
    }
    wgmma_commit();
    // One stage is still being multiplied while the next one is issued.
    wgmma_wait<1>();
    if (previous >= 0 && frees) mbarrier_arrive(s.empty[previous]);
    previous = slot.stage;
    slot.next();
  }
  wgmma_wait<0>(d);
  if (frees) mbarrier_arrive(s.empty[previous]);
}

// ---- a block ----

// The whole kernel of a block: calls store(storage, consumer, sums, tile) for each of its tiles.
template <class Config, int kProducerRegisters, int kConsumerRegisters, class Loads, class Store>
__device__ __forceinline__ void multiply_tiles(const TensorMap& a, const TensorMap& b,
                                               const Loads& loads, const WgmmaShape& shape,
                                               Store store) {
  auto& s = shared<typename Config::Storage>();
  if (threadIdx.x == Config::kThreads - 1) {  // a consumer: the producer must wait for it
    for (int stage = 0; stage < Config::kStages; ++stage) {
      mbarrier_init(s.full[stage], 1);
      mbarrier_init(s.empty[stage], 4 * Config::kConsumers);  // every warp
    }
    fence_mbarrier_init();
  }
  __syncthreads();
  const int warpgroup = static_cast<int>(threadIdx.x) / 128;
  if (warpgroup == 0) {
    release_registers<kProducerRegisters>();
    if (threadIdx.x < 32 && elect_one()) produce<Config>(s, a, b, loads, shape);
    return;
  }
  acquire_registers<kConsumerRegisters>();
  WgmmaSlot<Config> slot;
  float d[Config::kN / 2];
  for_each_tile<Config>(shape, [&](WgmmaTile tile) {
    multiply_tile<Config>(s, warpgroup - 1, d, slot, loads.depth(tile));
    store(s, warpgroup - 1, d, tile);
  });
  if (threadIdx.x % 128 == 0) tma_store_wait_read<0>();
}

}  // namespace convoy::CONVOY_TARGET
