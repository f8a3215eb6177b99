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
  static constexpr int kRegisters = kM * kN / kThreads > 64 ? 256 : 128;  // of a thread
  static constexpr int kBlocks = 65536 / kRegisters / kThreads;           // to a multiprocessor
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

// What a tile of kM x kN multiplies per byte that it brings grows with its sides, and so does what
// a warp does per byte that it reads of the stages: 64 x 64 keep the tensor cores busy, 64 x 32
// do not. Wide tiles take a multiprocessor each, large ones share it by two. Where there are too
// few of them for all multiprocessors, small ones; and for runs of less than 16 bytes, whose
// addresses cost registers.
using WideTensorTile = TensorTile<128, 256, 2, 4, false>;
using LargeTensorTile = TensorTile<128, 128, 2, 2, false>;
using SmallTensorTile = TensorTile<64, 64, 2, 2, true>;
enum class TileSize { small, large, wide };

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

// What a warp multiplies of a stage in one step: 16 of its depth.
template <class Tile>
struct TensorFragments {
  unsigned left[Tile::kWarpM / 16][4], right[Tile::kWarpN / 16][4];

  template <Major kMajorA, Major kMajorB, class Stages>
  __device__ __forceinline__ void load(const Stages& stages, int stage, int k) {
    const int m = warp_index() / Tile::kAcross * Tile::kWarpM;
    const int n = warp_index() % Tile::kAcross * Tile::kWarpN;
    for (int j = 0; j < Tile::kWarpN / 16; ++j) {
      load_fragment<Factor::b, kMajorB, Tile::kN, Tile>(right[j], stages.b[stage], n + 16 * j, k);
    }
    for (int i = 0; i < Tile::kWarpM / 16; ++i) {
      load_fragment<Factor::a, kMajorA, Tile::kM, Tile>(left[i], stages.a[stage], m + 16 * i, k);
    }
  }

  template <class T>
  __device__ __forceinline__ void multiply(TensorSums<Tile>& sums) const {
    for (int i = 0; i < Tile::kWarpM / 16; ++i) {
      for (int j = 0; j < Tile::kWarpN / 8; ++j) {
        const unsigned pair[2] = {right[j / 2][j % 2 * 2], right[j / 2][j % 2 * 2 + 1]};
        mma_m16n8k16<T>(sums.of[i][j], left[i], pair);
      }
    }
  }
};

// The slabs of both factors on their way through the ring of stages.
template <class T, class Tile, Major kMajorA, Major kMajorB, class A, class B>
struct TensorSlabs {
  typename Tile::Storage& s;
  const A& a;
  const B& b;
  Stager<T, Tile, Tile::kM, kMajorA, A> stage_a;
  Stager<T, Tile, Tile::kN, kMajorB, B> stage_b;
  int end;

  __device__ __forceinline__ TensorSlabs(typename Tile::Storage& storage, const A& of_a, int m,
                                         const B& of_b, int n, int behind_last)
      : s(storage), a(of_a), b(of_b), stage_a(of_a, m), stage_b(of_b, n), end(behind_last) {}

  __device__ __forceinline__ Chunk* raw(int slab) const {
    if constexpr (A::Norm::kHasRaw) {
      if (a.norm.wanted()) return shared<StorageWithRaw<Tile>>().raw[slab % Tile::kStages];
    }
    return nullptr;
  }
  __device__ __forceinline__ void fetch(int slab) const {
    if (slab < end) {
      stage_a.fetch(s.stages.a[slab % Tile::kStages], raw(slab), slab);
      stage_b.fetch(s.stages.b[slab % Tile::kStages], nullptr, slab);
    }
    cp_async_commit();
  }
  // Then the slab is there for all, and all have read the one before it, whose stage is next to
  // fill.
  __device__ __forceinline__ void await(int slab) const {
    cp_async_wait<Tile::kStages - 2>();
    stage_a.norm(s.stages.a[slab % Tile::kStages], raw(slab), slab);
    stage_b.norm(s.stages.b[slab % Tile::kStages], nullptr, slab);
    __syncthreads();
  }
  __device__ __forceinline__ void load(TensorFragments<Tile>& fragments, int slab, int k) const {
    fragments.template load<kMajorA, kMajorB>(s.stages, slab % Tile::kStages, k);
  }
};

// Adds a(m, k) b(k, n) over the slabs begin <= k / kK < end of the tile that begins at (m, n).
template <class T, class Tile, Major kMajorA, Major kMajorB, class A, class B>
__device__ __forceinline__ void multiply(typename Tile::Storage& s, TensorSums<Tile>& sums,
                                         const A& a, int m, const B& b, int n, int begin, int end) {
  constexpr bool kNorms = A::Norm::kExists || B::Norm::kExists;
  const TensorSlabs<T, Tile, kMajorA, kMajorB, A, B> slabs(s, a, m, b, n, end);
  for (int ahead = 0; ahead < Tile::kStages - 1; ++ahead) slabs.fetch(begin + ahead);
  TensorFragments<Tile> fragments;
  for (int slab = begin; slab < end; ++slab) {
    slabs.await(slab);
    // Copies queue behind the loads that are waited for, where there are registers for both.
    if constexpr (kNorms) slabs.fetch(slab + Tile::kStages - 1);
    slabs.load(fragments, slab, 0);
    if constexpr (!kNorms) slabs.fetch(slab + Tile::kStages - 1);
    for (int k = 16; k < Tile::kK; k += 16) {
      fragments.template multiply<T>(sums);
      slabs.load(fragments, slab, k);
    }
    fragments.template multiply<T>(sums);
  }
}

// The same for a block that has a multiprocessor to itself: while its warps meet, and load the next
// slab's first fragments, no other block multiplies. So the last products of each slab wait until
// then.
template <class T, class Tile, Major kMajorA, Major kMajorB, class A, class B>
__device__ __forceinline__ void multiply_ahead(typename Tile::Storage& s, TensorSums<Tile>& sums,
                                               const A& a, int m, const B& b, int n, int begin,
                                               int end) {
  static_assert(Tile::kK == 32, "a slab is two fragments deep");
  if (begin == end) return;
  const TensorSlabs<T, Tile, kMajorA, kMajorB, A, B> slabs(s, a, m, b, n, end);
  for (int ahead = 0; ahead < Tile::kStages - 1; ++ahead) slabs.fetch(begin + ahead);
  TensorFragments<Tile> first, last;
  slabs.await(begin);
  slabs.load(first, begin, 0);
  for (int slab = begin; slab < end; ++slab) {
    slabs.load(last, slab, 16);
    slabs.fetch(slab + Tile::kStages - 1);
    first.template multiply<T>(sums);
    if (slab + 1 < end) {
      slabs.await(slab + 1);
      slabs.load(first, slab + 1, 0);
    }
    last.template multiply<T>(sums);
  }
}

}  // namespace convoy::CONVOY_TARGET
