// SPDX-License-Identifier: MIT
#pragma once
// A block's share of a matrix product, with the outputs in registers. As in tile.cuh, gemm and the
// convolutions differ in where elements of a and b come from, and in nothing else; here they come
// four at a time, neighbours in memory, so that one access of 16 bytes can bring them:
//
//   struct Factor {                          // of rows of a and k, or of columns of b and k
//     using Held = Quad<T>;                  // what is on its way
//     bool along_k;                          // four neighbours go along k, otherwise along rows
//     Held fetch(int row, int k) const;      // zero outside; row within the tile
//     void finish(const Held&, int row, int k, float (&)[4]) const;   // once it has arrived
//   };
//   Patch<Tile> patch = multiply_patches<Tile>(0, K, a, b);
//   patch.for_each_quad([&](int row, int column, const float (&sum)[4]) { ... });
//
// A thread sums a patch of 8 x 8 outputs: a step of k costs it four accesses of 16 bytes to shared
// memory for 64 multiply-adds. (Of 16 columns, 8 x 4: three for 32.) While a slab of 8 steps is
// multiplied, the next one is on its way from global memory to registers.

#include <utility>

#include "kernels/gpu/flat.cuh"
#include "kernels/gpu/tile.cuh"

namespace convoy::CONVOY_TARGET {

inline constexpr int kQuad = 4;
template <class T>
using Quad = Lanes<T, kQuad>;

// Whether quads from this place on, lines `pitch` apart, are one aligned access each.
template <class T>
bool takes_quads(const T* place, std::int64_t pitch) {
  return reinterpret_cast<std::uintptr_t>(place) % sizeof(Quad<T>) == 0 && pitch % kQuad == 0;
}

// Where a patch's rows and columns are: two quads of each, the second some way behind the first. Of
// threads with the same columns, `strip` counts those above.
struct PatchPlace {
  int row, column, row_step, column_step, strip;
};

// A thread's patch is in one piece, and neighbouring threads own neighbouring patches of a row:
// the lanes of a warp are spread over 128 columns, 8 apart, so that two of them meet in a bank
// wherever they read a quad of b.
template <int kColumns, int>
struct PatchesInRows {
  static __device__ PatchPlace place() {
    const int thread = static_cast<int>(threadIdx.x), across = kColumns / 8;
    return {thread / across * 8, thread % across * 8, kQuad, kQuad, thread / across};
  }
};

// A warp owns 64 x 32 outputs (or 64 x 16). Its lanes stand 8 x 4, a quad apart, and cover that in
// four passes (or two): what they read at once are 8 neighbouring quads of a and 4 of b, each bank
// once or by broadcast.
template <int kColumns, int kPatchColumns>
struct PatchesInWarps {
  static __device__ PatchPlace place() {
    const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
    constexpr int kOfWarp = 4 * kPatchColumns, kAcross = kColumns / kOfWarp;
    return {warp / kAcross * 64 + lane / 4 * kQuad, warp % kAcross * kOfWarp + lane % 4 * kQuad, 32,
            16, warp / kAcross * 8 + lane / 4};
  }
};

template <int kRows, int kColumns, template <int, int> class Patches, int kPatchColumns = 8>
struct PatchTile {
  static constexpr int kM = kRows, kN = kColumns, kK = 8;
  static constexpr int kPatch = 8, kPatchN = kPatchColumns;
  static constexpr int kThreads = kM * kN / (kPatch * kPatchN);
  static constexpr int kStrip = kPatch;  // rows of a thread
  // Of a multiprocessor, two large blocks with 128 registers a thread; or six of the small, whose
  // threads hold twice as many quads on their way.
  static constexpr int kBlocks = kThreads == 256 ? 2 : 384 / kThreads;
  using Place = Patches<kColumns, kPatchN>;

  // Two slabs: while slow threads still read one, quick ones fill the other. The pitch keeps quads
  // aligned, and half of a warp's stores, which go to k and k + 4, 16 banks from the others.
  static constexpr int kPitchA = kM + 4, kPitchB = kN + 4;
  struct Storage {
    alignas(16) float a[2][kK][kPitchA];
    alignas(16) float b[2][kK][kPitchB];
  };
};

// For results of few columns: a warp to a block.
using Columns32Tile = PatchTile<64, 32, PatchesInWarps>;
using Columns16Tile = PatchTile<64, 16, PatchesInWarps, 4>;

// The tile of 64 rows that wastes least.
template <class F>
void with_narrow_tile(std::int64_t columns, F&& f) {
  if (columns <= Columns16Tile::kN) return f(Type<Columns16Tile>{});
  if (columns <= Columns32Tile::kN) return f(Type<Columns32Tile>{});
  f(Type<PatchTile<64, 64, PatchesInWarps>>{});
}

// The small tile is for products that do not have a large one for each multiprocessor. All sum
// in the same order: the choice does not change a bit.
template <template <int, int> class Patches, class F>
void with_patch_tile(std::int64_t M, std::int64_t N, std::int64_t products, const Device& device,
                     F&& f) {
  using Large = PatchTile<128, 128, Patches>;
  using Small = PatchTile<64, 64, Patches>;
  const std::int64_t large = tiles_for<Large>(M, N, products);
  if (N > Small::kN && large >= multiprocessor_count(device)) return f(Type<Large>{});
  if constexpr (std::is_same_v<Small, PatchTile<64, 64, PatchesInWarps>>) {
    with_narrow_tile(N, std::forward<F>(f));
  } else {
    f(Type<Small>{});
  }
}

// A thread's part of a slab of kRows x kK, in registers on its way to shared memory. It is finished
// at the end of that way only: nothing waits for it before.
template <class Factor, class Tile, int kRows>
struct Slab {
  static constexpr int kCount = kRows * Tile::kK / kQuad / Tile::kThreads;
  static_assert(kCount > 0);
  typename Factor::Held held[kCount];

  // Calls f(i, row, k) for the thread's quads: neighbouring threads take neighbours in memory.
  template <class F>
  static __device__ __forceinline__ void for_my_quads(bool along_k, F f) {
    const int thread = static_cast<int>(threadIdx.x);
    const int length = (along_k ? Tile::kK : kRows) / kQuad;
    const int along = thread % length * kQuad, across = thread / length;
    CONVOY_UNROLL
    for (int i = 0; i < kCount; ++i) {
      const int other = across + i * (Tile::kThreads / length);
      f(i, along_k ? other : along, along_k ? along : other);
    }
  }
  __device__ __forceinline__ void fetch(const Factor& factor, int step) {
    for_my_quads(factor.along_k,
                 [&](int i, int row, int k) { held[i] = factor.fetch(row, step + k); });
  }
  template <int kPitch>
  __device__ __forceinline__ void store(const Factor& factor, int step,
                                        float (&to)[Tile::kK][kPitch]) const {
    for_my_quads(factor.along_k, [&](int i, int row, int k) {
      float v[kQuad];
      factor.finish(held[i], row, step + k, v);
      if (factor.along_k) {
        for (int j = 0; j < kQuad; ++j) to[k + j][row] = v[j];
      } else {
        store_floats(&to[k][row], v);
      }
    });
  }
};

template <class Tile>
struct Patch {
  static constexpr int kHalves = Tile::kPatchN / kQuad;
  float sum[Tile::kPatch][Tile::kPatchN] = {};

  // sum += the product of one slab.
  __device__ __forceinline__ void multiply(const float (&a)[Tile::kK][Tile::kPitchA],
                                           const float (&b)[Tile::kK][Tile::kPitchB]) {
    const PatchPlace at = Tile::Place::place();
    CONVOY_UNROLL
    for (int k = 0; k < Tile::kK; ++k) {
      float of_a[2][kQuad], of_b[kHalves][kQuad];
      for (int half = 0; half < 2; ++half) {
        load_floats(&a[k][at.row + half * at.row_step], of_a[half]);
      }
      for (int half = 0; half < kHalves; ++half) {
        load_floats(&b[k][at.column + half * at.column_step], of_b[half]);
      }
      for (int i = 0; i < Tile::kPatch; ++i) {
        for (int j = 0; j < Tile::kPatchN; ++j) {
          sum[i][j] += of_a[i / kQuad][i % kQuad] * of_b[j / kQuad][j % kQuad];
        }
      }
    }
  }

  // Row i of the thread's, and column j, within the tile.
  static __device__ __forceinline__ int row(int i) {
    const PatchPlace at = Tile::Place::place();
    return at.row + i / kQuad * at.row_step + i % kQuad;
  }
  static __device__ __forceinline__ int column(int j) {
    const PatchPlace at = Tile::Place::place();
    return at.column + j / kQuad * at.column_step + j % kQuad;
  }
  // Calls f(row, column, j, sum) for what is inside of so many rows and columns: column is the j-th
  // of the thread's.
  template <class F>
  __device__ __forceinline__ void for_each_inside(int rows, int columns, F f) {
    CONVOY_UNROLL
    for (int i = 0; i < Tile::kPatch; ++i) {
      if (!inside(row(i), rows)) continue;
      CONVOY_UNROLL
      for (int j = 0; j < Tile::kPatchN; ++j) {
        if (inside(column(j), columns)) f(row(i), column(j), j, sum[i][j]);
      }
    }
  }

  // Calls f(row, first column, four sums) for each row and half of the patch, within the tile.
  template <class F>
  __device__ __forceinline__ void for_each_quad(F f) const {
    const PatchPlace at = Tile::Place::place();
    CONVOY_UNROLL
    for (int i = 0; i < Tile::kPatch; ++i) {
      const int row = at.row + i / kQuad * at.row_step + i % kQuad;
      CONVOY_UNROLL
      for (int half = 0; half < kHalves; ++half) {
        const float* first = &sum[i][half * kQuad];
        const float quad[kQuad] = {first[0], first[1], first[2], first[3]};
        f(row, at.column + half * at.column_step, quad);
      }
    }
  }
};

// Sums a(m, k) b(k, n) over begin <= k < end, in ascending order. Calls watch(slab of b) for each
// slab once it is there.
template <class Tile, class FactorA, class FactorB, class Watch>
__device__ __forceinline__ Patch<Tile> multiply_patches(int begin, int end, const FactorA& a,
                                                        const FactorB& b, Watch watch) {
  auto& s = shared<typename Tile::Storage>();
  Patch<Tile> patch;
  Slab<FactorA, Tile, Tile::kM> next_a;
  Slab<FactorB, Tile, Tile::kN> next_b;
  next_a.fetch(a, begin);
  next_b.fetch(b, begin);
  int now = 0;
  for (int step = begin; step < end; step += Tile::kK, now ^= 1) {
    next_a.store(a, step, s.a[now]);
    next_b.store(b, step, s.b[now]);
    __syncthreads();
    next_a.fetch(a, step + Tile::kK);  // behind the end: zeros, which nobody reads
    next_b.fetch(b, step + Tile::kK);
    patch.multiply(s.a[now], s.b[now]);
    watch(s.b[now]);
  }
  return patch;
}
template <class Tile, class FactorA, class FactorB>
__device__ __forceinline__ Patch<Tile> multiply_patches(int begin, int end, const FactorA& a,
                                                        const FactorB& b) {
  return multiply_patches<Tile>(begin, end, a, b, [](const auto&) {});
}

// The first `left` of four neighbours, and zeros; `packed` if they are always one aligned access.
template <class T>
__device__ __forceinline__ Quad<T> load_quad(const T* from, int left, bool packed) {
  // One narrower this would be slower, not wrong: that mutant survives.
  if (packed && inside(kQuad - 1, left)) return load_lanes<kQuad>(from);
  Quad<T> quad{};
  for (int j = 0; j < kQuad; ++j) {
    if (inside(j, left)) quad.values[j] = from[j];
  }
  return quad;
}

template <class T>
__device__ __forceinline__ void widen_quad(const Quad<T>& quad, float (&v)[kQuad]) {
  for (int j = 0; j < kQuad; ++j) v[j] = widen(quad.values[j]);
}

// A matrix whose rows, or whose steps of k, lie in memory one after the other.
template <class T>
struct MatrixFactor {
  using Held = Quad<T>;
  const T* first;      // row 0 of the tile, k = 0
  std::int64_t pitch;  // from one line of neighbours to the next
  int rows, depth;     // from there to the matrix's end
  bool along_k;
  bool packed;  // a quad is one access

  // Rows behind the last one are not stored, and their check only keeps the reads inside; k is
  // checked on both sides, as zero times infinity is no zero.
  __device__ __forceinline__ Quad<T> fetch(int row, int k) const {
    const int line = along_k ? row : k, place = along_k ? k : row;
    const int left = inside(line, along_k ? rows : depth) ? (along_k ? depth : rows) - place : 0;
    return load_quad(first + line * pitch + place, left, packed);
  }
  __device__ __forceinline__ void finish(const Held& held, int, int, float (&v)[kQuad]) const {
    widen_quad(held, v);
  }
};

}  // namespace convoy::CONVOY_TARGET
