// SPDX-License-Identifier: MIT
#pragma once
// What the products by wgmma share, first part: the tile of a block, the order in which blocks take
// tiles, and the ring of stages in shared memory. (wgmma_multiply.cuh is the second part,
// wgmma_store.cuh the third.)

#include "kernels/gpu/ptx/mbarrier.cuh"
#include "kernels/gpu/ptx/wgmma.cuh"

namespace convoy::CONVOY_TARGET {

template <class Type, int kColumns, Major kA, Major kB>
struct WgmmaConfig {
  using T = Type;
  static constexpr int kM = 128, kN = kColumns, kK = 64;  // of a tile and a stage
  static constexpr Major kMajorA = kA, kMajorB = kB;
  static constexpr int kStages = kN == 256 ? 3 : kN == 128 ? 5 : 7;
  static constexpr int kConsumers = 2;  // warpgroups, of 64 rows each
  static constexpr int kThreads = 128 * (1 + kConsumers);

  // 128 bytes along k, or boxes of that along m or n, swizzled.
  struct Storage {
    alignas(1024) T a[kStages][kM * kK];
    alignas(1024) T b[kStages][kN * kK];
    alignas(1024) T c[kConsumers][64 * kN];  // boxes of 64 columns
    // Of a stage: its copies have come; the consumers have read it, so that it may be filled again.
    Mbarrier full[kStages], empty[kStages];
  };
};

// Of the result, in whole tiles or not.
struct WgmmaShape {
  int M, N, products;
};

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

}  // namespace convoy::CONVOY_TARGET
