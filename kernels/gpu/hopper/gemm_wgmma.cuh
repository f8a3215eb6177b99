// SPDX-License-Identifier: MIT
#pragma once
// gemm 6: wgmma
// Idea     four warps multiply 64 x kN x 16 with one instruction that reads both factors from
//          shared memory and goes on by itself. One warpgroup only loads: one of its threads has
//          the copy engine fill a ring of stages. Two multiply. Blocks stay, and take tile after
//          tile.
// Gain     nobody waits for copies that another stage could hide, and no thread spends registers
//          or instructions on addresses; the next tile loads while this one is stored.
// Limit    blocks do not share what they load: clusters with multicast would.

#include "kernels/gpu/gemm/operands.cuh"
#include "kernels/gpu/ptx/elect.cuh"
#include "kernels/gpu/ptx/fence.cuh"
#include "kernels/gpu/ptx/ldmatrix.cuh"
#include "kernels/gpu/ptx/registers.cuh"
#include "kernels/gpu/ptx/tma.cuh"
#include "kernels/gpu/ptx/wgmma.cuh"

namespace convoy::CONVOY_TARGET {

template <class Type, int kColumns, Major kA, Major kB>
struct WgmmaConfig {
  using T = Type;
  static constexpr int kM = 128, kN = kColumns, kK = 64;  // of a tile and a stage
  static constexpr Major kMajorA = kA, kMajorB = kB;
  static constexpr int kStages = kN == 256 ? 3 : 5;
  static constexpr int kConsumers = 2;  // warpgroups, of 64 rows each
  static constexpr int kThreads = 128 * (1 + kConsumers);

  // 128 bytes along k, or boxes of that along m or n, swizzled.
  struct Storage {
    alignas(1024) T a[kStages][kM * kK];
    alignas(1024) T b[kStages][kN * kK];
    alignas(1024) T c[kConsumers][64 * kN];  // boxes of 64 columns
    Mbarrier full[kStages], empty[kStages];
  };
};

struct WgmmaShape {
  int M, N, K, products;
  bool a_steps, b_steps;  // from product to product; otherwise one serves the whole batch
  bool staged;            // c leaves through shared memory by the copy engine
};

// ---- scheduler: which tile ----

struct WgmmaTile {
  int m, n, product;
};

// Calls f(tile) for each tile of this block, in an order that all its warps share: eight tiles
// down, then across, so that blocks that run together share rows and columns in the L2 cache.
template <class Config, class F>
__device__ __forceinline__ void for_each_tile(const WgmmaShape& shape, F f) {
  constexpr int kGroup = 8;
  const int down = (shape.M + Config::kM - 1) / Config::kM;
  const int across = (shape.N + Config::kN - 1) / Config::kN;
  for (int t = static_cast<int>(blockIdx.x); t < down * across * shape.products;
       t += static_cast<int>(gridDim.x)) {
    const int in_product = t % (down * across), in_group = in_product % (kGroup * across);
    const int first = in_product / (kGroup * across) * kGroup, rows = min(down - first, kGroup);
    f(WgmmaTile{(first + in_group % rows) * Config::kM, in_group / rows * Config::kN,
                t / (down * across)});
  }
}

// A position in the ring of stages, and the parity of the lap.
template <class Config>
struct WgmmaSlot {
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

template <class Config>
__device__ __forceinline__ void produce(typename Config::Storage& s, const TensorMap& a,
                                        const TensorMap& b, const WgmmaShape& shape) {
  WgmmaSlot<Config> slot;
  for_each_tile<Config>(shape, [&](WgmmaTile tile) {
    const int of_a = shape.a_steps ? tile.product : 0, of_b = shape.b_steps ? tile.product : 0;
    for (int k = 0; k < shape.K; k += Config::kK) {
      mbarrier_wait(s.empty[slot.stage], slot.lap ^ 1);
      Mbarrier& full = s.full[slot.stage];
      mbarrier_arrive_expect(full, sizeof(s.a[0]) + sizeof(s.b[0]));
      load_stage<Config::kMajorA, Config::kM>(s.a[slot.stage], a, full, tile.m, k, of_a);
      load_stage<Config::kMajorB, Config::kN>(s.b[slot.stage], b, full, tile.n, k, of_b);
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

// ---- epilogue: a warpgroup's rows ----

// Through shared memory: whole lines, and the next tile need not wait for them.
template <class Config>
__device__ __forceinline__ void store_staged(typename Config::Storage& s, int consumer,
                                             float (&d)[Config::kN / 2], const TensorMap& c,
                                             const Gemm& op, const WgmmaShape& shape,
                                             WgmmaTile tile) {
  using T = typename Config::T;
  const int thread = static_cast<int>(threadIdx.x) % 128, lane = thread % 32;
  T* staged = s.c[consumer];
  const unsigned barrier = 1 + static_cast<unsigned>(consumer);
  if (thread == 0) tma_store_wait_read<0>();  // the tile before
  named_barrier_sync(barrier, 128);
  const GemmOperands<T> at(op, tile.product);
  const int first_row = tile.m + 64 * consumer + thread / 32 * 16 + lane / 4;
  const auto pack = [&](int i) {
    const int m = first_row + 8 * (i / 2 % 2), n = tile.n + i / 4 * 8 + lane % 4 * 2;
    float pair[2] = {d[i], d[i + 1]};
    if (inside(m, shape.M) && inside(n / 2, shape.N / 2)) {
      finish_sums<T>(op.epilogue, static_cast<const T*>(op.c), at.place(op, m, n), n, false, pair);
    }
    return narrow<T>(pair[0]).bits | unsigned{narrow<T>(pair[1]).bits} << 16;
  };
  // Lanes 0 to 15 name the rows of 8 columns, 16 to 31 those of the next 8.
  const int row = thread / 32 * 16 + lane % 16;
  CONVOY_UNROLL
  for (int j = 0; j < Config::kN / 8; j += 2) {
    const unsigned fragment[4] = {pack(4 * j), pack(4 * j + 2), pack(4 * j + 4), pack(4 * j + 6)};
    const int unit = j + lane / 16;
    stmatrix(staged + unit / 8 * 64 * 64 + row * 64 + (unit % 8 ^ row % 8) * 8, fragment);
  }
  fence_proxy_async();
  named_barrier_sync(barrier, 128);
  if (thread == 0) {
    for (int n = 0; n < Config::kN; n += 64) {
      tma_store(c, staged + n * 64, {tile.n + n, tile.m + 64 * consumer, tile.product, 0});
    }
    tma_store_commit();
  }
}

// Straight from the registers: c of any alignment and type, with what is there before.
template <class Config>
__device__ __forceinline__ void store_plainly(const Gemm& op, int consumer,
                                              const float (&d)[Config::kN / 2],
                                              const WgmmaShape& shape, WgmmaTile tile) {
  const GemmOperands<typename Config::T> at(op, tile.product);
  const int thread = static_cast<int>(threadIdx.x) % 128, lane = thread % 32;
  const int first_row = tile.m + 64 * consumer + thread / 32 * 16 + lane / 4;
  const int first_column = tile.n + lane % 4 * 2;
  CONVOY_UNROLL
  for (int i = 0; i < Config::kN / 2; ++i) {
    const int m = first_row + 8 * (i / 2 % 2), n = first_column + 8 * (i / 4) + i % 2;
    if (inside(m, shape.M) && inside(n, shape.N)) at.store(op, m, n, d[i]);
  }
}

// ---- the kernel ----

template <class Config>
__global__ void __launch_bounds__(Config::kThreads, 1)
    gemm_wgmma_tiles(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b,
                     const __grid_constant__ TensorMap c, Gemm op, WgmmaShape shape) {
  begin_kernel();
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
    release_registers<24>();
    if (threadIdx.x < 32 && elect_one()) produce<Config>(s, a, b, shape);
    return;
  }
  acquire_registers<240>();
  WgmmaSlot<Config> slot;
  float d[Config::kN / 2];
  for_each_tile<Config>(shape, [&](WgmmaTile tile) {
    multiply_tile<Config>(s, warpgroup - 1, d, slot, shape.K);
    if (shape.staged) {
      store_staged<Config>(s, warpgroup - 1, d, c, op, shape, tile);
    } else {
      store_plainly<Config>(op, warpgroup - 1, d, shape, tile);
    }
  });
  if (threadIdx.x % 128 == 0) tma_store_wait_read<0>();
}

}  // namespace convoy::CONVOY_TARGET
