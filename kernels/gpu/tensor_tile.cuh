// SPDX-License-Identifier: MIT
#pragma once
// A block's share of a matrix product on the tensor cores: f16 or bf16 factors, f32 sums. gemm and
// the convolutions differ in the two sources that say where the elements of a and b stand, and in
// nothing else:
//
//   TensorSums<Tile> sums;
//   multiply<T, Tile, Major::k, Major::mn>(s, sums, a, m, b, n, 0, slabs);
//
// The depth is cut into slabs of kK. Slabs travel to a ring of stages in shared memory by cp.async,
// kStages - 1 ahead of the one that is being multiplied; warps read it by ldmatrix.

#include "kernels/gpu/ptx/ldmatrix.cuh"
#include "kernels/gpu/ptx/mma.cuh"
#include "kernels/gpu/tensor_stager.cuh"
#include "kernels/gpu/warp.cuh"

namespace convoy::CONVOY_TARGET {

template <int kRows, int kColumns, int kWarpsDown, int kWarpsAcross, bool kNarrow>
struct TensorTile {
  static constexpr bool kTakesNarrowRuns = kNarrow;
  static constexpr int kM = kRows, kN = kColumns;
  static constexpr int kK = 32, kStages = 4;
  static constexpr int kAcross = kWarpsAcross;
  static constexpr int kWarpM = kM / kWarpsDown, kWarpN = kN / kWarpsAcross;
  static constexpr int kThreads = kWarp * kWarpsDown * kWarpsAcross;
  static constexpr int kBlocks = 512 / kThreads;  // that share a multiprocessor's registers
  static_assert(kWarpM % 16 == 0 && kWarpN % 16 == 0);

  // When all slabs are multiplied, the sums take the stages' place. Eight columns more per row: the
  // lanes of a fragment store to different banks.
  struct Stages {
    Chunk a[kStages][kM * kK / kChunk], b[kStages][kN * kK / kChunk];
  };
  union Storage {
    Stages stages;
    float sums[kM][kN + 8];
  };
};

// Large tiles read each value least often. Where there are too few of them for all multiprocessors,
// small ones; and for runs of less than 16 bytes, whose addresses cost registers.
using LargeTensorTile = TensorTile<128, 128, 2, 4, false>;
using SmallTensorTile = TensorTile<64, 64, 2, 2, true>;

// A warp's sums, in the fragments of mma.
template <class Tile>
struct TensorSums {
  float of[Tile::kWarpM / 16][Tile::kWarpN / 8][4] = {};
};

// A norm whose elements depend on a second array keeps that one's slabs of a beside the stages.
template <class Tile>
struct StorageWithRaw {
  typename Tile::Storage storage;
  Chunk raw[Tile::kStages][Tile::kM * Tile::kK / kChunk];
};

enum class Factor { a, b };

// The 16 x 16 elements at (row, k) of a stage as mma takes them: of a one fragment, of b two
// neighbours along n.
template <Factor kFactor, Major kMajor, int kRows, class Tile>
__device__ __forceinline__ void load_fragment(unsigned (&fragment)[4], const Chunk* stage, int row,
                                              int k) {
  const int matrix = lane_index() / 8, line = lane_index() % 8;
  const int half_of_rows = kFactor == Factor::a ? matrix % 2 : matrix / 2;
  const int half_of_k = kFactor == Factor::a ? matrix / 2 : matrix % 2;
  if constexpr (kMajor == Major::k) {
    ldmatrix(fragment, &stage[chunk_place<Tile::kK / kChunk>(row + 8 * half_of_rows, line,
                                                             k / kChunk + half_of_k)]);
  } else {
    ldmatrix<true>(
        fragment,
        &stage[chunk_place<kRows / kChunk>(k + 8 * half_of_k, line, row / kChunk + half_of_rows)]);
  }
}

// Adds one slab's products.
template <class T, class Tile, Major kMajorA, Major kMajorB>
__device__ __forceinline__ void multiply_slab(TensorSums<Tile>& sums, const Chunk* a,
                                              const Chunk* b) {
  const int m = warp_index() / Tile::kAcross * Tile::kWarpM;
  const int n = warp_index() % Tile::kAcross * Tile::kWarpN;
  for (int k = 0; k < Tile::kK; k += 16) {
    unsigned right[Tile::kWarpN / 16][4];
    for (int j = 0; j < Tile::kWarpN / 16; ++j) {
      load_fragment<Factor::b, kMajorB, Tile::kN, Tile>(right[j], b, n + 16 * j, k);
    }
    for (int i = 0; i < Tile::kWarpM / 16; ++i) {
      unsigned left[4];
      load_fragment<Factor::a, kMajorA, Tile::kM, Tile>(left, a, m + 16 * i, k);
      for (int j = 0; j < Tile::kWarpN / 8; ++j) {
        const unsigned pair[2] = {right[j / 2][j % 2 * 2], right[j / 2][j % 2 * 2 + 1]};
        mma_m16n8k16<T>(sums.of[i][j], left, pair);
      }
    }
  }
}

// Adds a(m, k) b(k, n) over the slabs begin <= k / kK < end of the tile that begins at (m, n).
template <class T, class Tile, Major kMajorA, Major kMajorB, class A, class B>
__device__ __forceinline__ void multiply(typename Tile::Storage& s, TensorSums<Tile>& sums,
                                         const A& a, int m, const B& b, int n, int begin, int end) {
  const Stager<T, Tile, Tile::kM, kMajorA, A> stage_a(a, m);
  const Stager<T, Tile, Tile::kN, kMajorB, B> stage_b(b, n);
  const auto raw = [&](int slab) -> Chunk* {
    if constexpr (A::Norm::kHasRaw) {
      if (a.norm.wanted()) return shared<StorageWithRaw<Tile>>().raw[slab % Tile::kStages];
    }
    return nullptr;
  };
  const auto fetch = [&](int slab) {
    if (slab < end) {
      stage_a.fetch(s.stages.a[slab % Tile::kStages], raw(slab), slab);
      stage_b.fetch(s.stages.b[slab % Tile::kStages], nullptr, slab);
    }
    cp_async_commit();
  };
  for (int ahead = 0; ahead < Tile::kStages - 1; ++ahead) fetch(begin + ahead);
  for (int slab = begin; slab < end; ++slab) {
    cp_async_wait<Tile::kStages - 2>();
    stage_a.norm(s.stages.a[slab % Tile::kStages], raw(slab), slab);
    stage_b.norm(s.stages.b[slab % Tile::kStages], nullptr, slab);
    // The slab is there for all, and all have left the one before it, whose stage is next to fill.
    __syncthreads();
    fetch(slab + Tile::kStages - 1);
    multiply_slab<T, Tile, kMajorA, kMajorB>(sums, s.stages.a[slab % Tile::kStages],
                                             s.stages.b[slab % Tile::kStages]);
  }
}

}  // namespace convoy::CONVOY_TARGET
