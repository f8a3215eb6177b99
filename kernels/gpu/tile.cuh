// SPDX-License-Identifier: MIT
#pragma once
// A block's share of a matrix product, through shared memory. gemm and the convolutions differ in
// where an element of a or b comes from, and in nothing else:
//
//   Strip<Tile> sum = multiply<Tile>(0, K, true, [&](int row, int k) { ... }, ...);
//
// A thread owns one column of the block's kM x kN outputs and kStrip rows of it: lanes stand side
// by side in a row of c, and a step of k costs a thread one value of b, kStrip values of a that the
// whole warp shares, and kStrip multiply-adds.

#include "kernels/gpu/gpu.cuh"

namespace convoy::CONVOY_TARGET {

template <int kRows, int kColumns, int kRowsPerThread>
struct Tile {
  static constexpr int kM = kRows, kN = kColumns, kStrip = kRowsPerThread;
  static constexpr int kK = 16;  // depth of one stage
  static constexpr int kThreads = kM * kN / kStrip;
  static_assert(kThreads % kM == 0 || kM % kThreads == 0);

  // Two stages: while slow threads still read one, quick ones fill the other, so that a step has
  // one barrier. The widths keep strips of a aligned to 16 bytes, and let lanes that stage
  // neighbouring k store to different banks (in a, two lanes to one bank).
  struct Storage {
    float a[2][kK][kM + 4];
    float b[2][kK][kN + 2];
  };
};

// 64 x 64 suits most shapes; a column of 16 wastes less where c has few columns.
using WideTile = Tile<64, 64, 16>;
using NarrowTile = Tile<64, 16, 8>;
constexpr std::int64_t kNarrowColumns = 32;

// Rows, columns and depth are counted in int, a tile's overhang included.
constexpr std::int64_t kMaxTiledExtent = INT32_MAX - 64;

// Calls f with the tile for a product with that many columns.
template <class F>
void with_tile(std::int64_t columns, F&& f) {
  if (columns <= kNarrowColumns) return f(Type<NarrowTile>{});
  f(Type<WideTile>{});
}

// Where the block's tile begins. Blocks go along n first, then m, then from product to product:
// those that run together share rows of a.
template <class Tile>
struct TilePlace {
  int m, n;
  unsigned product;

  __device__ TilePlace(std::int64_t M, std::int64_t N) : TilePlace(M, N, blockIdx.x) {}
  __device__ TilePlace(std::int64_t M, std::int64_t N, unsigned block) {
    const unsigned across = blocks_for(N, Tile::kN), down = blocks_for(M, Tile::kM);
    n = static_cast<int>(block % across) * Tile::kN;
    m = static_cast<int>(block / across % down) * Tile::kM;
    product = block / across / down;
  }
};

template <class Tile>
unsigned tiles_for(std::int64_t M, std::int64_t N, std::int64_t products) {
  return static_cast<unsigned>(blocks_for(M, Tile::kM) * blocks_for(N, Tile::kN) * products);
}

// What a thread computes: rows first_row to first_row + kStrip of one column of the tile.
template <class Tile>
struct Strip {
  float sum[Tile::kStrip] = {};
  float b_sum = 0;  // of the column of b that the thread read

  static __device__ int column() { return static_cast<int>(threadIdx.x) % Tile::kN; }
  static __device__ int first_row() {
    return static_cast<int>(threadIdx.x) / Tile::kN * Tile::kStrip;
  }
};

// Fills to[k][row]. Neighbouring lanes take neighbouring k or neighbouring rows, whichever are
// neighbours in memory.
template <class Tile, int kRows, int kPitch, class Load>
__device__ __forceinline__ void stage(float (&to)[Tile::kK][kPitch], bool along_k, Load load) {
  const int thread = static_cast<int>(threadIdx.x);
  if (along_k) {
    const int k = thread % Tile::kK;
    for (int i = 0; i < kRows * Tile::kK / Tile::kThreads; ++i) {
      const int row = thread / Tile::kK + i * (Tile::kThreads / Tile::kK);
      to[k][row] = load(row, k);
    }
    return;
  }
  const int row = thread % kRows;
  for (int i = 0; i < kRows * Tile::kK / Tile::kThreads; ++i) {
    const int k = thread / kRows + i * (Tile::kThreads / kRows);
    to[k][row] = load(row, k);
  }
}

// Sums a(m, k) b(k, n) over begin <= k < end, in ascending order. load_a(row, k) and
// load_b(column, k) give zero outside of the matrix; rows and columns count within the tile.
template <class Tile, class LoadA, class LoadB>
__device__ __forceinline__ Strip<Tile> multiply(int begin, int end, bool a_along_k, LoadA load_a,
                                                bool b_along_k, LoadB load_b) {
  auto& s = shared<typename Tile::Storage>();
  const int column = Strip<Tile>::column(), first_row = Strip<Tile>::first_row();
  Strip<Tile> strip;
  int now = 0;
  for (int step = begin; step < end; step += Tile::kK, now ^= 1) {
    stage<Tile, Tile::kM>(s.a[now], a_along_k, [&](int m, int k) { return load_a(m, step + k); });
    stage<Tile, Tile::kN>(s.b[now], b_along_k, [&](int n, int k) { return load_b(n, step + k); });
    __syncthreads();
    for (int k = 0; k < Tile::kK; ++k) {
      const float b = s.b[now][k][column];
      const float* a = &s.a[now][k][first_row];
      for (int i = 0; i < Tile::kStrip; ++i) strip.sum[i] += a[i] * b;
      strip.b_sum += b;
    }
  }
  return strip;
}

}  // namespace convoy::CONVOY_TARGET
