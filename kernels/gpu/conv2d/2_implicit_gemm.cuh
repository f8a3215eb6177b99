// SPDX-License-Identifier: MIT
#pragma once
// conv2d 2: implicit gemm
// Idea     each pass is a matrix product whose factors are laid out only in shared memory, tile by
//          tile (kernels/gpu/tile.cuh): the unfolded input (im2col) is never written to memory.
//                            M                K                   N
//          forward           output pixels    taps and channels   filters
//          backward input    input pixels     taps and filters    channels
//          backward weight   taps, channels   output pixels       filters
// Gain     a value is read once per tile; the same inner loop as gemm.
// Limit    f32 multiply-adds from shared memory; a strided backward input multiplies the zeros
//          between the outputs.

#include "kernels/gpu/conv2d/gradient_epilogue.cuh"
#include "kernels/gpu/conv2d/partials.cuh"
#include "kernels/gpu/conv2d/statistics.cuh"
#include "kernels/gpu/conv2d/walk.cuh"
#include "kernels/gpu/epilogue.cuh"
#include "kernels/gpu/norm_line.cuh"

namespace convoy::CONVOY_TARGET {

// Below this many channels neighbouring lanes read neighbouring pixels, not channels.
constexpr int kFewChannels = 8;

// What output pixel (n, p, q) meets at tap (r, s) in channel c of the group; zero in the padding.
template <class T>
__device__ __forceinline__ float input_at(const T* x, const Prologue& prologue, const Walk& g,
                                          Index3 pixel, Index3 tap, int group) {
  const int h = pixel.middle * g.stride_h - g.pad_h + tap.first * g.dilation_h;
  const int w = pixel.last * g.stride_w - g.pad_w + tap.middle * g.dilation_w;
  if (!inside(h, g.H) || !inside(w, g.W)) return 0.0f;
  const std::int64_t place = (std::int64_t{pixel.first} * g.H + h) * g.W + w;
  const int channel = group * g.channels + tap.last;
  const float value = widen(x[place * g.C + channel]);
  if (prologue.lines == nullptr) return value;
  return normed_as_stored<T>(prologue.lines[channel], value, prologue.relu);
}

// So many blocks give a thread 80 registers: left to itself ptxas aims at fewer, and spills.
template <class Tile>
constexpr int kBlocks = 768 / Tile::kThreads;

template <class T, class Tile>
__global__ void __launch_bounds__(Tile::kThreads, kBlocks<Tile>)
    conv2d_forward_block_per_tile(Conv2dForward op, Walk g, float* partial) {
  begin_kernel();
  const TilePlace<Tile> tile(g.outputs, g.filters);
  const int group = static_cast<int>(tile.product);
  const T* x = static_cast<const T*>(op.x);
  const T* weight =
      static_cast<const T*>(op.weight) + std::int64_t{group} * g.filters * g.taps_channels;

  // In all three passes: rows and columns past the end are not stored, and their checks only keep
  // the reads inside of the arrays; k is checked on both sides, as zero times infinity is no zero.
  const Strip<Tile> strip = multiply<Tile>(
      0, g.taps_channels, g.channels >= kFewChannels,
      [&](int row, int k) {
        const int m = tile.m + row;
        if (!inside(m, g.outputs) || !inside(k, g.taps_channels)) return 0.0f;
        return input_at(x, op.prologue, g, g.output.split(m), g.tap_channel.split(k), group);
      },
      true,
      [&](int column, int k) {
        const int n = tile.n + column;
        if (!inside(n, g.filters) || !inside(k, g.taps_channels)) return 0.0f;
        return widen(weight[std::int64_t{n} * g.taps_channels + k]);
      });

  const int n = tile.n + strip.column(), filter = group * g.filters + n;
  float stored[Tile::kStrip];
  int rows = 0;
  for (int i = 0; i < Tile::kStrip; ++i) {
    const int m = tile.m + strip.first_row() + i;
    if (!inside(m, g.outputs) || !inside(n, g.filters)) continue;
    stored[i] = store_sum<T>(op.epilogue, static_cast<T*>(op.y), std::int64_t{m} * g.K + filter,
                             filter, false, strip.sum[i]);
    rows = i + 1;
  }
  if (partial == nullptr) return;
  const Spread<float> all = join_strips(shared<SpreadStorage<Tile>>(), spread_of(stored, rows));
  if (strip.first_row() > 0 || !inside(n, g.filters)) return;
  float* const to = partial + std::int64_t{tile.m / Tile::kM} * 2 * g.K + filter;
  to[0] = all.mean, to[g.K] = all.deviations;
}

// The gradient of the output in filter k that meets input pixel (n, h, w) at tap (r, s): zero where
// there is none, by the stride or at the border.
template <class T>
__device__ __forceinline__ float output_at(const T* dy, const GradientPrologue& prologue,
                                           const Walk& g, Index3 pixel, Index3 tap, int group) {
  const int h = pixel.middle + g.pad_h - tap.first * g.dilation_h;
  const int w = pixel.last + g.pad_w - tap.middle * g.dilation_w;
  if (!inside(h, g.P * g.stride_h) || !inside(w, g.Q * g.stride_w)) return 0.0f;
  const int p = g.by_stride_h.quotient(h), q = g.by_stride_w.quotient(w);
  if (p * g.stride_h != h || q * g.stride_w != w) return 0.0f;
  const std::int64_t place = (std::int64_t{pixel.first} * g.P + p) * g.Q + q;
  const int filter = group * g.filters + tap.last;
  return gradient_at(dy, prologue, place * g.K + filter, filter);
}

template <class T, class Tile>
__device__ __forceinline__ void backward_input_tile(const Conv2dBackwardInput& op, const Walk& g,
                                                    float* partial, unsigned block) {
  const TilePlace<Tile> tile(g.inputs, g.channels, block);
  const int group = static_cast<int>(tile.product);
  const T* dy = static_cast<const T*>(op.dy);
  const T* weight =
      static_cast<const T*>(op.weight) + std::int64_t{group} * g.filters * g.taps_channels;

  const Strip<Tile> strip = multiply<Tile>(
      0, g.taps_filters, g.filters >= kFewChannels,
      [&](int row, int k) {
        const int m = tile.m + row;
        if (!inside(m, g.inputs) || !inside(k, g.taps_filters)) return 0.0f;
        return output_at(dy, op.prologue, g, g.input.split(m), g.tap_filter.split(k), group);
      },
      false,
      [&](int column, int k) {
        const int n = tile.n + column;
        if (!inside(n, g.channels) || !inside(k, g.taps_filters)) return 0.0f;
        const int filter = g.tap_filter.last.remainder(k), tap = g.tap_filter.last.quotient(k);
        return widen(weight[std::int64_t{filter} * g.taps_channels + tap * g.channels + n]);
      });

  const int n = tile.n + strip.column(), channel = group * g.channels + n;
  GradientSums sums;
  for (int i = 0; i < Tile::kStrip; ++i) {
    const int m = tile.m + strip.first_row() + i;
    if (!inside(m, g.inputs) || !inside(n, g.channels)) continue;
    store_input_gradient<T>(op, std::int64_t{m} * g.C + channel, channel, strip.sum[i], sums);
  }
  if (partial == nullptr) return;
  auto& s = shared<GradientSumStorage<Tile>>();
  const GradientSums total = sum_columns(s, sums);
  if (strip.first_row() > 0 || !inside(n, g.channels)) return;
  float* const to = partial + std::int64_t{tile.m / Tile::kM} * 2 * g.C + channel;
  to[0] = total.g, to[g.C] = total.dot;
}

template <class T, class Tile>
__global__ void __launch_bounds__(Tile::kThreads)
    conv2d_backward_input_block_per_tile(Conv2dBackwardInput op, Walk g, float* partial) {
  begin_kernel();
  backward_input_tile<T, Tile>(op, g, partial, blockIdx.x);
}

// One part of the outputs; the bias' gradient is the sum of what the first row of tiles stages as
// b.
template <class T, class Tile>
__device__ __forceinline__ void backward_weight_tile(const Conv2dBackwardWeight& op, const Walk& g,
                                                     float* sums, const Parts& parts,
                                                     unsigned block) {
  const int rows = op.dweight == nullptr ? 0 : g.taps_channels;
  const TilePlace<Tile> tile(max(rows, 1), g.filters, block);
  const int groups = static_cast<int>(op.g.groups);
  const int group = static_cast<int>(tile.product) % groups;
  const int part = static_cast<int>(tile.product) / groups;
  const int begin = part * static_cast<int>(parts.size);
  const int end = min(begin + static_cast<int>(parts.size), g.outputs);
  const T *x = static_cast<const T*>(op.x), *dy = static_cast<const T*>(op.dy);

  const Strip<Tile> strip = multiply<Tile>(
      begin, end, false,
      [&](int row, int k) {
        // The bound on m saves loads and no more (a mutant of it may survive): input_at has bounds
        // of its own, and what a row behind the last one sums is not stored.
        const int m = tile.m + row;
        if (!inside(m, rows) || !inside(k, end)) return 0.0f;
        return input_at(x, op.prologue, g, g.output.split(k), g.tap_channel.split(m), group);
      },
      false,
      [&](int column, int k) {
        const int n = tile.n + column;
        if (!inside(n, g.filters) || !inside(k, end)) return 0.0f;
        const int filter = group * g.filters + n;
        return gradient_at(dy, op.gradient_prologue, std::int64_t{k} * g.K + filter, filter);
      });

  const int n = tile.n + strip.column();
  if (!inside(n, g.filters)) return;
  float* of_filter = sums + part * sums_per_part(op.g) + group * g.filters + n;
  for (int i = 0; i < Tile::kStrip; ++i) {
    const int m = tile.m + strip.first_row() + i;
    if (inside(m, rows)) of_filter[std::int64_t{m} * g.K] = strip.sum[i];
  }
  if (tile.m + strip.first_row() == 0) of_filter[std::int64_t{g.taps_channels} * g.K] = strip.b_sum;
}

template <class T, class Tile>
__global__ void __launch_bounds__(Tile::kThreads, kBlocks<Tile>)
    conv2d_backward_weight_block_per_tile_and_part(Conv2dBackwardWeight op, Walk g, float* sums,
                                                   Parts parts) {
  begin_kernel();
  backward_weight_tile<T, Tile>(op, g, sums, parts, blockIdx.x);
}

template <class T>
void conv2d_implicit_gemm(const Conv2dForward& op, void* workspace, const Stream& stream) {
  const Walk walk(op.g);
  auto* const partial =
      op.epilogue.statistics.mean == nullptr ? nullptr : static_cast<float*>(workspace);
  with_tile(walk.filters, [&]<class Tile>(Type<Tile>) {
    launch({.grid = tiles_for<Tile>(walk.outputs, walk.filters, op.g.groups),
            .block = Tile::kThreads,
            .shared_bytes = sizeof(SpreadStorage<Tile>),
            .stream = stream},
           conv2d_forward_block_per_tile<T, Tile>, op, walk, partial);
  });
  if (partial != nullptr) finish_statistics(op, partial, WideTile::kM, stream);
}

inline std::size_t conv2d_implicit_gemm_workspace(const Conv2dBackwardInput& op) {
  return gradient_partial_bytes(op, gradient_tiles(op, WideTile::kM));
}
template <class T>
void conv2d_implicit_gemm(const Conv2dBackwardInput& op, void* workspace, const Stream& stream) {
  const Walk walk(op.g);
  auto* const partial = op.epilogue.raw == nullptr ? nullptr : static_cast<float*>(workspace);
  with_tile(walk.channels, [&]<class Tile>(Type<Tile>) {
    launch({.grid = tiles_for<Tile>(walk.inputs, walk.channels, op.g.groups),
            .block = Tile::kThreads,
            .shared_bytes = sizeof(GradientSumStorage<Tile>),
            .stream = stream},
           conv2d_backward_input_block_per_tile<T, Tile>, op, walk, partial);
  });
  if (partial != nullptr) finish_gradient_sums(op, partial, WideTile::kM, stream);
}

// Enough blocks for a large GPU, where there are few tiles; sixteen stages of a tile at least.
template <class Tile>
Parts implicit_gemm_parts(const Conv2dGeometry& g) {
  constexpr std::int64_t kWantedBlocks = 512, kOutputs = 16 * Tile::kK;
  const std::int64_t tiles = tiles_for<Tile>(weights_per_filter(g), g.K / g.groups, g.groups);
  return cut(g.N * g.P * g.Q, max(kWantedBlocks / tiles, std::int64_t{1}), kOutputs);
}
inline Parts conv2d_implicit_gemm_parts(const Conv2dGeometry& g) {
  Parts parts{};
  with_tile(g.K / g.groups, [&]<class Tile>(Type<Tile>) { parts = implicit_gemm_parts<Tile>(g); });
  return parts;
}

template <class T>
void conv2d_implicit_gemm(const Conv2dBackwardWeight& op, void* workspace, const Stream& stream) {
  const Walk walk(op.g);
  const Parts parts = conv2d_implicit_gemm_parts(op.g);
  auto* sums = static_cast<float*>(workspace);
  with_tile(walk.filters, [&]<class Tile>(Type<Tile>) {
    const std::int64_t rows = op.dweight == nullptr ? 1 : walk.taps_channels;
    launch({.grid = tiles_for<Tile>(rows, walk.filters, parts.count * op.g.groups),
            .block = Tile::kThreads,
            .shared_bytes = sizeof(typename Tile::Storage),
            .stream = stream},
           conv2d_backward_weight_block_per_tile_and_part<T, Tile>, op, walk, sums, parts);
  });
  add_parts<T>(op, sums, parts.count, stream);
}

}  // namespace convoy::CONVOY_TARGET
