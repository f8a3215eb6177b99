// SPDX-License-Identifier: MIT
#pragma once
// A tensor-core tile's way out: through shared memory, so that each thread has neighbours of one
// row, and a warp writes whole lines.
//
//   store_tile<T, Tile>(s, sums, output, product, rows, m, n, [&](int m) { return row_of_y; });

#include "kernels/gpu/output.cuh"
#include "kernels/gpu/tensor_tile.cuh"

namespace convoy::CONVOY_TARGET {

template <class Tile>
__device__ __forceinline__ void share_sums(typename Tile::Storage& s,
                                           const TensorSums<Tile>& sums) {
  const int m = warp_index() / Tile::kAcross * Tile::kWarpM + lane_index() / 4;
  const int n = warp_index() % Tile::kAcross * Tile::kWarpN + lane_index() % 4 * 2;
  for (int i = 0; i < Tile::kWarpM / 16; ++i) {
    for (int j = 0; j < Tile::kWarpN / 8; ++j) {
      const auto& of = sums.of[i][j];
      for (int half = 0; half < 2; ++half) {
        store_lanes(&s.sums[m + 16 * i + 8 * half][n + 8 * j],
                    Lanes<float, 2>{of[2 * half], of[2 * half + 1]});
      }
    }
  }
}

// The N sums from `column` of the row on, if they are inside.
template <class T, int N>
__device__ __forceinline__ void store_shared(const Output& out, std::int64_t product,
                                             std::int64_t row, std::int64_t column,
                                             const float* sums) {
  if (!inside(column / N, out.columns / N)) return;
  float v[N];
  load_floats(sums, v);
  store_run<T>(out, product, row, column, v);
}

// The sums of the tile that begins at (m, n) in a matrix of `rows`. Every thread of the block
// calls.
template <class T, class Tile, class RowOfY>
__device__ __forceinline__ void store_tile(typename Tile::Storage& s, const TensorSums<Tile>& sums,
                                           const Output& out, std::int64_t product, int rows, int m,
                                           int n, RowOfY row_of_y) {
  constexpr int kPack = Output::kPack, kAcross = Tile::kN / kPack;
  __syncthreads();  // all have left the last stage
  share_sums<Tile>(s, sums);
  __syncthreads();
  const int column = static_cast<int>(threadIdx.x) % kAcross * kPack;
  const int first = static_cast<int>(threadIdx.x) / kAcross;
  for (int row = first; row < Tile::kM; row += Tile::kThreads / kAcross) {
    if (!inside(m + row, rows)) return;
    const std::int64_t y_row = row_of_y(m + row);
    const float* of = &s.sums[row][column];
    if (out.width == kPack) {
      store_shared<T, kPack>(out, product, y_row, n + column, of);
    } else {
      for (int i = 0; i < kPack; ++i) {
        store_shared<T, 1>(out, product, y_row, n + column + i, of + i);
      }
    }
  }
}

}  // namespace convoy::CONVOY_TARGET
