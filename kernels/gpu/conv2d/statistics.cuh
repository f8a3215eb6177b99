// SPDX-License-Identifier: MIT
#pragma once
// BatchStatistics (kernels/epilogue.h) of what a convolution stores, for tiles whose threads hold a
// strip of one column each (kernels/gpu/tile.cuh). Each thread takes mean and squared deviations of
// the values in its registers; threads, then tiles, are joined in a fixed order.

#include "kernels/conv2d.h"
#include "kernels/gpu/column_statistics.cuh"

namespace convoy::CONVOY_TARGET {

// Of the first `count` values.
template <int N>
__device__ __forceinline__ Spread<float> spread_of(const float (&values)[N], int count) {
  Spread<float> s{static_cast<float>(count)};
  for (int i = 0; i < N; ++i) {
    if (i < count) s.mean += values[i] / s.count;
  }
  for (int i = 0; i < N; ++i) {
    if (i < count) s.deviations = fmaf(values[i] - s.mean, values[i] - s.mean, s.deviations);
  }
  return s;
}

template <class Tile>
struct SpreadStorage {
  typename Tile::Storage tile;
  Spread<float> of_strip[Tile::kM / Tile::kStrip][Tile::kN];
};

// Every thread of the block calls; those of the first strip get their column's.
template <class Tile>
__device__ __forceinline__ Spread<float> join_strips(SpreadStorage<Tile>& s,
                                                     const Spread<float>& mine) {
  const int thread = static_cast<int>(threadIdx.x), column = thread % Tile::kN;
  s.of_strip[thread / Tile::kN][column] = mine;
  __syncthreads();
  Spread<float> all = s.of_strip[0][column];
  for (int i = 1; i < Tile::kM / Tile::kStrip; ++i) all.join(s.of_strip[i][column]);
  return all;
}

inline std::size_t spread_bytes(const Conv2dForward& op, int tile_rows) {
  if (op.epilogue.statistics.mean == nullptr) return 0;
  return 2 * sizeof(float) * blocks_for(op.g.N * op.g.P * op.g.Q, tile_rows) *
         static_cast<std::size_t>(op.g.K);
}

inline void finish_statistics(const Conv2dForward& op, const float* partial, int tile_rows,
                              const Stream& stream) {
  finish_statistics(op.epilogue.statistics, op.g.K, op.g.N * op.g.P * op.g.Q, tile_rows, partial,
                    stream);
}

}  // namespace convoy::CONVOY_TARGET
