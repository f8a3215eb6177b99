// SPDX-License-Identifier: MIT
#pragma once
// GradientEpilogue (kernels/prologue.h): what happens to an input gradient on its way to memory,
// and the sums that the norm in front of the convolution needs. A tile leaves the sums of its rows
// in partial[row of tiles][2][C]; they are added in a fixed order, in double.

#include "kernels/conv2d.h"
#include "kernels/gpu/join_tiles.cuh"
#include "kernels/gpu/norm_line.cuh"

namespace convoy::CONVOY_TARGET {

struct GradientSums {
  float g = 0, dot = 0;

  __device__ __forceinline__ void join(const GradientSums& other) {
    g += other.g;
    dot += other.dot;
  }
};

// Stores element `i`, in `channel`, whose own sum is v.
template <class T>
__device__ __forceinline__ void store_input_gradient(const Conv2dBackwardInput& op, std::int64_t i,
                                                     int channel, float v, GradientSums& sums) {
  const GradientEpilogue& e = op.epilogue;
  T* const dx = static_cast<T*>(op.dx);
  if (op.accumulate) v += widen(dx[i]);
  if (e.addend != nullptr) v += widen(static_cast<const T*>(e.addend)[i]);
  if (e.raw == nullptr) {
    dx[i] = narrow<T>(v);
    return;
  }
  float masked[1] = {v}, apart[1];
  mask<T>(e, i, channel, masked, apart);
  const T g = narrow<T>(masked[0]);
  dx[i] = g;
  sums.g += widen(g);
  sums.dot = fmaf(widen(g), apart[0], sums.dot);
}

// For tiles whose threads hold a strip of one column each (kernels/gpu/tile.cuh).
template <class Tile>
struct GradientSumStorage {
  typename Tile::Storage tile;
  GradientSums of_strip[Tile::kM / Tile::kStrip][Tile::kN];
};

// Every thread of the block calls; those of the first strip get their column's sums.
template <class Tile>
__device__ __forceinline__ GradientSums sum_columns(GradientSumStorage<Tile>& s,
                                                    const GradientSums& mine) {
  const int thread = static_cast<int>(threadIdx.x), column = thread % Tile::kN;
  s.of_strip[thread / Tile::kN][column] = mine;
  __syncthreads();
  GradientSums total;
  for (const auto& strip : s.of_strip) total.join(strip[column]);
  return total;
}

// Of so many rows of tiles.
inline std::size_t gradient_partial_bytes(const Conv2dBackwardInput& op, std::int64_t tiles) {
  if (op.epilogue.raw == nullptr) return 0;
  return 2 * sizeof(float) * static_cast<std::size_t>(tiles * op.g.C);
}
// Rows of tiles, where tiles lie along all pixels.
inline std::int64_t gradient_tiles(const Conv2dBackwardInput& op, int tile_rows) {
  return blocks_for(op.g.N * op.g.H * op.g.W, tile_rows);
}

struct TileSum {
  double value = 0;
  __device__ __forceinline__ void join(const TileSum& other) { value += other.value; }
};

static __global__ void __launch_bounds__(kJoinWarps* kWarp)
    conv2d_finish_gradient_sums(std::int64_t columns, std::int64_t tiles, const float* partial,
                                float* sums) {
  begin_kernel();
  const std::int64_t i = channel_to_join();
  const bool works = inside(i, columns);
  const auto total = join_tiles<TileSum>(
      tiles, works, [&](std::int64_t tile) { return TileSum{partial[tile * columns + i]}; });
  if (works && warp_index() == 0) sums[i] = static_cast<float>(total.value);
}

static void add_gradient_sums(const Conv2dBackwardInput& op, const float* partial,
                              std::int64_t tiles, const Stream& stream) {
  launch_join<TileSum>(2 * op.g.C, stream, conv2d_finish_gradient_sums, 2 * op.g.C, tiles, partial,
                       op.epilogue.sums);
}

static void finish_gradient_sums(const Conv2dBackwardInput& op, const float* partial, int tile_rows,
                                 const Stream& stream) {
  add_gradient_sums(op, partial, gradient_tiles(op, tile_rows), stream);
}

}  // namespace convoy::CONVOY_TARGET
