// SPDX-License-Identifier: MIT
#pragma once
// conv2d 3: register tile
// Idea     rung 2's products with the outputs in registers (kernels/gpu/patch.cuh). Neighbours in
//          memory are channels, or filters: four of them share one tap, and come by one access.
// Gain     16 shared values serve 64 multiply-adds, where rung 2 reads one for each; a place is
//          looked up once for four values.
// Limit    f32 multiply-adds, and as in rung 2 the zeros of a strided backward input. Rung 4 uses
//          the tensor cores.

#include "kernels/gpu/conv2d/partials.cuh"
#include "kernels/gpu/conv2d/walk.cuh"
#include "kernels/gpu/epilogue.cuh"
#include "kernels/gpu/patch.cuh"

namespace convoy::CONVOY_TARGET {

// Where x, or dy, is met by pixels and taps: find(pixel, tap) says where, or null for a zero.
// Quads go along channels, which are the fastest part of a tap. kTapsAlongK: rows are pixels and k
// counts taps; otherwise the other way round.
template <class T, bool kTapsAlongK, class Find>
struct GatherFactor {
  using Element = T;
  static constexpr bool along_k = kTapsAlongK;
  int first;         // row of the tile
  int pixels, taps;  // how many there are
  Radix pixel, tap;
  bool packed;  // channels come in whole quads, each an aligned access
  Find find;

  __device__ __forceinline__ Quad<T> fetch(int row, int k) const {
    const int p = along_k ? first + row : k, t = along_k ? k : first + row;
    Quad<T> quad{};
    if (!inside(p, pixels)) return quad;
    const Index3 at = pixel.split(p);
    if (packed) {
      const T* from = inside(t / kQuad, taps / kQuad) ? find(at, tap.split(t)) : nullptr;
      return from == nullptr ? quad : load_lanes<kQuad>(from);
    }
    for (int j = 0; j < kQuad; ++j) {
      const T* from = inside(t + j, taps) ? find(at, tap.split(t + j)) : nullptr;
      if (from != nullptr) quad.values[j] = *from;
    }
    return quad;
  }
};

// The value of x that output pixel (n, p, q) meets at tap (r, s) in channel c of the group.
template <class T>
struct FindInput {
  const T* x;  // of the group
  const Walk& g;

  __device__ __forceinline__ const T* operator()(Index3 pixel, Index3 tap) const {
    const int h = pixel.middle * g.stride_h - g.pad_h + tap.first * g.dilation_h;
    const int w = pixel.last * g.stride_w - g.pad_w + tap.middle * g.dilation_w;
    if (!inside(h, g.H) || !inside(w, g.W)) return nullptr;
    return x + std::int64_t{(pixel.first * g.H + h) * g.W + w} * g.C + tap.last;
  }
};

// The value of dy in filter k that meets input pixel (n, h, w) at tap (r, s): none between the
// outputs of a stride.
template <class T>
struct FindOutput {
  const T* dy;  // of the group
  const Walk& g;

  __device__ __forceinline__ const T* operator()(Index3 pixel, Index3 tap) const {
    const int h = pixel.middle + g.pad_h - tap.first * g.dilation_h;
    const int w = pixel.last + g.pad_w - tap.middle * g.dilation_w;
    if (!inside(h, g.P * g.stride_h) || !inside(w, g.Q * g.stride_w)) return nullptr;
    const int p = g.by_stride_h.quotient(h), q = g.by_stride_w.quotient(w);
    if (p * g.stride_h != h || q * g.stride_w != w) return nullptr;
    return dy + std::int64_t{(pixel.first * g.P + p) * g.Q + q} * g.K + tap.last;
  }
};

// Weights as backward input takes them: k counts taps and filters, rows are channels.
template <class T>
struct FilterFactor {
  using Element = T;
  static constexpr bool along_k = false;
  const T* first;  // of the group, at the tile's first channel
  const Walk& g;
  int rows;  // channels from there to the last
  bool packed;

  __device__ __forceinline__ Quad<T> fetch(int row, int k) const {
    const int left = inside(k, g.taps_filters) ? rows - row : 0;
    const int filter = g.tap_filter.last.remainder(k), tap = g.tap_filter.last.quotient(k);
    return load_quad(first + std::int64_t{filter} * g.taps_channels + tap * g.channels + row, left,
                     packed);
  }
};

template <class T, class Tile>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocks)
    conv2d_forward_patch_per_thread(Conv2dForward op, Walk g, bool packed) {
  begin_kernel();
  const TilePlace<Tile> tile(g.outputs, g.filters);
  const int group = static_cast<int>(tile.product), first_filter = group * g.filters + tile.n;
  const FindInput<T> find{static_cast<const T*>(op.x) + group * g.channels, g};
  const GatherFactor<T, true, FindInput<T>> a{
      tile.m, g.outputs, g.taps_channels, g.output, g.tap_channel, packed, find};
  const T* weight = static_cast<const T*>(op.weight) + std::int64_t{first_filter} * g.taps_channels;
  const int columns = g.filters - tile.n;
  const MatrixFactor<T> b{weight, g.taps_channels, columns, g.taps_channels, true, packed};

  const Patch<Tile> patch = multiply_patches<Tile>(0, g.taps_channels, a, b);
  patch.for_each_quad([&](int row, int column, const float(&sum)[kQuad]) {
    if (!inside(tile.m + row, g.outputs)) return;
    const std::int64_t first = std::int64_t{tile.m + row} * g.K;
    CONVOY_UNROLL
    for (int j = 0; j < kQuad; ++j) {
      if (!inside(column + j, columns)) return;
      const int filter = first_filter + column + j;
      store_sum<T>(op.epilogue, static_cast<T*>(op.y), first + filter, filter, false, sum[j]);
    }
  });
}

template <class T, class Tile>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocks)
    conv2d_backward_input_patch_per_thread(Conv2dBackwardInput op, Walk g, bool packed_filters,
                                           bool packed_channels) {
  begin_kernel();
  const TilePlace<Tile> tile(g.inputs, g.channels);
  const int group = static_cast<int>(tile.product);
  const FindOutput<T> find{static_cast<const T*>(op.dy) + group * g.filters, g};
  const GatherFactor<T, true, FindOutput<T>> a{
      tile.m, g.inputs, g.taps_filters, g.input, g.tap_filter, packed_filters, find};
  const T* weight =
      static_cast<const T*>(op.weight) + std::int64_t{group} * g.filters * g.taps_channels;
  const int columns = g.channels - tile.n;
  const FilterFactor<T> b{weight + tile.n, g, columns, packed_channels};

  const Patch<Tile> patch = multiply_patches<Tile>(0, g.taps_filters, a, b);
  patch.for_each_quad([&](int row, int column, const float(&sum)[kQuad]) {
    if (!inside(tile.m + row, g.inputs)) return;
    T* dx = static_cast<T*>(op.dx) + std::int64_t{tile.m + row} * g.C + group * g.channels + tile.n;
    CONVOY_UNROLL
    for (int j = column; j < column + kQuad; ++j) {
      if (inside(j, columns)) store_gradient(dx[j], sum[j - column], op.accumulate);
    }
  });
}

// One part of the outputs. Where a tile begins at the first weight it also sums what passes as b:
// the gradient of the bias.
template <class T, class Tile>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocks)
    conv2d_backward_weight_patch_per_thread_and_part(Conv2dBackwardWeight op, Walk g, float* sums,
                                                     Parts parts, bool packed_channels,
                                                     bool packed_filters) {
  begin_kernel();
  const int rows = op.dweight == nullptr ? 0 : g.taps_channels;
  const TilePlace<Tile> tile(max(rows, 1), g.filters);
  const int groups = static_cast<int>(op.g.groups);
  const int group = static_cast<int>(tile.product) % groups;
  const int part = static_cast<int>(tile.product) / groups;
  const int begin = part * static_cast<int>(parts.size);
  const int end = min(begin + static_cast<int>(parts.size), g.outputs);
  const int first_filter = group * g.filters + tile.n, columns = g.filters - tile.n;
  const FindInput<T> find{static_cast<const T*>(op.x) + group * g.channels, g};
  // The bound on taps saves loads and no more where it falls into a tile: rows behind the last are
  // not stored. (A mutant of it may survive.)
  const GatherFactor<T, false, FindInput<T>> a{tile.m,          end, rows, g.output, g.tap_channel,
                                               packed_channels, find};
  const T* dy = static_cast<const T*>(op.dy) + first_filter;
  const MatrixFactor<T> b{dy, g.K, columns, end, false, packed_filters};

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

template <class T>
void conv2d_register_tile(const Conv2dForward& op, void*, const Stream& stream) {
  const Walk walk(op.g);
  const bool packed = takes_quads(static_cast<const T*>(op.x), walk.channels) &&
                      takes_quads(static_cast<const T*>(op.weight), walk.channels);
  with_patch_tile<PatchesInWarps>(
      walk.outputs, walk.filters, op.g.groups, stream.device, [&]<class Tile>(Type<Tile>) {
        launch({.grid = tiles_for<Tile>(walk.outputs, walk.filters, op.g.groups),
                .block = Tile::kThreads,
                .shared_bytes = sizeof(typename Tile::Storage),
                .stream = stream},
               conv2d_forward_patch_per_thread<T, Tile>, op, walk, packed);
      });
}

template <class T>
void conv2d_register_tile(const Conv2dBackwardInput& op, void*, const Stream& stream) {
  const Walk walk(op.g);
  const bool packed_filters = takes_quads(static_cast<const T*>(op.dy), walk.filters);
  const bool packed_channels = takes_quads(static_cast<const T*>(op.weight), walk.channels);
  with_patch_tile<PatchesInWarps>(
      walk.inputs, walk.channels, op.g.groups, stream.device, [&]<class Tile>(Type<Tile>) {
        launch({.grid = tiles_for<Tile>(walk.inputs, walk.channels, op.g.groups),
                .block = Tile::kThreads,
                .shared_bytes = sizeof(typename Tile::Storage),
                .stream = stream},
               conv2d_backward_input_patch_per_thread<T, Tile>, op, walk, packed_filters,
               packed_channels);
      });
}

// Calls f with the tile for the gradient of the weights: by the shape alone, as the parts are, so
// that the sums are the same on every GPU.
template <class F>
void with_weight_tile(const Conv2dGeometry& g, F&& f) {
  using Large = PatchTile<128, 128, PatchesInWarps>;
  using Small = PatchTile<64, 64, PatchesInWarps>;
  if (weights_per_filter(g) > Small::kM && g.K / g.groups > Small::kN) return f(Type<Large>{});
  f(Type<Small>{});
}

// Enough blocks for a large GPU, where there are few tiles; 32 slabs of a tile at least.
inline Parts conv2d_register_tile_parts(const Conv2dGeometry& g) {
  Parts parts{};
  with_weight_tile(g, [&]<class Tile>(Type<Tile>) {
    constexpr std::int64_t kWantedBlocks = 256 * Tile::kBlocks, kOutputs = 32 * Tile::kK;
    const std::int64_t tiles = tiles_for<Tile>(weights_per_filter(g), g.K / g.groups, g.groups);
    parts = cut(g.N * g.P * g.Q, max(kWantedBlocks / tiles, std::int64_t{1}), kOutputs);
  });
  return parts;
}

template <class T>
void conv2d_register_tile(const Conv2dBackwardWeight& op, void* workspace, const Stream& stream) {
  const Walk walk(op.g);
  const Parts parts = conv2d_register_tile_parts(op.g);
  const bool packed_channels = takes_quads(static_cast<const T*>(op.x), walk.channels);
  const bool packed_filters = takes_quads(static_cast<const T*>(op.dy), walk.filters);
  auto* sums = static_cast<float*>(workspace);
  with_weight_tile(op.g, [&]<class Tile>(Type<Tile>) {
    const std::int64_t rows = op.dweight == nullptr ? 1 : walk.taps_channels;
    launch({.grid = tiles_for<Tile>(rows, walk.filters, parts.count * op.g.groups),
            .block = Tile::kThreads,
            .shared_bytes = sizeof(typename Tile::Storage),
            .stream = stream},
           conv2d_backward_weight_patch_per_thread_and_part<T, Tile>, op, walk, sums, parts,
           packed_channels, packed_filters);
  });
  add_parts<T>(op, sums, parts.count, stream);
}

}  // namespace convoy::CONVOY_TARGET
