// SPDX-License-Identifier: MIT
#pragma once
// A tensor-core tile's way out: through shared memory, so that each thread has neighbours of one
// row, and a warp writes whole lines.
//
//   store_tile<T, Tile>(s, sums, output, position, [&](int m) { return row_of_y; });

#include "kernels/gpu/output.cuh"
#include "kernels/gpu/spread.cuh"
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

// The N sums from `column` of the row on, if they are inside. For the totals they become what is
// stored.
template <class T, int N>
__device__ __forceinline__ void store_shared(const Output& out, std::int64_t product,
                                             std::int64_t row, std::int64_t column, float* sums,
                                             ColumnTotals& totals, int total) {
  if (!inside(column / N, out.columns / N)) return;
  float v[N];
  load_floats(sums, v);
  store_run<T>(out, product, row, column, v, totals, total);
  if (out.totals != nullptr) store_floats(sums, v);
}

// Where a tile lies in its product, a matrix of `rows`, and where that goes.
struct TilePosition {
  std::int64_t product_of_y;
  int rows, m, n;
  std::int64_t row_of_tiles;
};

// Threads that stand above each other in a tile take every kGroups-th row.
template <class Tile>
struct TotalsStorage {
  static constexpr int kGroups = Tile::kThreads / (Tile::kN / Output::kPack);
  float origin[kGroups][Tile::kN], first[kGroups][Tile::kN], second[kGroups][Tile::kN];

  static_assert(3 * sizeof(origin) <= sizeof(typename Tile::Storage));
};

// The totals of a column over the rows of all groups: sum and sum, or mean and squared deviations.
// Means are seen from the first group's origin, so that a large one rounds nothing away.
template <class Tile>
__device__ __forceinline__ void join_groups(const TotalsStorage<Tile>& t, bool of_gradient,
                                            int rows, int column, float& first, float& second) {
  constexpr int kGroups = TotalsStorage<Tile>::kGroups;
  const float origin = t.origin[0][column];
  Spread<float> all;
  first = second = 0;
  for (int g = 0; g < kGroups; ++g) {
    const int count = max(0, (rows - g + kGroups - 1) / kGroups);
    const float mean = t.origin[g][column] - origin + t.first[g][column];
    all.join({static_cast<float>(count), mean, t.second[g][column]});
    first += t.first[g][column];
    second += t.second[g][column];
  }
  if (of_gradient) return;
  first = origin + all.mean;
  second = all.deviations;
}

// The second pass over what this thread stored: origin + first becomes the mean, beyond a float's
// digits, and second the squared deviations from it.
template <class Tile>
__device__ __forceinline__ void find_deviations(const typename Tile::Storage& s, ColumnTotals& mine,
                                                int group, int column) {
  const float rows = static_cast<float>(max(mine.rows, 1));
  for (int j = 0; j < ColumnTotals::kColumns; ++j) {
    mine.origin[j] += mine.first[j] / rows;
    mine.first[j] = 0;
  }
  for (int row = 0; row < mine.rows; ++row) {
    const float* stored = &s.sums[group + row * TotalsStorage<Tile>::kGroups][column];
    for (int j = 0; j < ColumnTotals::kColumns; ++j) {
      const float d = stored[j] - mine.origin[j];
      mine.first[j] += d;
      mine.second[j] = fmaf(d, d, mine.second[j]);
    }
  }
  for (float& first : mine.first) first /= rows;
}

// The totals of a tile's columns over its rows, joined in a fixed order. Every thread of the block
// calls.
template <class Tile>
__device__ __forceinline__ void store_totals(const typename Tile::Storage& s, const Output& out,
                                             ColumnTotals& mine, const TilePosition& at) {
  auto& t = shared<TotalsStorage<Tile>>();
  constexpr int kPack = Output::kPack, kAcross = Tile::kN / kPack;
  const int thread = static_cast<int>(threadIdx.x), group = thread / kAcross;
  const bool of_gradient = out.gradient.raw != nullptr;
  if (!of_gradient) find_deviations<Tile>(s, mine, group, thread % kAcross * kPack);
  __syncthreads();  // all have read their sums
  for (int j = 0; j < kPack; ++j) {
    const int column = thread % kAcross * kPack + j;
    t.origin[group][column] = mine.origin[j];
    t.first[group][column] = mine.first[j];
    t.second[group][column] = mine.second[j];
  }
  __syncthreads();
  if (thread >= Tile::kN || !inside(at.n + thread, out.columns)) return;
  float first, second;
  join_groups<Tile>(t, of_gradient, min(at.rows - at.m, Tile::kM), thread, first, second);
  const std::int64_t channels = out.products * out.columns;
  float* const to =
      out.totals + at.row_of_tiles * 2 * channels + at.product_of_y * out.columns + at.n + thread;
  to[0] = first, to[channels] = second;
}

// Every thread of the block calls.
template <class T, class Tile, class Sums, class RowOfY>
__device__ __forceinline__ void store_tile(typename Tile::Storage& s, const Sums& sums,
                                           const Output& out, const TilePosition& at,
                                           RowOfY row_of_y) {
  constexpr int kPack = Output::kPack, kAcross = Tile::kN / kPack;
  __syncthreads();  // all have left the last stage
  share_sums<Tile>(s, sums);
  __syncthreads();
  const int column = static_cast<int>(threadIdx.x) % kAcross * kPack;
  const int first = static_cast<int>(threadIdx.x) / kAcross;
  ColumnTotals totals;
  for (int row = first; row < Tile::kM; row += Tile::kThreads / kAcross) {
    if (!inside(at.m + row, at.rows)) break;
    const std::int64_t y_row = row_of_y(at.m + row);
    float* of = &s.sums[row][column];
    if (out.width == kPack) {
      store_shared<T, kPack>(out, at.product_of_y, y_row, at.n + column, of, totals, 0);
    } else {
      for (int i = 0; i < kPack; ++i) {
        store_shared<T, 1>(out, at.product_of_y, y_row, at.n + column + i, of + i, totals, i);
      }
    }
    ++totals.rows;
  }
  if (out.totals != nullptr) store_totals<Tile>(s, out, totals, at);
}

}  // namespace convoy::CONVOY_TARGET
