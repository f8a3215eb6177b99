// SPDX-License-Identifier: MIT
#pragma once
// The weights' gradient by halo (kernels/gpu/conv2d/halo.cuh). A block sums 16 or 32 filters times
// 16 or 32 channels in all nine taps, over a part of the pixels:
//
//   sums[f][tap][c] += dy[m][f] * x[m + the tap's distance][c]
//
// A warp has 16 filters and 16 channels of each tap in its registers; where a block has fewer than
// four such squares, its warps share out the pixels, and add up at the end, one after the other.

#include "kernels/gpu/conv2d/bias_gradient.cuh"
#include "kernels/gpu/conv2d/halo.cuh"

namespace convoy::CONVOY_TARGET {

template <class T, class F>
void with_halo_weight_tile(const Conv2dGeometry& g, F&& f) {
  const bool wide_a = g.K / g.groups > 16, wide_b = g.C / g.groups > 16;
  if (wide_a && wide_b) return f(Type<HaloWeightTile<T, 32, 32>>{});
  if (wide_a) return f(Type<HaloWeightTile<T, 32, 16>>{});
  if (wide_b) return f(Type<HaloWeightTile<T, 16, 32>>{});
  f(Type<HaloWeightTile<T, 16, 16>>{});
}

template <class Element>
struct HaloWeightPass {
  using T = Element;
  using OfInput = InputNorm<T>;
  using OfGradient = GradientNorm<T>;
  Halo halo;
  const T *x, *dy;
  int channels, filters, groups;
  OfInput input;
  OfGradient gradient;
  int tiles_per_part;  // of kPixels
  float* sums;         // [parts, groups, filters, taps, channels]

  template <class Tile>
  HaloRoom room() const {
    const int dy_chunks = Tile::kDy;
    return {span_place<Tile::kChunksB>(halo.span(Tile::kPixels), 0),
            gradient.wanted() ? dy_chunks : 0, dy_chunks, Tile::kStages};
  }
};

template <class Tile, class Pass>
struct HaloPixels {
  using T = typename Pass::T;
  using Input = SpanStager<T, Tile::kThreads, Tile::kChunksB, typename Pass::OfInput>;
  using Gradient = SpanStager<T, Tile::kThreads, Tile::kChunksA, typename Pass::OfGradient>;
  const Pass& pass;
  HaloStages<Tile::kStages> stages;
  int group, filter, channel, end;  // end: the pixel tile behind the last

  __device__ __forceinline__ Input input(int tile) const {
    return {pass.x,
            group,
            pass.groups,
            pass.channels,
            pass.halo.pixels,
            tile * Tile::kPixels - pass.halo.reach(),
            pass.halo.span(Tile::kPixels),
            pass.input};
  }
  __device__ __forceinline__ Gradient gradient(int tile) const {
    return {pass.dy,          group,
            pass.groups,      pass.filters,
            pass.halo.pixels, tile * Tile::kPixels,
            Tile::kPixels,    pass.gradient};
  }

  __device__ __forceinline__ void fetch(int tile) const {
    if (tile < end) {
      input(tile).fetch(stages.span(tile), nullptr, channel);
      gradient(tile).fetch(stages.other(tile), stages.raw(tile), filter);
    }
    cp_async_commit();
  }
  // Then the tile is there for all.
  __device__ __forceinline__ void await(int tile) const {
    cp_async_wait<Tile::kStages - 1>();
    input(tile).finish(stages.span(tile), nullptr, channel);
    gradient(tile).finish(stages.other(tile), stages.raw(tile), filter);
    __syncthreads();
  }
};

template <class Tile>
struct HaloJoin {
  float of[Tile::kSquares][kHaloTaps * 8][kWarp];
};
__device__ __forceinline__ void pass_on(HaloSums& sums, float (&of)[kHaloTaps * 8][kWarp],
                                        bool takes, bool gives) {
  for (int i = 0; i < kHaloTaps * 8; ++i) {
    float& sum = sums.of[i / 8][i / 4 % 2][i % 4];
    if (takes) sum += of[i][lane_index()];
    if (gives) of[i][lane_index()] = sum;
  }
}

// One after the other the warps that shared out the pixels add what those before them had; the last
// one has it all.
template <class Tile>
__device__ __forceinline__ void join_warps(HaloSums& sums) {
  if constexpr (Tile::kAlong > 1) {
    auto& mine = shared<HaloJoin<Tile>>().of[Tile::square()];
    for (int turn = 0; turn < Tile::kAlong; ++turn) {
      if (turn == Tile::along()) pass_on(sums, mine, turn > 0, turn + 1 < Tile::kAlong);
      __syncthreads();
    }
  }
}

template <class Tile, class Pass>
__device__ __forceinline__ void halo_weight_tile(const Pass& pass, const HaloRoom& room,
                                                 unsigned block) {
  const TilePlace<Tile> place(pass.filters, pass.channels, block);
  const int product = static_cast<int>(place.product), part = product / pass.groups;
  const int tiles = (pass.halo.pixels + Tile::kPixels - 1) / Tile::kPixels;
  const int begin = part * pass.tiles_per_part, end = min(begin + pass.tiles_per_part, tiles);
  const HaloPixels<Tile, Pass> pixels{pass, {room}, product % pass.groups, place.m, place.n, end};
  pixels.stages.zeros().clear();
  pixels.fetch(begin);
  HaloSums sums;
  for (int tile = begin; tile < end; ++tile) {
    pixels.fetch(tile + 1);
    pixels.await(tile);
    for (int step = Tile::along(); step < Tile::kPixels / Tile::kStep; step += Tile::kAlong) {
      multiply_pixels<Tile>(pixels, tile, step * Tile::kStep, sums);
    }
    __syncthreads();  // the stage is free again
  }
  join_warps<Tile>(sums);
  const int filter = place.m + Tile::filter(), channel = place.n + Tile::channel();
  const bool has_all = Tile::along() + 1 == Tile::kAlong;
  if (!has_all || !inside(filter, pass.filters) || !inside(channel, pass.channels)) return;
  const HaloPartSums to{pass.sums, pass.filters, pass.channels};
  store_square<Tile>(to, product, filter, channel, sums);
}

template <class Tile, class Pass>
__global__ void __launch_bounds__(Tile::kThreads, 384 / Tile::kThreads)
    conv2d_halo_weight_tile(Pass pass, HaloRoom room) {
  begin_kernel();
  halo_weight_tile<Tile>(pass, room, blockIdx.x);
}

// ---- launches ----

template <class Tile>
std::size_t halo_weight_shared_bytes(const HaloRoom& room) {
  constexpr std::size_t kJoin = Tile::kAlong > 1 ? sizeof(HaloJoin<Tile>) : 0;
  return max(static_cast<std::size_t>(room.chunks()) * sizeof(Chunk), kJoin);
}

// Parts so that eight warps go to each multiprocessor: each part's sums are written and read.
template <class Tile>
Parts halo_parts(const Conv2dGeometry& g, const Device& device) {
  const std::int64_t squares = tiles_for<Tile>(g.K / g.groups, g.C / g.groups, g.groups);
  const std::int64_t wanted = 8 / Tile::kWarps * multiprocessor_count(device) / squares;
  return cut(blocks_for(g.N * g.H * g.W, Tile::kPixels), max(wanted, std::int64_t{1}), 1);
}
template <class T>
Parts halo_parts_of(const Conv2dGeometry& g, const Device& device) {
  Parts parts{};
  with_halo_weight_tile<T>(g, [&]<class Tile>(Type<Tile>) { parts = halo_parts<Tile>(g, device); });
  return parts;
}

inline std::size_t conv2d_halo_workspace(const Conv2dBackwardWeight& op, const Device& device) {
  const Parts parts = op.dtype == DType::f32 ? halo_parts_of<float>(op.g, device)
                                             : halo_parts_of<F16>(op.g, device);
  return either_gradient_bytes(op, splits_bytes(conv2d_output(op), parts.count), device);
}

template <class T>
HaloWeightPass<T> halo_pass(const Conv2dBackwardWeight& op, const Parts& parts, void* workspace) {
  const Extents g(op.g);
  return {Halo(g, static_cast<int>(op.g.N)),
          static_cast<const T*>(op.x),
          static_cast<const T*>(op.dy),
          g.channels,
          g.filters,
          static_cast<int>(op.g.groups),
          {op.prologue},
          {op.gradient_prologue, static_cast<const T*>(op.dy)},
          static_cast<int>(parts.size),
          static_cast<float*>(workspace)};
}

// The two gradients are computed one after the other, in the same workspace.
template <class T>
void conv2d_halo(const Conv2dBackwardWeight& op, void* workspace, const Stream& stream) {
  if (op.dbias != nullptr) conv2d_bias_gradient<T>(op, workspace, stream);
  if (op.dweight == nullptr) return;
  const Parts parts = halo_parts_of<T>(op.g, stream.device);
  const auto pass = halo_pass<T>(op, parts, workspace);
  with_halo_weight_tile<T>(op.g, [&]<class Tile>(Type<Tile>) {
    const HaloRoom room = pass.template room<Tile>();
    launch({.grid = tiles_for<Tile>(pass.filters, pass.channels, parts.count * pass.groups),
            .block = Tile::kThreads,
            .shared_bytes = halo_weight_shared_bytes<Tile>(room),
            .stream = stream},
           conv2d_halo_weight_tile<Tile, std::remove_const_t<decltype(pass)>>, pass, room);
  });
  add_splits_to<T>(conv2d_output(op), workspace, static_cast<int>(parts.count), stream);
}

// f32 takes four pixels at once whose taps are neighbours.
inline bool conv2d_fits_halo(const Conv2dBackwardWeight& op) {
  const bool neighbours = op.dtype != DType::f32 || op.g.dilation_w == 1;
  return neighbours && fits_halo(op.g, op.dtype, op.x, op.dy, op.gradient_prologue.raw);
}

}  // namespace convoy::CONVOY_TARGET
