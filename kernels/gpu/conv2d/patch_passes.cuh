// SPDX-License-Identifier: MIT
#pragma once
// The three passes of a convolution in patches of outputs (kernels/gpu/patch.cuh): which factors
// they multiply, and what becomes of the sums. kFused: with the neighbours' norms, statistics and
// the gradient's epilogue.

#include "kernels/gpu/conv2d/gradient_epilogue.cuh"
#include "kernels/gpu/conv2d/partials.cuh"
#include "kernels/gpu/conv2d/patch_factors.cuh"
#include "kernels/gpu/conv2d/statistics.cuh"
#include "kernels/gpu/epilogue.cuh"

namespace convoy::CONVOY_TARGET {

// Whether quads of each factor are one aligned access.
struct ConvolutionPacks {
  bool a, b;
};

// A norm on load takes more registers than six blocks of 64 threads leave.
template <class Tile, bool kFused>
constexpr int kPatchBlocks = kFused ? 256 / Tile::kThreads : Tile::kBlocks;

// A warp of the gradient to the input holds its phase as well: twelve leave too few registers.
template <class Tile, bool kFused>
constexpr int kInputPatchBlocks = kPatchBlocks<Tile, kFused || Tile::kThreads == kWarp>;

// What a thread has of each of its columns, of(j), joined in a fixed order. Every thread of the
// block calls; put(column, total) is called once for each column of the tile.
template <class Tile, class Storage, class Of, class Put>
__device__ __forceinline__ void join_columns(Storage& s, Of of, Put put) {
  CONVOY_UNROLL
  for (int j = 0; j < Tile::kPatchN; ++j) {
    s.of_strip[Tile::Place::place().strip][Patch<Tile>::column(j)] = of(j);
  }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < Tile::kN; i += Tile::kThreads) {
    auto total = s.of_strip[0][i];
    for (int strip = 1; strip < Tile::kM / Tile::kStrip; ++strip) total.join(s.of_strip[strip][i]);
    put(i, total);
  }
}

// ---- forward ----

// Mean and squared deviations of the first `rows` rows of each column, into partial[2][pitch].
template <class Tile>
__device__ __forceinline__ void store_spreads(const Patch<Tile>& patch, int rows, int columns,
                                              float* partial, std::int64_t pitch) {
  int count = 0;
  for (int i = 0; i < Tile::kPatch; ++i) count += inside(Patch<Tile>::row(i), rows);
  const auto spread = [&](int j) {
    float values[Tile::kPatch];
    for (int i = 0; i < Tile::kPatch; ++i) values[i] = patch.sum[i][j];
    return spread_of(values, count);
  };
  join_columns<Tile>(shared<SpreadStorage<Tile>>(), spread, [&](int i, const auto& all) {
    if (!inside(i, columns)) return;
    partial[i] = all.mean, partial[pitch + i] = all.deviations;
  });
}

template <class T, class Tile, bool kFused>
__global__ void __launch_bounds__(Tile::kThreads, kPatchBlocks<Tile, kFused>)
    conv2d_forward_patch_per_thread(Conv2dForward op, Walk g, ConvolutionPacks packs,
                                    float* partial) {
  begin_kernel();
  using OnLoad = std::conditional_t<kFused, NormedInput<T>, AsStored<T>>;
  const TilePlace<Tile> tile(g.outputs, g.filters);
  const int group = static_cast<int>(tile.product), first_filter = group * g.filters + tile.n;
  const FindInput<T> find{static_cast<const T*>(op.x) + group * g.channels, g};
  const GatherFactor<T, true, FindInput<T>, OnLoad> a{tile.m,
                                                      g.outputs,
                                                      g.taps_channels,
                                                      g.output,
                                                      g.tap_channel,
                                                      packs.a,
                                                      group * g.channels,
                                                      find,
                                                      OnLoad{op.prologue}};
  const T* weight = static_cast<const T*>(op.weight) + std::int64_t{first_filter} * g.taps_channels;
  const int rows = g.outputs - tile.m, columns = g.filters - tile.n;
  const MatrixFactor<T> b{weight, g.taps_channels, columns, g.taps_channels, true, packs.b};

  Patch<Tile> patch = multiply_patches<Tile>(0, g.taps_channels, a, b);
  patch.for_each_inside(rows, columns, [&](int row, int column, int, float& sum) {
    const int filter = first_filter + column;
    const std::int64_t i = std::int64_t{tile.m + row} * g.K + filter;
    sum = store_sum<T>(op.epilogue, static_cast<T*>(op.y), i, filter, false, sum);
  });
  if constexpr (kFused) {
    if (partial == nullptr) return;
    partial += std::int64_t{tile.m / Tile::kM} * 2 * g.K + first_filter;
    store_spreads(patch, rows, columns, partial, g.K);
  }
}

// ---- gradient of the input ----

template <class T, class Tile, bool kFused>
__device__ __forceinline__ void backward_input_patches(const Conv2dBackwardInput& op, const Walk& g,
                                                       const Phases& phases,
                                                       const ConvolutionPacks& packs,
                                                       float* partial, unsigned block) {
  using OnLoad = std::conditional_t<kFused, NormedGradient<T>, AsStored<T>>;
  const TilePlace<Tile> tile(phases.rows(), g.channels, block);
  const int groups = static_cast<int>(op.g.groups), product = static_cast<int>(tile.product);
  const int group = product % groups, number = product / groups;
  const Phase phase(g, phases, number);
  const Radix tap{phase.by_taps_w, g.tap_filter.last};
  const int depth = phase.taps * g.filters;
  const T* dy = static_cast<const T*>(op.dy);
  const FindOutput<T> find{dy + group * g.filters, g, phase};
  const GatherFactor<T, true, FindOutput<T>, OnLoad> a{
      tile.m,  phase.rows,        depth, phase.pixels,           tap,
      packs.a, group * g.filters, find,  OnLoad{op.prologue, dy}};
  const T* weight =
      static_cast<const T*>(op.weight) + std::int64_t{group} * g.filters * g.taps_channels;
  const int rows = phase.rows - tile.m, columns = g.channels - tile.n;
  const FilterFactor<T> b{weight + tile.n, g, phase, tap, columns, packs.b};

  Patch<Tile> patch = multiply_patches<Tile>(0, depth, a, b);
  const int first_channel = group * g.channels + tile.n;
  GradientSums sums[Tile::kPatchN];
  patch.for_each_inside(rows, columns, [&](int row, int column, int j, float sum) {
    const int channel = first_channel + column;
    const std::int64_t i = std::int64_t{phase.pixel(tile.m + row)} * g.C + channel;
    if constexpr (kFused) {
      store_input_gradient<T>(op, i, channel, sum, sums[j]);
    } else {
      store_gradient(static_cast<T*>(op.dx)[i], sum, op.accumulate);
    }
  });
  if constexpr (kFused) {
    if (partial == nullptr) return;
    const std::int64_t row_of_tiles = number * phases.tiles_each(Tile::kM) + tile.m / Tile::kM;
    partial += row_of_tiles * 2 * g.C + first_channel;
    join_columns<Tile>(
        shared<GradientSumStorage<Tile>>(), [&](int j) { return sums[j]; },
        [&](int i, const GradientSums& all) {
          if (inside(i, columns)) partial[i] = all.g, partial[g.C + i] = all.dot;
        });
  }
}

template <class T, class Tile, bool kFused>
__global__ void __launch_bounds__(Tile::kThreads, kInputPatchBlocks<Tile, kFused>)
    conv2d_backward_input_patch_per_thread(Conv2dBackwardInput op, Walk g, Phases phases,
                                           ConvolutionPacks packs, float* partial) {
  begin_kernel();
  backward_input_patches<T, Tile, kFused>(op, g, phases, packs, partial, blockIdx.x);
}

// ---- gradient of the weights ----

// One part of the outputs. Where a tile begins at the first weight it also sums what passes as b:
// the gradient of the bias.
template <class T, class Tile, bool kFused>
__device__ __forceinline__ void backward_weight_patches(const Conv2dBackwardWeight& op,
                                                        const Walk& g,
                                                        const ConvolutionPacks& packs, float* sums,
                                                        const Parts& parts, unsigned block) {
  using OnInput = std::conditional_t<kFused, NormedInput<T>, AsStored<T>>;
  using OnGradient = std::conditional_t<kFused, NormedGradient<T>, AsStored<T>>;
  const int rows = op.dweight == nullptr ? 0 : g.taps_channels;
  const TilePlace<Tile> tile(max(rows, 1), g.filters, block);
  const int groups = static_cast<int>(op.g.groups);
  const int group = static_cast<int>(tile.product) % groups;
  const int part = static_cast<int>(tile.product) / groups;
  const int begin = part * static_cast<int>(parts.size);
  const int end = min(begin + static_cast<int>(parts.size), g.outputs);
  const int first_filter = group * g.filters + tile.n, columns = g.filters - tile.n;
  const FindInput<T> find{static_cast<const T*>(op.x) + group * g.channels, g};
  // The bound on taps saves loads and no more where it falls into a tile: rows behind the last are
  // not stored. (A mutant of it may survive.)
  const GatherFactor<T, false, FindInput<T>, OnInput> a{tile.m,
                                                        end,
                                                        rows,
                                                        g.output,
                                                        g.tap_channel,
                                                        packs.a,
                                                        group * g.channels,
                                                        find,
                                                        OnInput{op.prologue}};
  const T* dy = static_cast<const T*>(op.dy);
  const PixelFactor<T, OnGradient> b{dy + first_filter,
                                     g.K,
                                     columns,
                                     end,
                                     first_filter,
                                     packs.b,
                                     OnGradient{op.gradient_prologue, dy}};

  const int mine = static_cast<int>(threadIdx.x);
  float of_bias = 0;
  const Patch<Tile> patch = multiply_patches<Tile>(begin, end, a, b, [&](const auto& slab) {
    if (tile.m > 0 || mine >= Tile::kN) return;
    for (int k = 0; k < Tile::kK; ++k) of_bias += slab[k][mine];
  });

  float* of_part = sums + part * sums_per_part(op.g) + first_filter;
  patch.for_each_quad([&](int row, int column, const float(&sum)[kQuad]) {
    if (!inside(tile.m + row, rows)) return;
    float* of_row = of_part + std::int64_t{tile.m + row} * g.K;
    CONVOY_UNROLL
    for (int j = column; j < column + kQuad; ++j) {
      if (inside(j, columns)) of_row[j] = sum[j - column];
    }
  });
  if (tile.m == 0 && mine < Tile::kN && inside(mine, columns)) {
    of_part[std::int64_t{g.taps_channels} * g.K + mine] = of_bias;
  }
}

template <class T, class Tile, bool kFused>
__global__ void __launch_bounds__(Tile::kThreads, kPatchBlocks<Tile, kFused>)
    conv2d_backward_weight_patch_per_thread_and_part(Conv2dBackwardWeight op, Walk g,
                                                     ConvolutionPacks packs, float* sums,
                                                     Parts parts) {
  begin_kernel();
  backward_weight_patches<T, Tile, kFused>(op, g, packs, sums, parts, blockIdx.x);
}

}  // namespace convoy::CONVOY_TARGET
