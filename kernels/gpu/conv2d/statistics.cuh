// SPDX-License-Identifier: MIT
#pragma once
// BatchStatistics (kernels/prologue.h): mean and variance of what a convolution stores. Each thread
// takes mean and squared deviations of the values in its registers; threads, then tiles, are joined
// in a fixed order (Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing
// sample variances", 1979): safe for any mean. Tiles leave theirs in partial[row of tiles][2][K].

#include "kernels/conv2d.h"
#include "kernels/gpu/conv2d/join_tiles.cuh"
#include "kernels/gpu/spread.cuh"

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

// For tiles whose threads hold a strip of one column each (kernels/gpu/tile.cuh).
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
  if (op.statistics.mean == nullptr) return 0;
  return 2 * sizeof(float) * blocks_for(op.g.N * op.g.P * op.g.Q, tile_rows) *
         static_cast<std::size_t>(op.g.K);
}

__global__ void __launch_bounds__(kJoinWarps* kWarp)
    conv2d_finish_statistics(BatchStatistics to, std::int64_t channels, std::int64_t pixels,
                             int tile_rows, const float* partial) {
  const std::int64_t c = channel_to_join(), tiles = (pixels + tile_rows - 1) / tile_rows;
  const bool works = inside(c, channels);
  const auto all = join_tiles<Spread<double>>(tiles, works, [&](std::int64_t tile) {
    const std::int64_t left = pixels - tile * tile_rows;
    const float* of_tile = partial + tile * 2 * channels + c;
    return Spread<double>{static_cast<double>(left < tile_rows ? left : tile_rows), of_tile[0],
                          of_tile[channels]};
  });
  if (!works || warp_index() > 0) return;
  to.mean[c] = static_cast<float>(all.mean);
  to.var[c] = static_cast<float>(all.deviations / all.count);
}

inline void finish_statistics(const Conv2dForward& op, const float* partial, int tile_rows,
                              const Stream& stream) {
  launch_join<Spread<double>>(op.g.K, stream, conv2d_finish_statistics, op.statistics, op.g.K,
                              op.g.N * op.g.P * op.g.Q, tile_rows, partial);
}

}  // namespace convoy::CONVOY_TARGET
